from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import INBOUND, UNAUTHENTICATED, Backend, Documents, Inbound, Principal
from mesh.policy.compile import compile_policy, compile_rules
from mesh.policy.panel import Panel

Make = Callable[..., str]
Load = Callable[..., Documents]
PEER = Principal("spiffe://td/ns/a/sa/peer")


def panel(documents: Documents) -> tuple[Panel, tuple[Backend, ...]]:
    return Panel(
        documents.backends, [compile_rules(policy) for policy in documents.policies]
    ), documents.backends


def test_outbound_a_policy_speaks_of_the_backends_it_names(
    load: Load, backend: Make, agent_policy: Make
) -> None:
    named = agent_policy("{outbound: [{backend: github}, {backend: '*'}]}", "named")
    silent = agent_policy("{}", "silent")
    found, (github,) = panel(load(backend(), named, silent))
    (speaker,) = found.speakers(PEER, github)
    assert speaker.label == "AgentPolicy/named"
    assert [rule.label for rule in speaker.rules] == [
        "AgentPolicy/named outbound[0]",
        "AgentPolicy/named outbound[1]",
    ]


def test_inbound_a_policy_speaks_when_it_has_a_section_even_for_peers_it_does_not_name(
    load: Load, agent_policy: Make
) -> None:
    section = agent_policy(
        "{mode: observe, inbound: [{from: ['spiffe://td/ns/a/sa/peer'], mcp: {}}]}", "section"
    )
    found, _ = panel(load(section, agent_policy("{}", "silent")))
    (speaker,) = found.speakers(PEER, Inbound("/mcp"))
    assert (speaker.label, speaker.enforce, len(speaker.rules)) == ("AgentPolicy/section", False, 1)
    (speaker,) = found.speakers(UNAUTHENTICATED, Inbound("/mcp"))
    assert speaker.rules == ()


@pytest.mark.parametrize(
    ("path", "speaking"),
    [("/a", {0}), ("/a/b", {0, 1}), ("/a/bc", {0}), ("/c", set()), ("/", set()), (None, set())],
)
def test_inbound_the_mcp_of_a_rule_counts_at_its_path_and_below(
    load: Load, agent_policy: Make, path: str | None, speaking: set[int]
) -> None:
    rules = (
        "{from: ['*'], mcp: {path: /a}}, {from: ['*'], mcp: {path: /a/b}}, {from: ['*'], http: {allow: true}}"
    )
    found, _ = panel(load(agent_policy(f"{{inbound: [{rules}]}}")))
    (speaker,) = found.speakers(PEER, INBOUND if path is None else Inbound(path))
    assert {index for index, rule in enumerate(speaker.rules) if rule.mcp is not None} == speaking
    assert [rule.http for rule in speaker.rules] == [False, False, True]


def test_inbound_a_target_made_by_older_documents_meets_todays_rules(load: Load, agent_policy: Make) -> None:
    older = compile_policy(
        load(agent_policy("{inbound: [{from: ['*'], mcp: {path: /a}}]}")), labels={}, namespace=None
    )
    found, _ = panel(load(agent_policy("{inbound: [{from: ['*'], mcp: {path: /b}}]}")))
    (speaker,) = found.speakers(PEER, older.inbound("/a"))
    assert [rule.mcp for rule in speaker.rules] == [None]


def test_nobody_speaks_of_a_backend_that_the_documents_do_not_have(
    load: Load, backend: Make, agent_policy: Make
) -> None:
    other = load(backend("other")).backends[0]
    found, _ = panel(load(backend(), agent_policy("{outbound: [{backend: '*'}]}")))
    assert found.speakers(PEER, other) == ()
