"""Credentials that are exchanged for users' tokens, and users whom nobody accepts: that is not called allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import main

ISSUER = "https://idp.example"
ALICE = ("--user", f"{ISSUER}#alice")
MALLORY = ("--user", "https://other.example#mallory")
EXCHANGE = f"exchange: {{issuer: '{ISSUER}'}}"
ID_JAG = f"idJag: {{idp: {{issuer: '{ISSUER}'}}, server: {{issuer: 'https://as.example'}}, resource: 'https://m.example/'}}"
ALSO_ITSELF = f"exchange: {{issuer: '{ISSUER}', withoutUser: client-credentials}}"
USERS = f"users: {{issuers: [{{issuer: '{ISSUER}', audiences: [a]}}]}}"
POLICIES = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm, namespace: SPACE}
spec: {protocol: MCP, host: crm.example, port: 443, tls: {mode: Public}, credential: {CREDENTIAL}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  SAYS
  outbound:
  - backend: SPACE/crm
    tools: {allow: [get]}
  inbound:
  - from: ["*"]
    mcp: {tools: {allow: [ask]}}
"""
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(
        command: str,
        *more: str,
        credential: str = EXCHANGE,
        says: str = USERS,
        space: str = "agents",
        ask: tuple[str, ...] = ("crm", "get"),
    ) -> tuple[int, str]:
        text = POLICIES.replace("CREDENTIAL", credential).replace("SAYS", says).replace("SPACE", space)
        (tmp_path / "p.yaml").write_text(text)
        named = ("agents/triage", *ask) if command == "explain" else ("--agent", "agents/triage")
        code = main(["policy", command, *named, str(tmp_path / "p.yaml"), "--labels", "app=triage", *more])
        captured = capsys.readouterr()
        return code, " ".join((captured.out or captured.err).split())

    return call


@pytest.mark.parametrize(
    ("credential", "says", "user", "reason"),
    [
        (EXCHANGE, USERS, (), "subject_missing"),
        (ID_JAG, USERS, (), "subject_missing"),
        (EXCHANGE, USERS, ALICE, "allowed"),
        (ID_JAG, USERS, ALICE, "allowed"),
        (ALSO_ITSELF, USERS, (), "allowed"),
        (EXCHANGE, "mode: observe", (), "subject_missing"),
        (EXCHANGE, "", ALICE, "subject_missing"),
        (ALSO_ITSELF, "", ALICE, "allowed"),
        (EXCHANGE, USERS, MALLORY, "token_issuer"),
        (ALSO_ITSELF, USERS, MALLORY, "token_issuer"),
        (EXCHANGE, f"mode: observe\n  {USERS}", MALLORY, "subject_missing"),
        ("svid: {audience: a}", "", (), "allowed"),
    ],
)
def test_explain_says_what_is_refused_for_want_of_a_user(
    run: Run, credential: str, says: str, user: tuple[str, ...], reason: str
) -> None:
    code, out = run("explain", *user, "-o", "json", "--fail-if-refused", credential=credential, says=says)
    found = json.loads(out)
    assert (found["reason"], found["allowed"], code) == (reason, reason == "allowed", reason != "allowed")
    assert found["rule"] == {
        "subject_missing": "Backend/crm credential",
        "token_issuer": "the users of agents/triage",
    }.get(reason, "AgentPolicy/triage outbound[0] tools.allow[0]")


def test_explain_says_it_in_a_sentence(run: Run) -> None:
    _, out = run("explain")
    assert "using crm: tool get: refused" in out
    assert (
        "Backend crm needs a user's token to exchange: a request of nobody is refused (subject_missing)."
        in out
    )
    assert "ask on behalf of a user with --user" in out
    assert "No policy of agents/triage has users" in run("explain", *ALICE, says="")[1]
    assert (
        "No policy of agents/triage has users" in json.loads(run("explain", "-o", "json", says="")[1])["note"]
    )
    _, out = run("explain", *MALLORY)
    assert f"No policy of agents/triage accepts tokens of https://other.example, only of {ISSUER}" in out
    assert json.loads(run("explain", *ALICE, "-o", "json")[1])["note"] is None
    _, out = run("explain", *MALLORY, ask=("crm", "put"))
    assert "(token_issuer)" in out  # the door comes first
    assert "tool_not_granted" in run("explain", ask=("crm", "put"))[1]


def test_callers_with_tokens_of_unknown_issuers_are_refused(run: Run) -> None:
    caller = ("--from", "spiffe://cluster.local/ns/x/sa/y", "-o", "json")
    asked = {"ask": ("-", "ask")}
    assert json.loads(run("explain", *caller, *ALICE, **asked)[1])["allowed"]
    assert json.loads(run("explain", *caller, *MALLORY, **asked)[1])["reason"] == "token_issuer"
    assert json.loads(run("explain", *caller, *MALLORY, says="", **asked)[1])["allowed"]


def test_a_backend_of_another_namespace_has_no_credential_that_needs_a_user(run: Run) -> None:
    assert json.loads(run("explain", "-o", "json", space="tools", ask=("tools/crm", "get"))[1])["allowed"]


def test_the_table_says_who_needs_a_user(run: Run) -> None:
    def verdicts(*more: str, **how: str) -> set[tuple[str, str, bool]]:
        cells = json.loads(run("test", "-o", "json", *more, **how)[1])
        return {(c["verdict"], c["reason"], c["allowed"]) for c in cells if c["tool"] == "get"}

    assert verdicts() == {("no user", "subject_missing", False)}
    assert verdicts(*ALICE) == {("allowed", "allowed", True)}
    assert verdicts(*ALICE, says="") == {("no user", "subject_missing", False)}
    assert verdicts(*MALLORY) == {("no user", "token_issuer", False)}
    _, out = run("test")
    assert "needs a user's token: a request of nobody is refused (subject_missing)" in out
    assert "no user: granted by policies, and refused without a user" in out
    cells = json.loads(
        run("test", "--inbound", "--from", "spiffe://cluster.local/ns/x/sa/y", *MALLORY, "-o", "json")[1]
    )
    assert {c["reason"] for c in cells if c["tool"] == "ask"} == {"token_issuer"}


def test_expectations_fail_for_want_of_a_user(run: Run, tmp_path: Path) -> None:
    wanted = tmp_path / "expect.yml"
    wanted.write_text("- {agent: agents/triage, backend: crm, tool: get, allowed: true}\n")
    code, out = run("test", "--expect", str(wanted))
    assert (code, "it is refused, by Backend/crm credential (subject_missing)" in out) == (1, True)
