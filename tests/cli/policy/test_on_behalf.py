"""Policies asked on behalf of users: --user and --scopes, expectations, and what a change means to users."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import main

POLICIES = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm, namespace: agents}
spec: {protocol: MCP, host: crm.tools.svc, port: 80, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  users: {issuers: [{issuer: "https://i", audiences: [a]}, {issuer: "https://j", audiences: [a]}]}
  outbound:
  - backend: crm
    tools: {allow: [get]}
  - backend: crm
    users: ["https://i#alice"]
    scopes: [w]
    tools: {allow: [put], deny: [drop]}
  inbound:
  - from: ["*"]
    users: ["*#*"]
    mcp: {tools: {allow: [ask]}}
"""
AGENT = ("--agent", "agents/triage", "--labels", "app=triage")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    return tmp_path


@pytest.fixture
def run(files: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(command: str, *arguments: str) -> tuple[int, str]:
        code = main(["policy", command, *arguments])
        captured = capsys.readouterr()
        return code, captured.out or captured.err

    return call


def explained(run: Run, files: Path, *more: str, backend: str = "crm", tool: str = "put") -> dict:
    _, out = run(
        "explain", "agents/triage", backend, tool, str(files), "--labels", "app=triage", "-o", "json", *more
    )
    return json.loads(out)


def test_explain_asks_on_behalf_of_a_user(run: Run, files: Path) -> None:
    alice = explained(run, files, "--user", "https://i#alice", "--scopes", "r, w")
    assert (alice["allowed"], alice["user"]) == (True, "https://i#alice")
    without = explained(run, files, "--user", "https://i#alice")
    assert (without["allowed"], without["rule"]) == (False, "AgentPolicy/triage outbound[1] scopes")
    nobody = explained(run, files)
    assert (nobody["allowed"], nobody["user"], nobody["rule"]) == (
        False,
        None,
        "AgentPolicy/triage outbound[1] users",
    )
    assert [vote["rule"] for vote in nobody["votes"]] == [
        "AgentPolicy/triage outbound[0] tools.allow",
        "AgentPolicy/triage outbound[1] users",
    ]


def test_explain_asks_for_callers_of_users_too(run: Run, files: Path) -> None:
    caller = ("--from", "spiffe://cluster.local/ns/x/sa/y")
    assert explained(run, files, *caller, "--user", "https://j#bob", backend="-", tool="ask")["allowed"]
    refused = explained(run, files, *caller, backend="-", tool="ask")
    assert (refused["allowed"], refused["rule"]) == (False, "AgentPolicy/triage inbound[0] users")
    assert "--user" in refused["advice"][0]


@pytest.mark.parametrize("wrong", [("--user", "alice"), ("--scopes", "w"), ("--user", "#a")])
def test_a_user_is_written_whole(run: Run, files: Path, wrong: tuple[str, ...]) -> None:
    code, out = run("explain", "agents/triage", "crm", "put", str(files), "--labels", "app=triage", *wrong)
    assert code == 2
    assert "--user ISSUER#SUBJECT" in out


def test_the_table_is_of_one_user(run: Run, files: Path) -> None:
    def allowed(*more: str) -> set[str]:
        tools = files / "tools.json"
        tools.write_text('{"crm": ["get", "put", "drop"]}')
        _, out = run("test", str(files / "policies.yaml"), *AGENT, "--tools", str(tools), "-o", "json", *more)
        return {cell["tool"] for cell in json.loads(out) if cell["allowed"]}

    assert allowed() == {"get"}
    assert allowed("--user", "https://i#alice", "--scopes", "w") == {"get", "put"}


def test_expectations_are_of_users(run: Run, files: Path) -> None:
    expectations = files.parent / f"{files.name}-expect.yaml"
    expectations.write_text(
        """
- {agent: agents/triage, backend: crm, tool: put, user: "https://i#alice", scopes: [w], allowed: true}
- {agent: agents/triage, backend: crm, tool: put, user: "https://i#alice", allowed: false, rule: scopes}
- {agent: agents/triage, backend: crm, tool: put, allowed: false}
"""
    )
    code, out = run("test", str(files), *AGENT, "--expect", str(expectations))
    assert (code, "3 of 3 expectations hold" in out) == (0, True)
    assert "on behalf of https://i#alice with w" in out
    expectations.write_text(
        """
- {agent: a, backend: crm, tool: put, user: alice, allowed: true}
- {agent: a, backend: crm, tool: put, scopes: [w], allowed: true}
- {agent: a, backend: crm, tool: put, user: "i#a", scopes: w, allowed: true}
"""
    )
    code, out = run("test", str(files), *AGENT, "--expect", str(expectations))
    assert code == 2
    for said in (
        "[0].user: write ISSUER#SUBJECT",
        "[1].scopes: they are a user's",
        "[2].scopes: expected a list",
    ):
        assert said in out


@pytest.mark.parametrize(
    ("before", "after", "widens"),
    [
        ('["https://i#alice"]', '["https://i#*"]', True),
        ("scopes: [w]", "scopes: [r]", True),
        ("scopes: [w]", "scopes: [w, x]", False),
        ('users: ["https://i#alice"]\n    scopes: [w]', 'users: ["*#*"]', True),
        ("allow: [put]", "allow: [put, post]", True),
        ('users: ["*#*"]\n    mcp', "mcp", True),
        (
            "port: 80, tls: {mode: None}",
            "port: 80, tls: {mode: Public}, credential: {svid: {audience: a}}",
            True,
        ),
        ("audiences: [a]}]", "audiences: [a, b]}]", True),
    ],
)
def test_a_change_is_told_for_users(run: Run, files: Path, before: str, after: str, widens: bool) -> None:
    assert before in POLICIES
    changed = files / "new"
    changed.mkdir()
    (changed / "policies.yaml").write_text(POLICIES.replace(before, after, 1))
    old = str(files / "policies.yaml")
    code, out = run("diff", old, str(changed), *AGENT, "--fail-on-widening")
    assert code == (1 if widens else 0), out
    assert "no difference" not in out
    code, _ = run("diff", old, old, *AGENT, "--fail-on-widening")
    assert code == 0
