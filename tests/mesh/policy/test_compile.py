from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import Policy, Principal

Make = Callable[..., str]
Compile = Callable[..., Policy]
ME = Principal("spiffe://td/ns/a/sa/me")


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        ("", {}, True),
        ("selector: {}", {"app": "x"}, True),
        ("selector: {matchLabels: {}}", {}, True),
        ("selector: {matchLabels: {app: triage}}", {"app": "triage", "tier": "1"}, True),
        ("selector: {matchLabels: {app: triage}}", {"app": "other"}, False),
        ("selector: {matchLabels: {app: triage}}", {}, False),
        ("selector: {matchLabels: {app: triage, tier: gold}}", {"app": "triage"}, False),
        ('selector: {matchLabels: {app: ""}}', {}, False),
        ('selector: {matchLabels: {app: ""}}', {"app": ""}, True),
    ],
)
def test_a_policy_selects_agents_by_labels(
    compiled: Compile, agent_policy: Make, selector: str, labels: dict[str, str], selected: bool
) -> None:
    policy = compiled(agent_policy(f"{{{selector}}}"), labels=labels)
    assert policy.policies == (("AgentPolicy/triage",) if selected else ())


@pytest.mark.parametrize(
    ("document", "agent", "applies"),
    [("a", "a", True), ("a", "b", False), (None, "a", True), (None, None, True), ("a", None, False)],
)
def test_documents_apply_in_their_namespace_or_everywhere_without_one(
    compiled: Compile,
    backend: Make,
    agent_policy: Make,
    document: str | None,
    agent: str | None,
    applies: bool,
) -> None:
    policy = compiled(backend(namespace=document), agent_policy("{}", namespace=document), namespace=agent)
    assert bool(policy.policies) is applies
    assert bool(policy.backends) is applies


def test_the_backend_of_the_agents_namespace_is_meant(
    compiled: Compile, backend: Make, agent_policy: Make
) -> None:
    other = "{protocol: MCP, host: other.svc, port: 80, tls: {mode: None}}"
    documents = (
        backend(namespace="a"),
        backend(namespace="b", spec=other),
        agent_policy("{outbound: [{backend: github, tools: {allow: [x]}}]}"),
    )
    for namespace, host in (("a", "github.tools.svc"), ("b", "other.svc")):
        policy = compiled(*documents, namespace=namespace)
        (target,) = policy.backends
        assert target.host == host
        assert policy.decide(ME, target, "tools/call", "x").allowed


def test_policies_are_asked_in_the_order_of_their_names(compiled: Compile, agent_policy: Make) -> None:
    documents = [agent_policy("{}", "b"), agent_policy("{}", "a")]
    assert compiled(*documents).policies == ("AgentPolicy/a", "AgentPolicy/b")


@pytest.mark.parametrize(
    ("source", "peer", "admitted"),
    [
        ("spiffe://td/ns/a/sa/x", "spiffe://td/ns/a/sa/x", True),
        ("spiffe://td/ns/a/sa/x", "spiffe://td/ns/a/sa/y", False),
        ("spiffe://td/ns/*/sa/x", "spiffe://td/ns/b/sa/x", True),
        ("*", "spiffe://elsewhere/x", True),
        ("*", "unauthenticated", False),
        ("unauthenticated", "unauthenticated", True),
        ("unauthenticated", "spiffe://td/x", False),
        ("spiffe://td/*", "spiffe://td/ns/a/sa/x", True),
    ],
)
def test_sources_are_ids_or_patterns(
    compiled: Compile, agent_policy: Make, source: str, peer: str, admitted: bool
) -> None:
    spec = f"{{inbound: [{{from: ['spiffe://never/x', '{source}'], mcp: {{}}}}]}}"
    policy = compiled(agent_policy(spec))
    assert policy.decide(Principal(peer), policy.inbound("/mcp"), "ping").allowed is admitted
