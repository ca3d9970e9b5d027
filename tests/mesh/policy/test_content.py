"""What is done with content when several rules, policies and annotations speak of it."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mesh.policy import Documents, Narrowing, Policy, Principal, compile_policy
from mesh.policy.content import guardrails_of, plain_processor
from mesh.policy.decision import INBOUND
from mesh.policy.guardrails import (
    ALL_PARTS,
    DEFAULT_ACTIONS,
    NO_OPTIONS,
    Action,
    DetectorKind,
    Direction,
    Guardrails,
    Part,
    PiiOptions,
    Processor,
    Rate,
    RateLimits,
    SqlOptions,
)
from mesh.policy.panel import Speaker
from mesh.policy.rules import Rule
from mesh.reasons import Reason

ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")
Load = Callable[..., Documents]
Make = Callable[..., str]
Floor = tuple[tuple[DetectorKind, Action], ...]
PII, SQL, SECRETS, TERMS = DetectorKind.PII, DetectorKind.SQL, DetectorKind.SECRETS, DetectorKind.TERMS


def speaker(*sections: Guardrails, enforce: bool = True) -> Speaker:
    return Speaker("p", enforce, tuple(Rule(f"r{n}", None, guardrails=one) for n, one in enumerate(sections)))


def section(*processors: Processor) -> Guardrails:
    return Guardrails(processors)


def actions(found: Guardrails, kind: DetectorKind) -> list[tuple[Action, bool]]:
    return [(one.action, one.observe) for one in found.processors if one.detector is kind]


def test_where_nothing_is_said_everything_is_flagged() -> None:
    found = guardrails_of([])
    assert {one.detector: one.action for one in found.processors} == DEFAULT_ACTIONS
    assert guardrails_of([speaker()]) == found


def test_defaults_apply_for_kinds_that_are_not_named() -> None:
    found = guardrails_of([speaker(section(plain_processor(PII, Action.MASK)))])
    assert actions(found, PII) == [(Action.MASK, False)]
    assert actions(found, SECRETS) == [(Action.FLAG, False)]


def test_off_turns_a_default_off_only_where_no_other_rule_asks() -> None:
    off, mask = section(plain_processor(PII, Action.OFF)), section(plain_processor(PII, Action.MASK))
    assert actions(guardrails_of([speaker(off)]), PII) == []
    assert actions(guardrails_of([speaker(off, mask)]), PII) == [(Action.MASK, False)]
    assert actions(guardrails_of([speaker(off), speaker(mask)]), PII) == [(Action.MASK, False)]


def test_a_policy_that_observes_turns_nothing_off_and_narrows_nothing() -> None:
    off = speaker(section(plain_processor(PII, Action.OFF)), enforce=False)
    assert actions(guardrails_of([off]), PII) == [(Action.FLAG, False)]
    some = Processor("pii", PII, Action.BLOCK, PiiOptions(frozenset({"EMAIL"})))
    observed = guardrails_of([speaker(section(some), enforce=False)])
    assert sorted(actions(observed, PII)) == [(Action.FLAG, False), (Action.BLOCK, True)]
    quick = speaker(Guardrails((), reversible=True, budget=0.001), enforce=False)
    assert (guardrails_of([quick]).budget, guardrails_of([quick]).reversible) == (Guardrails().budget, False)


def test_what_observes_everything_takes_the_place_of_the_default() -> None:
    found = guardrails_of([speaker(section(plain_processor(PII, Action.BLOCK)), enforce=False)])
    assert actions(found, PII) == [(Action.BLOCK, True)]


def test_rules_that_do_not_hold_for_the_user_say_nothing() -> None:
    rule = Rule(
        "r", None, guardrails=section(plain_processor(PII, Action.MASK)), withheld=Reason.USER_NOT_GRANTED
    )
    assert actions(guardrails_of([Speaker("p", True, (rule,))]), PII) == [(Action.FLAG, False)]


def test_the_smallest_budget_counts() -> None:
    found = guardrails_of([speaker(Guardrails((), budget=0.1), Guardrails((), budget=2.0))])
    assert found.budget == 0.1


def test_masked_values_are_put_back_where_every_section_that_masks_says_so() -> None:
    masking = plain_processor(PII, Action.MASK)
    quiet, open_ = Guardrails((masking,)), Guardrails((masking,), reversible=True)
    unrelated = Guardrails((plain_processor(SQL, Action.BLOCK),), reversible=True)
    cases = [((quiet, unrelated), False), ((quiet, open_), False), ((open_, unrelated), True)]
    cases += [((open_, Guardrails()), True), ((unrelated,), True), ((unrelated, Guardrails()), False)]
    for sections, expected in cases:
        assert guardrails_of([speaker(*sections)]).reversible is expected


def test_a_policy_that_observes_changes_neither_budget_nor_what_is_put_back() -> None:
    masking = plain_processor(PII, Action.MASK)
    acting = speaker(Guardrails((masking,), reversible=True, budget=2.0))
    watching = speaker(Guardrails((masking,), budget=0.001), enforce=False)
    found = guardrails_of([acting, watching])
    assert (found.reversible, found.budget) == (True, 2.0)


def test_an_annotation_makes_defaults_stricter() -> None:
    found = guardrails_of([], ((PII, Action.MASK),))
    assert actions(found, PII) == [(Action.MASK, False)]
    assert actions(found, SECRETS) == [(Action.FLAG, False)]


def test_an_annotation_is_about_everything_that_a_detector_knows() -> None:
    some = Processor("pii", PII, Action.BLOCK, PiiOptions(frozenset({"EMAIL"})), Direction.REQUEST)
    found = guardrails_of([speaker(section(some))], ((PII, Action.MASK),))
    assert some in found.processors
    assert plain_processor(PII, Action.MASK) in found.processors
    off = guardrails_of([speaker(section(plain_processor(PII, Action.OFF)))], ((PII, Action.MASK),))
    assert actions(off, PII) == [(Action.MASK, False)]


def test_an_annotation_keeps_what_policies_allow_of_statements() -> None:
    select = SqlOptions((("*", frozenset({"select"})),))
    some = Processor("sql", SQL, Action.FLAG, select, tools=("query_*",))
    found = guardrails_of([speaker(section(some))], ((SQL, Action.BLOCK),))
    assert {(one.action, one.options) for one in found.processors if one.detector is SQL} == {
        (Action.BLOCK, select)
    }
    assert ("*",) in {one.tools for one in found.processors if one.detector is SQL}


def test_an_annotation_about_terms_says_nothing_where_no_policy_has_terms() -> None:
    assert actions(guardrails_of([], ((TERMS, Action.BLOCK),)), TERMS) == []


def test_an_annotation_turns_on_no_more_of_an_observing_policy_than_it_says() -> None:
    watching = speaker(section(plain_processor(PII, Action.BLOCK)), enforce=False)
    found = guardrails_of([watching], ((PII, Action.MASK),))
    assert sorted(actions(found, PII)) == [(Action.MASK, False), (Action.BLOCK, True)]


LOCAL = [kind for kind in DetectorKind if kind is not DetectorKind.EXTERNAL]
PROCESSORS = st.builds(
    lambda kind, action, direction, parts, tools, observe: Processor(
        kind.value, kind, action, NO_OPTIONS[kind], direction, parts, tools, observe=observe
    ),
    st.sampled_from(LOCAL),
    st.sampled_from(Action),
    st.sampled_from(Direction),
    st.sampled_from([ALL_PARTS, frozenset({Part.ARGUMENTS})]),
    st.sampled_from([("*",), ("get_*",)]),
    st.booleans(),
)
SPEAKERS = st.lists(
    st.builds(
        lambda processors, enforce: speaker(section(*processors), enforce=enforce),
        st.lists(PROCESSORS, max_size=4),
        st.booleans(),
    ),
    max_size=3,
)
FLOORS = st.dictionaries(st.sampled_from([*DEFAULT_ACTIONS]), st.sampled_from([*Action][1:])).map(
    lambda found: tuple(found.items())
)


def strictest(found: Guardrails, kind: DetectorKind, way: Direction, part: Part, tool: str) -> Action:
    """What happens to what a detector finds there."""
    asked = (
        one.action
        for one in found.processors
        if one.detector is kind
        and not one.observe
        and one.direction in (way, Direction.BOTH)
        and part in one.parts
        and ("*" in one.tools or tool.startswith("get_"))
    )
    return max(asked, default=Action.OFF)


PLACES = st.tuples(
    st.sampled_from(LOCAL),
    st.sampled_from([Direction.REQUEST, Direction.RESPONSE]),
    st.sampled_from([Part.ARGUMENTS, Part.RESULTS]),
    st.sampled_from(["get_x", "put_x"]),
)


@given(SPEAKERS, FLOORS, PLACES)
def test_an_annotation_never_makes_an_action_weaker_and_holds_everywhere(
    speakers: list[Speaker], floor: Floor, place: tuple[DetectorKind, Direction, Part, str]
) -> None:
    before = strictest(guardrails_of(speakers), *place)
    after = strictest(guardrails_of(speakers, floor), *place)
    assert after == max(before, dict(floor).get(place[0], Action.OFF))


@given(SPEAKERS, SPEAKERS, PLACES)
def test_the_strictest_of_what_policies_say_wins(
    some: list[Speaker], others: list[Speaker], place: tuple[DetectorKind, Direction, Part, str]
) -> None:
    every = some + others
    said = [
        strictest(one.guardrails or Guardrails(), *place)
        for speaking in every
        if speaking.enforce
        for one in speaking.rules
    ]
    assert strictest(guardrails_of(every), *place) >= max(said, default=Action.OFF)


@given(SPEAKERS, SPEAKERS, PLACES)
def test_policies_that_observe_only_observe(
    some: list[Speaker], others: list[Speaker], place: tuple[DetectorKind, Direction, Part, str]
) -> None:
    watching = [Speaker(one.label, False, one.rules) for one in others]
    alone, together = guardrails_of(some), guardrails_of(some + watching)
    acts = [strictest(found, *place) for found in (alone, together)]
    # A default that flags may be another's that observes: both only write down.
    assert acts[0] == acts[1] or (acts[0] is Action.FLAG and acts[1] is Action.OFF)
    assert (together.budget, together.reversible) == (alone.budget, alone.reversible)


# Rates.
RATED = "{%soutbound: [{backend: github, tools: {allow: ['*']}, rateLimit: {requests: %d, per: minute}}]}"


def compiled(load: Load, backend: Make, *policies: str, rates: tuple[tuple[str, Rate], ...] = ()) -> Policy:
    documents = load(
        backend(), backend("jira", "{protocol: MCP, host: j, port: 1, tls: {mode: None}}"), *policies
    )
    return compile_policy(documents, labels={}, namespace=None, narrowing=Narrowing(rates=rates))


def rates(policy: Policy, name: str) -> tuple[RateLimits, ...]:
    target = next(one for one in policy.backends if one.name == name)
    return policy.content(ME, target)[1]


def test_each_rule_limits_under_its_own_label_and_observing_ones_only_count(
    load: Load, backend: Make, agent_policy: Make
) -> None:
    policies = [agent_policy(RATED % ("", 60), "a"), agent_policy(RATED % ("mode: observe, ", 1), "b")]
    policy = compiled(load, backend, *policies, agent_policy(RATED % ("", 5), "c"))
    assert rates(policy, "github") == (
        RateLimits("AgentPolicy/a outbound[0]", Rate(60, 60.0)),
        RateLimits("AgentPolicy/b outbound[0]", Rate(1, 60.0), observe=True),
        RateLimits("AgentPolicy/c outbound[0]", Rate(5, 60.0)),
    )
    assert rates(policy, "jira") == ()


def test_annotations_limit_besides_the_rules_what_they_name(
    load: Load, backend: Make, agent_policy: Make
) -> None:
    said = (
        ("*/*", Rate(60, 60.0)),
        ("git*/create_*", Rate(5, 1.0)),
        ("jira/*", Rate(7, 3600.0)),
        ("*/*", Rate(60, 60.0)),
    )
    policy = compiled(load, backend, agent_policy(RATED % ("", 9)), rates=said)
    label = "annotation outrider.dev/rate-limit"
    assert rates(policy, "github") == (
        RateLimits("AgentPolicy/triage outbound[0]", Rate(9, 60.0)),
        RateLimits(f"{label} 60/m", Rate(60, 60.0)),
        RateLimits(f"{label} git*/create_*=5/s", tools=(("create_*", Rate(5, 1.0)),)),
    )
    assert rates(policy, "jira") == (
        RateLimits(f"{label} 60/m", Rate(60, 60.0)),
        RateLimits(f"{label} jira/*=7/h", Rate(7, 3600.0)),
    )
    assert policy.content(ME, INBOUND)[1] == ()
    assert policy.idle is None


def test_a_rate_for_no_backend_is_told_as_idle(load: Load, backend: Make) -> None:
    assert compiled(load, backend, rates=(("gitlab/*", Rate(1, 1.0)),)).idle == {"rates": ["gitlab/*=1/s"]}
