from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy import Principal, compile_policy, load_objects, panel
from mesh.policy.documents import AgentPolicy, Documents
from tests.support.access_policies import agent_policy, backend
from tests.support.fuzzing import examples

ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")
NAMES = ["a", "b", "ab", "a b", "c"]
ENTRIES = st.lists(st.sampled_from(["a", "b", "ab", "a b", "a*", "*", "?"]), max_size=2)


def consistent(said: Any) -> Any:
    """What is denied is not allowed in the same breath."""
    return {**said, "allow": [entry for entry in said["allow"] if entry not in said.get("deny", ())]}


LISTS = st.fixed_dictionaries({"allow": ENTRIES}, optional={"deny": ENTRIES}).map(consistent)
RULES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "tools": LISTS,
            "prompts": LISTS,
            "resources": LISTS,
            "unknownMethods": st.sampled_from(["allow", "deny"]),
        },
    ),
    min_size=8,
    max_size=12,
)
QUESTIONS = [
    *(("tools/call", name) for name in NAMES),
    *(("prompts/get", name) for name in NAMES),
    *(("resources/read", name) for name in NAMES),
    ("tools/call", None),
    ("initialize", None),
    ("acme/x", None),
    ("acme/x", "a"),
    ("completion/complete", "a"),
]


def answers(documents: Documents, directions: str) -> list[Any]:
    policy = compile_policy(documents, labels={}, namespace="agents")
    target: Any = policy.backends[0] if directions == "outbound" else policy.inbound("/mcp")
    return [policy.decide(ME, target, method, name) for method, name in QUESTIONS]


@pytest.mark.parametrize("direction", ["outbound", "inbound"])
@given(rules=RULES, plain=st.lists(st.booleans(), min_size=12, max_size=12))
@settings(max_examples=examples(80), deadline=None)
def test_only_rules_that_matter_are_asked(direction: str, rules: list[Any], plain: list[bool]) -> None:
    if direction == "outbound":
        written: Any = [{"backend": "github", **rule} for rule in rules]
    else:
        written = [
            {"from": [ME.id], **({"http": {"allow": True}} if other else {"mcp": rule})}
            for rule, other in zip(rules, plain, strict=False)
        ]
    documents = load_objects([backend(namespace="agents"), agent_policy({direction: written})])
    assert isinstance(documents.policies[0], AgentPolicy)
    quick = answers(documents, direction)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "WORTH_IT", 1000)
        assert answers(documents, direction) == quick


def test_callers_are_told_apart_by_exact_sources_and_by_patterns() -> None:
    sources = [[ME.id], ["spiffe://cluster.local/ns/agents/*"], [ME.id + "x"], ["*"], ["unauthenticated"]]
    written = [{"from": source, "mcp": {"tools": {"allow": [f"t{i}"]}}} for i, source in enumerate(sources)]
    policy = compile_policy(load_objects([agent_policy({"inbound": written})]), labels={}, namespace="agents")

    def may(principal: str) -> list[bool]:
        place = policy.inbound("/mcp")
        return [policy.decide(Principal(principal), place, "tools/call", f"t{i}").allowed for i in range(5)]

    assert may(ME.id) == [True, True, False, True, False]
    assert may("spiffe://other/x") == [False, False, False, True, False]
    assert may("unauthenticated") == [False, False, False, False, True]


def test_the_memory_of_callers_is_bounded() -> None:
    policy = compile_policy(
        load_objects([agent_policy({"inbound": [{"from": ["*"], "mcp": {"tools": {"allow": ["*"]}}}]})]),
        labels={},
        namespace="agents",
    )
    place = policy.inbound("/mcp")
    for index in range(3 * panel.MAX_PEERS):
        assert policy.decide(Principal(f"spiffe://td/{index}"), place, "tools/call", "x").allowed
    assert len(policy._panel._peers) <= panel.MAX_PEERS
