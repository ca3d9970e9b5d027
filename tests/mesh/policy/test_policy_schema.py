from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import Documents
from mesh.policy.documents import (
    AgentPolicy,
    Egress,
    InboundRule,
    McpGrant,
    Mode,
    Names,
    OutboundRule,
    ServerRequest,
)

Load = Callable[..., Documents]
Faults = Callable[..., list[str]]
Make = Callable[..., str]
PEER = "spiffe://cluster.local/ns/agents/sa/orchestrator"


def test_an_empty_policy_denies_everything_to_every_agent(load: Load, agent_policy: Make) -> None:
    (found,) = load(agent_policy("{}")).policies
    assert found == AgentPolicy("triage", None)
    assert (found.mode, found.egress, found.outbound, found.inbound) == (Mode.ENFORCE, Egress.DENY, (), None)


def test_a_full_policy_is_read(load: Load, backend: Make, agent_policy: Make) -> None:
    spec = f"""
  selector: {{matchLabels: {{app: triage, "example.com/tier": ""}}}}
  mode: observe
  egress: allow
  outbound:
  - backend: github
    tools: {{allow: [search_issues, "list_*"], deny: ["*delete*"]}}
    prompts: {{allow: []}}
    resources: {{allow: ["repo://acme/*"]}}
    unknownMethods: allow
    serverRequests: [elicitation]
  - backend: "*"
  inbound:
  - from: ["{PEER}"]
    mcp: {{tools: {{allow: ["*"]}}, unknownMethods: deny}}
    http: {{allow: true}}
  - from: ["*"]
    mcp: {{path: /tools/mcp/}}
"""
    (found,) = load(backend(), agent_policy(spec, namespace="agents")).policies
    grant = McpGrant(
        tools=Names(("search_issues", "list_*"), ("*delete*",)),
        prompts=Names(()),
        resources=Names(("repo://acme/*",)),
        unknown_methods=True,
    )
    assert found == AgentPolicy(
        name="triage",
        namespace="agents",
        match_labels=(("app", "triage"), ("example.com/tier", "")),
        mode=Mode.OBSERVE,
        egress=Egress.ALLOW,
        outbound=(OutboundRule("github", grant, frozenset({ServerRequest.ELICITATION})), OutboundRule("*")),
        inbound=(
            InboundRule((PEER,), McpGrant(tools=Names(("*",))), http=True),
            InboundRule(("*",), McpGrant(), mcp_path="/tools/mcp"),
        ),
    )


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("behaviour: {learn: 24h}", "spec.behaviour"),
        ("selector: {matchExpressions: []}", "spec.selector.matchExpressions"),
        ("outbound: [{backend: '*', a2a: {}}]", "spec.outbound[0].a2a"),
        ("inbound: [{from: ['*'], http: {allow: true}, a2a: {}}]", "spec.inbound[0].a2a"),
    ],
)
def test_rules_to_come_are_refused_by_name_and_never_ignored(
    faults: Faults, agent_policy: Make, field: str, path: str
) -> None:
    assert faults(agent_policy(f"{{{field}}}")) == [
        f"4: {path}: not supported by this version; remove it, since it would have no effect"
    ]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("{mode: off}", 'spec.mode: "off" is not allowed; allowed: enforce, observe'),
        ("{mode: audit}", 'spec.mode: "audit" is not allowed; allowed: enforce, observe'),
        ("{egress: {}}", "spec.egress: expected a string, found a mapping"),
        (
            "{selector: {matchLabels: [a]}}",
            "spec.selector.matchLabels: expected a mapping of labels, found a list",
        ),
        (
            "{selector: {matchLabels: {app: no}}}",
            "spec.selector.matchLabels.app: expected a string, but YAML reads no",
        ),
        ("{selector: {matchLabels: {app: 'a b'}}}", 'spec.selector.matchLabels.app: "a b" is no label value'),
        ("{selector: {matchLabels: {'a b': c}}}", 'spec.selector.matchLabels["a b"]: not a label name'),
        (
            "{selector: {matchlabels: {}}}",
            "spec.selector.matchlabels: unknown field, did you mean matchLabels?",
        ),
        ("{selector: }", "spec.selector: expected a mapping, found nothing"),
        ("{outbound: {}}", "spec.outbound: expected a list, found a mapping"),
        ("{outbound: [{}]}", 'spec.outbound[0].backend: missing; the name of a Backend, or "*"'),
        ("{outbound: [{backend: A}]}", 'spec.outbound[0].backend: "A" is no name'),
        (
            "{outbound: [{backend: '*', serverRequests: [sampl]}]}",
            'serverRequests[0]: "sampl" is not allowed, did you',
        ),
        (
            "{outbound: [{backend: '*', unknownMethods: true}]}",
            'unknownMethods: "true" is not allowed; allowed: deny, allow',
        ),
        (
            "{outbound: [{backend: '*', tools: }]}",
            "spec.outbound[0].tools: expected a mapping, found nothing",
        ),
        (
            "{outbound: [{backend: '*', tools: [a]}]}",
            "spec.outbound[0].tools: expected a mapping, found a list",
        ),
        (
            "{outbound: [{backend: '*', tools: {}}]}",
            'tools.allow: missing; write allow: ["*"] to grant everything',
        ),
        (
            "{outbound: [{backend: '*', tools: {deny: [a]}}]}",
            "tools.allow: missing; deny alone grants nothing",
        ),
        ("{outbound: [{backend: '*', tools: {allow: a}}]}", 'tools.allow: expected a list, found "a"'),
        (
            "{outbound: [{backend: '*', tools: {allow: [a], deny: }}]}",
            "tools.deny: expected a list, found nothing",
        ),
        (
            "{outbound: [{backend: '*', tools: {allow: [a, no]}}]}",
            "tools.allow[1]: expected a string, but YAML reads no",
        ),
        ("{outbound: [{backend: '*', tools: {allow: ['']}}]}", "tools.allow[0]: an entry is not empty"),
        ("{outbound: [{backend: '*', tools: {allow: ['a**']}}]}", "tools.allow[0]: ** is not a pattern"),
        (
            "{outbound: [{backend: '*', tools: {allow: [a, b], deny: [c, b]}}]}",
            'deny[1]: "b" stands in allow[1] too',
        ),
        ("{inbound: [{from: ['*']}]}", "spec.inbound[0]: the rule grants nothing; add mcp"),
        (
            "{inbound: [{from: ['*'], http: {allow: false}}]}",
            "spec.inbound[0]: the rule grants nothing; add mcp",
        ),
        ("{inbound: [{mcp: {}}]}", "spec.inbound[0].from: missing; write the SPIFFE IDs of the callers"),
        ("{inbound: [{from: [], mcp: {}}]}", "spec.inbound[0].from: 0 entries; allowed: 1 to 1000"),
        ("{inbound: [{from: '*', mcp: {}}]}", 'spec.inbound[0].from: expected a list, found "*"'),
        (
            "{inbound: [{from: [triage], mcp: {}}]}",
            "spec.inbound[0].from[0]: 'triage' does not begin with spiffe://",
        ),
        ("{inbound: [{from: ['*'], http: {}}]}", "spec.inbound[0].http.allow: missing; write true or false"),
        ("{inbound: [{from: ['*'], http: true}]}", 'spec.inbound[0].http: expected a mapping, found "true"'),
        ("{inbound: [{from: ['*'], mcp: {path: mcp}}]}", "spec.inbound[0].mcp.path: a path begins with /"),
        ("{inbound: [{from: ['*'], mcp: {path: /a/../b}}]}", "spec.inbound[0].mcp.path: a path has no empty"),
        ("{inbound: [{from: ['*'], mcp: {path: '/a?b'}}]}", "spec.inbound[0].mcp.path: a path begins with /"),
        ("{inbound: [{from: ['*'], mcp: {path: 1}}]}", "spec.inbound[0].mcp.path: expected a string"),
        ("{outbound: [{backend: '*', path: /mcp}]}", "spec.outbound[0].path: unknown field"),
        (
            "{inbound: [{from: ['*'], mcp: {tool: {}}}]}",
            "spec.inbound[0].mcp.tool: unknown field, did you mean tools?",
        ),
        ("{inbound: [a]}", 'spec.inbound[0]: expected a mapping, found "a"'),
        ("{outbound: [a]}", 'spec.outbound[0]: expected a mapping, found "a"'),
    ],
)
def test_a_fault_tells_its_path_and_what_is_allowed(
    faults: Faults, agent_policy: Make, spec: str, fault: str
) -> None:
    (found,) = faults(agent_policy(spec))
    assert fault in found
    assert found.startswith("4: spec")


