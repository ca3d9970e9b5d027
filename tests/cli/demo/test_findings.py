"""Statements held against what was seen."""

from __future__ import annotations

import pytest

from cli.demo.findings import contains, equal, shown
from mesh.reasons import Reason


def test_equal_holds_only_for_the_very_same() -> None:
    assert equal("s", expected=("a",), seen=("a",)).holds
    assert not equal("s", expected=("a",), seen=("a", "b")).holds
    assert not equal("s", expected=("a",), seen="a").holds


def test_a_finding_says_what_was_expected_and_what_was_seen() -> None:
    finding = equal("s", expected=Reason.TOOL_NOT_GRANTED, seen=None)
    assert (finding.expected, finding.seen) == ("tool_not_granted", "nothing")


def test_contains_looks_anywhere_in_the_text() -> None:
    assert contains("s", expected="b", seen="abc").holds
    assert not contains("s", expected="b", seen="ac").holds
    assert not contains("s", expected="b", seen=None).holds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        ("", "nothing"),
        ((), "nothing"),
        ({}, "nothing"),
        (True, "true"),
        ("words", "words"),
        (("a", None), "a, nothing"),
        ([("a", "b"), ("c",)], "a, b, c"),
        ({"allowed": False, "name": "x"}, "allowed=false name=x"),
    ],
)
def test_values_are_shown_as_words(value: object, text: str) -> None:
    assert shown(value) == text
