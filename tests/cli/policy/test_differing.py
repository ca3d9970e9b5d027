from __future__ import annotations

import json

import pytest

from tests.cli.policy.conftest import POLICIES, TRIAGE


def differences(outrider, old, new, *more) -> tuple[int, dict[tuple[str, str], tuple[str, bool]]]:
    code, out, err = outrider("diff", old, new, *more, "-o", "json")
    assert code in (0, 1), err
    found = json.loads(out)
    return code, {(one["target"], one["name"]): (one["effect"], one["widens"]) for one in found}


def test_equal_policies_differ_in_nothing(outrider, policies, write) -> None:
    code, out, _ = outrider("diff", policies, write("same.yaml", POLICIES), "--fail-on-widening")
    assert code == 0
    assert "No agent may do anything else than before." in out


@pytest.mark.parametrize(
    ("old", "new", "target", "name", "effect"),
    [
        ('"list_*"]', '"list_*", "get_*"]', "github", "get_*", "wider"),
        ('"list_*"]', "]", "github", "list_*", "narrower"),
        ('["*delete*"]', "[]", "github", "*delete* and list_*", "wider"),
        ("8080", "8081", "github", "(any use)", "changed"),
        ("outbound:", "egress: allow\n  outbound:", "(no Backend)", "public addresses", "wider"),
        ("outbound:", "mode: observe\n  outbound:", "github", "*", "wider"),
        ("    tools:", "    unknownMethods: allow\n    tools:", "github", "(unknown methods)", "wider"),
        ("    tools:", "    serverRequests: []\n    tools:", "github", "sampling", "narrower"),
        ("    tools:", '    prompts: {allow: ["*"]}\n    tools:', "github", "*", "wider"),
        (
            "agents/sa/orchestrator",
            "*/sa/orchestrator",
            "from spiffe://cluster.local/ns/*/sa/orchestrator",
            "ask",
            "wider",
        ),
        (
            "agents/sa/orchestrator",
            "agents/*",
            "from spiffe://cluster.local/ns/agents/*",
            "ask",
            "wider",
        ),
        ("[ask]", "[ask, tell]", "from spiffe://cluster.local/ns/agents/sa/orchestrator", "tell", "wider"),
        (
            "mcp: {tools: {allow: [ask]}}",
            "http: {allow: true}",
            "from spiffe://cluster.local/ns/agents/sa/orchestrator",
            "(any path)",
            "wider",
        ),
        ("app: triage", "app: other", "github", "get_issue", "narrower"),
    ],
)
def test_a_change_is_found_and_marked(outrider, policies, write, old, new, target, name, effect) -> None:
    assert old in POLICIES
    changed = write("new.yaml", POLICIES.replace(old, new, 1))
    code, found = differences(
        outrider, policies, changed, "--fail-on-widening", "--agent", "agents/t", "--labels", "app=triage"
    )
    assert found[target, name] == (effect, effect != "narrower")
    assert code == (1 if any(widens for _, widens in found.values()) else 0)


def test_with_an_inventory_its_tools_are_compared(outrider, policies, write) -> None:
    tools = write("tools.yaml", "github: [get_issue, get_file, merge]")
    changed = write("new.yaml", POLICIES.replace('"list_*"', '"get_*"'))
    _, found = differences(outrider, policies, changed, "--tools", tools)
    assert found == {("github", "get_file"): ("wider", True)}


def test_the_table_marks_widening(outrider, policies, write) -> None:
    changed = write("new.yaml", POLICIES.replace('"list_*"', '"get_*"'))
    code, out, _ = outrider("diff", policies, changed)
    assert code == 0
    assert "+  github get_*" in out
    assert "-  github list_*" in out
    assert "widen (marked +)" in out


def test_a_deny_that_goes_away_shows_where_two_policies_meet(outrider, write) -> None:
    backend = POLICIES.partition("---\n")[0]
    two = """---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: a, namespace: agents}
spec:
  selector: {matchLabels: {a: "1"}}
  outbound: [{backend: github, tools: {allow: ["*"]}}]
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: b, namespace: agents}
spec:
  selector: {matchLabels: {b: "1"}}
  outbound: [{backend: github, tools: {allow: [x], deny: [tool_y]}}]
"""
    old, new = (
        write("old.yaml", backend + two),
        write("new.yaml", backend + two.replace(", deny: [tool_y]", "")),
    )
    code, out, _ = outrider("diff", old, new, "--fail-on-widening", "-o", "json")
    assert code == 1
    assert {(one["agent"], one["name"]) for one in json.loads(out)} == {("agents/a=1,b=1", "tool_y")}


def test_patterns_that_cannot_be_looked_through_count_as_widening(outrider, policies, write) -> None:
    changed = write("new.yaml", POLICIES.replace("list_*", f"*a{'?' * 16}"))
    code, found = differences(outrider, policies, changed, "--fail-on-widening")
    assert code == 1
    assert found["github", "(names in too many patterns)"] == ("changed", True)


def test_a_workload_whose_labels_change_is_compared_as_it_is_on_each_side(outrider, write) -> None:
    other = TRIAGE.replace("app: triage", "app: other")
    old, new = write("old.yaml", f"{POLICIES}---\n{other}"), write("new.yaml", f"{POLICIES}---\n{TRIAGE}")
    code, found = differences(outrider, old, new, "--fail-on-widening")
    assert code == 1
    assert found["github", "get_issue"] == found["github", "list_*"] == ("wider", True)
    code, found = differences(outrider, new, old, "--fail-on-widening")
    assert code == 0
    assert found["github", "(any use)"] == ("narrower", False)