def test_every_fault_of_a_policy_is_told_at_once_with_its_line(faults: Faults, agent_policy: Make) -> None:
    spec = """
  selektor: {}
  mode: obsrve
  outbound:
  - backend: nowhere
    tools:
      allow:
      - good
      - "bad**"
      deny: [good]
    a2a: {}
  inbound:
  - from: [nobody]
    mcp: {resources: {deny: [x]}}"""
    assert [fault.split(": ")[:2] for fault in faults(agent_policy(spec))] == [
        ["5", "spec.selektor"],
        ["6", "spec.mode"],
        ["8", "spec.outbound[0].backend"],
        ["12", "spec.outbound[0].tools.allow[1]"],
        ["13", "spec.outbound[0].tools.deny[0]"],
        ["14", "spec.outbound[0].a2a"],
        ["16", "spec.inbound[0].from[0]"],
        ["17", "spec.inbound[0].mcp.resources.allow"],
    ]


def test_an_alias_is_reported_once(faults: Faults, agent_policy: Make) -> None:
    spec = "\n  selector: {matchLabels: &l {app: x}}\n  outbound:\n  - backend: '*'\n    tools: *l"
    found = faults(agent_policy(spec))
    assert len(found) == 2
    assert all("anchors and aliases are refused" in fault for fault in found)


@pytest.mark.parametrize(
    "spec", ["{selector: {matchLabels: *x}}", "{inbound: *x}", "{inbound: [*x]}", "{mode: *x}"]
)
def test_an_alias_anywhere_is_only_an_alias(faults: Faults, agent_policy: Make, spec: str) -> None:
    found = faults(agent_policy(spec))
    assert len(found) == 1
    assert "alias *x" in found[0]
