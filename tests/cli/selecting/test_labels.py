from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.selecting.labels import described, matches, mismatch, requirements


def expression(operator: str, *values: str, key: str = "app") -> dict:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (None, {}, True),
        ({}, {"app": "x"}, True),
        ({"matchLabels": {"app": "x"}}, {"app": "x", "tier": "y"}, True),
        ({"matchLabels": {"app": "x"}}, {"app": "y"}, False),
        ({"matchLabels": {"app": "x"}}, {}, False),
        (expression("In", "x", "y"), {"app": "y"}, True),
        (expression("In", "x"), {}, False),
        (expression("NotIn", "x"), {}, True),
        (expression("NotIn", "x"), {"app": "x"}, False),
        (expression("NotIn", "x"), {"app": "y"}, True),
        (expression("Exists"), {"app": ""}, True),
        (expression("Exists"), {}, False),
        (expression("DoesNotExist"), {}, True),
        (expression("DoesNotExist"), {"app": ""}, False),
        (expression("Near", "x"), {"app": "x"}, False),
        ({"matchLabels": {"a": "1"}, **expression("Exists")}, {"a": "1"}, False),
        ({"matchLabels": {"a": "1"}, **expression("Exists")}, {"a": "1", "app": "x"}, True),
    ],
)
def test_selectors_match_as_the_api_server_matches_them(selector, labels, expected) -> None:
    assert matches(selector, labels) is expected


@pytest.mark.parametrize(
    ("selector", "labels", "words"),
    [
        ({"matchLabels": {"app": "x"}}, {"app": "y"}, "app must be x, but it is y"),
        (expression("In", "x", "y"), {}, "app must be one of x, y, but it is not there"),
        (expression("NotIn", "x", "y"), {"app": "x"}, "app must not be x or y, but it is x"),
        (expression("Exists"), {}, "app must be there, but it is not there"),
        (expression("DoesNotExist"), {"app": ""}, "app must not be there, but it is empty"),
        (expression("Near"), {}, "app has the unknown operator Near, but it is not there"),
    ],
)
def test_the_first_mismatch_is_told_in_words(selector, labels, words) -> None:
    assert mismatch(selector, labels) == words


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


@given(labels, labels)
def test_match_labels_are_short_for_in(wanted, has) -> None:
    spelled = {"matchExpressions": requirements({"matchLabels": wanted})}
    assert matches({"matchLabels": wanted}, has) == matches(spelled, has) == (wanted.items() <= has.items())


@given(st.sampled_from(["In", "NotIn"]), st.lists(st.sampled_from("xyz"), min_size=1), labels)
def test_in_and_not_in_are_opposites(operator, values, has) -> None:
    assert matches(expression("In", *values, key="a"), has) is not matches(
        expression("NotIn", *values, key="a"), has
    )
    assert described(expression(operator, *values)["matchExpressions"][0])
