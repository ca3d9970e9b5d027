from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy import read_object_alone
from mesh.policy.access.accept import AcceptedReason, accept
from mesh.policy.access.documents import OUTRIDER_GROUP, AccessPolicy, TargetRef
from tests.support.access_policies import Object, allow, ask, cel, inline

GITHUB = TargetRef(OUTRIDER_GROUP, "Backend", "tools", "github")
ACCEPTED, LIMIT, INVALID = AcceptedReason.ACCEPTED, AcceptedReason.LIMIT, AcceptedReason.INVALID_CEL


def read(*made: Object) -> list[AccessPolicy]:
    found = [read_object_alone(one) for one in made]
    return [one for one in found if isinstance(one, AccessPolicy)]


def reasons(*made: Object) -> dict[str, AcceptedReason]:
    return {policy.name: verdict.reason for policy, verdict in accept(read(*made), GITHUB).items()}


def test_five_policies_a_target_are_accepted_the_oldest() -> None:
    found = reasons(*(allow(f"p{age}", None, age=age) for age in range(7)))
    assert [name for name, reason in found.items() if reason is ACCEPTED] == ["p6", "p5", "p4", "p3", "p2"]
    assert found["p1"] is found["p0"] is LIMIT


def test_of_one_age_the_first_by_name_is_the_older() -> None:
    found = reasons(*(allow(name, None) for name in "gfedcba"))
    assert [name for name, reason in found.items() if reason is LIMIT] == ["f", "g"]


def test_when_the_oldest_goes_a_junior_takes_its_seat() -> None:
    policies = [allow(f"p{age}", None, age=age) for age in range(6)]
    assert reasons(*policies)["p0"] is LIMIT
    assert reasons(*policies[:-1])["p0"] is ACCEPTED


def test_an_external_authorization_counts_and_comes_first() -> None:
    found = reasons(ask("gate"), *(allow(f"p{age}", None, age=age) for age in range(1, 6)))
    assert next(iter(found)) == "gate"
    assert found["gate"] is LIMIT
    made = read(ask("gate"), *(allow(f"p{age}", None, age=age) for age in range(1, 6)))
    told = {policy.name: verdict.message for policy, verdict in accept(made, GITHUB).items()}
    assert told["gate"].endswith("; so nobody is asked, and it is closed until this one finds its place")
    older = reasons(ask("gate", age=9), *(allow(f"p{age}", None, age=age) for age in range(1, 6)))
    assert older["gate"] is ACCEPTED
    assert older["p1"] is LIMIT


def test_an_expression_that_is_none_takes_no_seat_and_is_told() -> None:
    made = [
        allow("bad", cel("request.nonsense"), age=9),
        *(allow(f"p{age}", None, age=age) for age in range(5)),
    ]
    verdicts = accept(read(*made), GITHUB)
    found = {policy.name: verdict for policy, verdict in verdicts.items()}
    assert found["bad"].reason is INVALID
    assert "rules[0] (r0): " in found["bad"].message
    assert "request.mcp.tool_name" in found["bad"].message
    assert all(found[f"p{age}"].accepted for age in range(5))
    assert reasons(ask("bad", cel("x +"), age=9), ask("good"))["good"] is ACCEPTED


def test_policies_of_other_targets_are_none_of_its_business() -> None:
    assert reasons(allow("a", None), allow("b", None, target="jira")) == {"a": ACCEPTED}


@pytest.mark.parametrize("seed", range(3))
@given(ages=st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), max_size=9))
def test_the_order_of_policies_does_not_matter(seed: int, ages: list[tuple[int, bool, bool]]) -> None:
    made = [
        (ask if asks else allow)(f"p{index}", cel("x +") if bad else inline("tools"), age=age)
        for index, (age, asks, bad) in enumerate(ages)
    ]
    shuffled = list(made)
    random.Random(seed).shuffle(shuffled)
    assert list(reasons(*made).items()) == list(reasons(*shuffled).items())
    found = list(reasons(*made).values())
    assert found.count(ACCEPTED) <= 5
