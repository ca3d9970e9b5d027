from __future__ import annotations

import json

import pytest


def rows(out: str) -> dict[str, tuple[str, str]]:
    return {row["tool"]: (row["verdict"], row["rule"]) for row in json.loads(out)}


def test_without_an_inventory_tools_are_patterns(outrider, manifests) -> None:
    code, out, _ = outrider("test", manifests, "-o", "json")
    assert code == 0
    assert rows(out)["list_*"] == ("allowed", "AgentPolicy/triage outbound[0] tools.allow[1]")
    assert rows(out)["*delete* and list_*"][0] == "hidden"
    assert "*delete*" not in rows(out)  # as everything else is
    assert all(row["pattern"] and row["agent"] == "agents/triage" for row in json.loads(out))


@pytest.mark.parametrize(
    "inventory",
    [
        "github: [get_issue, delete_list]",
        '{"tools": [{"name": "get_issue"}, {"name": "delete_list"}]}',
        '{"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "get_issue"}, {"name": "delete_list"}]}}',
        "github: {tools: [{name: get_issue}, delete_list]}",
    ],
)
def test_with_an_inventory_each_tool_is_judged(outrider, manifests, write, inventory) -> None:
    code, out, _ = outrider("test", manifests, "--tools", write("tools.yaml", inventory), "-o", "json")
    assert code == 0
    assert {tool: verdict for tool, (verdict, _) in rows(out).items()} == {
        "get_issue": "allowed",
        "delete_list": "hidden",
    }


@pytest.mark.parametrize(
    ("inventory", "words"),
    [
        ("github: get_issue", "expected a list of tools"),
        ("github: [3]", "3 is no name of a tool"),
        ("- a", "expected a tools/list result"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_bad_inventory_is_told(outrider, manifests, write, inventory, words) -> None:
    code, _, err = outrider("test", manifests, "--tools", write("tools.yaml", inventory))
    assert code == 2
    assert words in err


def test_agents_can_be_described(outrider, policies) -> None:
    code, out, _ = outrider("test", policies, "--agent", "agents/new", "--labels", "app=triage", "-o", "json")
    assert code == 0
    assert rows(out)["get_issue"][0] == "allowed"
    _, out, _ = outrider("test", policies, "--agent", "agents/new", "--labels", "app=other", "-o", "json")
    assert rows(out)["*"] == ("hidden", "no AgentPolicy selects this agent")


def test_without_agents_there_is_one_for_each_set_of_selectors(outrider, policies) -> None:
    _, out, _ = outrider("test", policies, "-o", "json")
    assert {row["agent"] for row in json.loads(out)} == {"agents/any", "agents/app=triage"}


def test_an_unknown_agent_is_an_error_with_a_hint(outrider, manifests) -> None:
    code, _, err = outrider("test", manifests, "--agent", "agents/nobody")
    assert code == 2
    assert "there is no agent agents/nobody; known: agents/triage" in err
    assert "--labels" in err


def test_the_inbound_side_asks_for_every_caller_that_rules_name(outrider, manifests) -> None:
    code, out, _ = outrider("test", manifests, "--inbound", "-o", "json")
    assert code == 0
    found = {(row["caller"].rpartition("/")[2], row["tool"]): row["verdict"] for row in json.loads(out)}
    assert found == {("orchestrator", "ask"): "allowed", ("orchestrator", "*"): "hidden"}


def test_a_caller_can_be_named(outrider, manifests) -> None:
    _, out, _ = outrider("test", manifests, "--from", "spiffe://cluster.local/ns/x/sa/y", "-o", "json")
    assert {row["reason"] for row in json.loads(out)} == {"peer_not_allowed"}


def test_annotations_of_a_workload_are_taken_into_account(outrider, write, policies) -> None:
    deployment = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: triage, namespace: agents}
spec:
  template:
    metadata:
      labels: {app: triage}
      annotations: {outrider.dev/tools-deny: "github/list_*"}
    spec: {containers: [{name: agent, image: agent}]}
"""
    _, out, _ = outrider("test", policies, write("agent.yaml", deployment), "-o", "json")
    assert set(rows(out)) == {"*", "get_issue"}


def test_a_pod_that_would_not_be_admitted_is_told(outrider, write, policies) -> None:
    pod = """\
apiVersion: v1
kind: Pod
metadata: {name: bad, namespace: agents, annotations: {outrider.dev/mode: sometimes}}
spec: {containers: [{name: agent, image: agent}]}
"""
    code, _, err = outrider("test", policies, write("pod.yaml", pod))
    assert code == 0
    assert "agents/bad would not be admitted" in err


def test_bad_policies_end_with_2_and_every_error(outrider, write) -> None:
    text = "apiVersion: outrider.dev/v1alpha1\nkind: Backend\nmetadata: {name: a}\nspec: {protocol: X, port: z}\n"
    code, _, err = outrider("test", write("bad.yaml", text))
    assert code == 2
    assert "spec.protocol" in err
    assert "spec.port" in err


def test_files_without_a_policy_are_an_error(outrider, write) -> None:
    code, _, err = outrider("test", write("none.yaml", "kind: Pod\n"))
    assert code == 2
    assert "there is no policy" in err


def test_the_table_says_who_by_what_rule(outrider, manifests) -> None:
    code, out, _ = outrider("test", manifests)
    assert code == 0
    assert "agents/triage" in out
    assert "AgentPolicy/triage outbound[0] tools.allow[1]" in " ".join(out.split())
