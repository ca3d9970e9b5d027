"""What is rarer: other protocols, other kinds, standard input, options that are no such."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import yaml

from cli.main import main
from tests.cli.policy.conftest import POLICIES, TRIAGE
from tests.cli.policy.test_access import ACCESS, EXTERNAL
from tests.cli.policy.test_explaining import explained
from tests.cli.policy.test_importing import EVERYTHING, TOOLHIVE, toolhive
from tests.cli.policy.test_testing import rows

HTTP = """\
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: web, namespace: agents}
spec: {protocol: HTTP, host: "*.example.com", port: 443, tls: {mode: Public}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: web, namespace: agents}
spec:
  mode: observe
  selector: {matchLabels: {app: triage}}
  outbound: [{backend: web}]
"""


def test_a_backend_that_is_no_mcp_is_one_row(outrider, write) -> None:
    path = write("http.yaml", f"{POLICIES}{HTTP}---\n{TRIAGE}")
    _, out, _ = outrider("test", path, "-o", "json")
    assert rows(out)["(everything)"] == ("allowed", "AgentPolicy/web outbound[0]")
    found = explained(outrider, "agents/triage", "web", "anything", path, "--kind", "method")
    assert found["allowed"]
    assert "take away the rule for this Backend" in found["advice"][0]
    (vote,) = [one for one in found["votes"] if one["vote"] == "grant"]
    assert vote["note"] == "mode observe: it blocks nothing"
    _, out, _ = outrider("diff", write("mcp.yaml", POLICIES), path, "--agent", "agents/triage", "-o", "json")
    assert ("web", "(any use)") in {(one["target"], one["name"]) for one in json.loads(out)}


def test_observed_verdicts_are_told(outrider, write) -> None:
    text = POLICIES.replace("spec:\n  selector", "spec:\n  mode: observe\n  selector")
    path = write("observe.yaml", f"{text}---\n{TRIAGE}")
    _, out, _ = outrider("test", path)
    assert "observed: passes, and is recorded as refused" in " ".join(out.split())
    _, out, _ = outrider("explain", "agents/triage", "github", "merge", path)
    assert "which only observes: enforced, it would be refused" in " ".join(out.split())


def test_standard_input_is_read(outrider, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{POLICIES}---\n{TRIAGE}"))
    code, out, _ = outrider("test", "-", "-o", "json")
    assert code == 0
    assert "list_*" in rows(out)


def test_an_inventory_of_the_agent_itself_is_for_its_callers(outrider, manifests, write) -> None:
    tools = write("tools.yaml", "triage: [ask, tell]\ngithub: [get_issue]")
    _, out, _ = outrider("test", manifests, "--inbound", "--tools", tools, "-o", "json")
    assert {row["tool"]: row["allowed"] for row in json.loads(out)} == {"ask": True, "tell": False}


def test_without_backends_there_is_nothing_to_say(outrider, write) -> None:
    text = "apiVersion: outrider.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: a}\nspec: {}\n"
    code, out, _ = outrider("test", write("a.yaml", text))
    assert code == 0
    assert "no agent and no Backend" in " ".join(out.split())


def test_what_somebody_else_decides_is_no_success(outrider, write) -> None:
    path = write("access.yaml", ACCESS + EXTERNAL)
    expect = write("e.yaml", "- {agent: agents/triage, backend: tools/search, tool: find, allowed: true}\n")
    code, out, _ = outrider("test", path, "--expect", expect)
    assert code == 1
    assert "allowed only if XAccessPolicy/tools/gate says yes" in " ".join(out.split())
    _, out, _ = outrider("explain", "agents/triage", "tools/search", "find", path)
    assert "It passes once XAccessPolicy/tools/gate says yes" in " ".join(out.split())


def test_headers_and_time_can_be_expected(outrider, write) -> None:
    path = write("access.yaml", ACCESS)
    lines = [
        {"agent": "agents/triage", "backend": "tools/search", "tool": "x1", "allowed": allowed, **more}
        for allowed, more in (
            (True, {"headers": {"X-Tenant": "a"}, "time": "2026-07-01T09:30:00Z"}),
            (False, {"headers": {"X-Tenant": "b"}, "time": "2026-07-01"}),
        )
    ]
    code, out, _ = outrider("test", path, "--expect", write("e.yaml", yaml.safe_dump(lines)))
    assert code == 0, out


def test_workloads_for_a_comparison_may_be_elsewhere(outrider, policies, write) -> None:
    new = write("new.yaml", POLICIES.replace('"list_*"', '"get_*"'))
    _, out, _ = outrider("diff", policies, new, "--manifests", write("triage.yaml", TRIAGE), "-o", "json")
    assert {one["agent"] for one in json.loads(out)} == {"agents/triage"}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--arguments", "{"),
        ("--arguments", "[]"),
        ("--time", "noon"),
        ("--labels", "app"),
        ("--kind", "task"),
    ],
)
def test_options_that_are_no_such_end_with_2(manifests, option, value, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["policy", "explain", "agents/triage", "github", "x", manifests, option, value])
    assert ended.value.code == 2
    assert option in capsys.readouterr().err


@pytest.mark.parametrize("verb", [(), ("nothing",)])
def test_a_verb_is_needed(verb, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["policy", *verb])
    assert ended.value.code == 2
    assert "VERB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("caller", "words"),
    [
        ("spiffe://cluster.local/ns/x/sa/y", "no inbound rule names this caller"),
        ("spiffe://td/ns/a/sa/b", "caller"),
    ],
)
def test_silence_towards_callers_has_its_reason(outrider, manifests, caller, words) -> None:
    found = explained(outrider, "agents/triage", "-", "ask", manifests, "--from", caller)
    assert words in " ".join(vote["note"] for vote in found["votes"])


def test_a_policy_without_inbound_says_nothing_about_callers(outrider, write) -> None:
    path = write("p.yaml", f"{POLICIES.partition('  inbound:')[0]}---\n{TRIAGE}")
    found = explained(
        outrider, "agents/triage", "-", "ask", path, "--from", "spiffe://cluster.local/ns/x/sa/y"
    )
    assert found["reason"] == "no_inbound_rule"
    assert "it has no inbound section" in found["votes"][0]["note"]
    assert "add an inbound section" in found["advice"][0]


def test_a_policy_that_names_another_backend_is_silent(outrider, write) -> None:
    path = write(
        "p.yaml", f"{POLICIES}{HTTP.replace('HTTP', 'MCP').replace('*.example', 'x.example')}---\n{TRIAGE}"
    )
    found = explained(outrider, "agents/triage", "web", "get", path)
    notes = {vote["policy"]: vote["note"] for vote in found["votes"]}
    assert notes["AgentPolicy/triage"] == "no outbound rule names Backend web"


def test_annotations_that_leave_a_policy_out_are_told(outrider, policies, write) -> None:
    text = TRIAGE.replace(
        "metadata: {labels: {app: triage}}",
        "metadata: {labels: {app: triage}, annotations: {outrider.dev/policy: other}}",
    )
    found = explained(outrider, "agents/triage", "github", "get_issue", policies, write("t.yaml", text))
    assert found["reason"] == "narrowed_by_pod"
    assert "left out by annotation" in found["votes"][0]["note"]
    assert "an annotation takes it away" in " ".join(found["advice"])


def test_shared_authorization_of_toolhive_is_found(outrider, write) -> None:
    server = TOOLHIVE.replace("proxyPort: 8081", "proxyPort: 8081, authzConfigRef: {name: z}")
    shared = "---\napiVersion: toolhive.stacklok.dev/v1beta1\nkind: MCPAuthzConfig\n"
    shared += "metadata: {name: z, namespace: tools}\n"
    cedar = f"{shared}spec: {{type: cedarv1, config: {{policies: ['{EVERYTHING}']}}}}\n"
    code, found, _ = toolhive(outrider, write, server + cedar)
    assert code == 0
    rule = found["AgentPolicy", "toolhive-github"]["outbound"][0]
    assert rule["tools"] == {"allow": ["find", "get_issue"]}
    code, found, err = toolhive(outrider, write, f"{server}{shared}spec: {{type: httpv1, config: {{}}}}\n")
    assert (code, found) == (2, {})
    assert "decided by somebody else" in err


def test_a_rule_about_arguments_of_no_tool_is_a_warning(outrider, write) -> None:
    text = POLICIES.replace(
        'deny: ["*delete*"]}', 'deny: ["*delete*"]}\n    arguments: [{tool: merge, require: "args.n == 1"}]'
    )
    _, out, _ = outrider("validate", write("a.yaml", text), "-o", "json")
    (warning,) = json.loads(out)["warnings"]
    assert warning["message"] == "no tool that is allowed here matches merge"


def test_files_that_hold_no_object_are_problems(outrider, write) -> None:
    code, out, _ = outrider("validate", write("a.yaml", "just text\n"), write("b.yaml", POLICIES))
    assert code == 2
    assert "no Kubernetes object" in out
    assert outrider("validate", write("c.yaml", "kind: Pod\n"))[0] == 2


def test_a_file_that_is_not_text_is_told(outrider, manifests, tmp_path) -> None:
    path = Path(tmp_path) / "tools.yaml"
    path.write_bytes(b"\xff\xfe")
    for option in ("--tools", "--expect"):
        assert outrider("test", manifests, option, path)[0] == 2
        assert outrider("test", manifests, option, tmp_path / "none")[0] == 2
