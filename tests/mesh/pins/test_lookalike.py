"""Names that can be mistaken for others, and names that cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.pins.lookalike import Likeness, Names, likeness


@pytest.mark.parametrize(
    ("name", "other", "why"),
    [
        ("get_\u0456ssue", "get_issue", Likeness.HOMOGLYPH),
        ("\uff47et_issue", "get_issue", Likeness.HOMOGLYPH),
        ("\U0001d420et_issue", "get_issue", Likeness.HOMOGLYPH),
        ("get_issu\u00e9", "get_issue", Likeness.HOMOGLYPH),
        ("1ogin", "login", Likeness.HOMOGLYPH),
        ("get\u200b_issue", "get_issue", Likeness.INVISIBLE),
        ("get_issue\ufe0f", "get_issue", Likeness.INVISIBLE),
        ("get_issue\U000e0041", "get_issue", Likeness.INVISIBLE),
        ("get_issue ", "get_issue", Likeness.INVISIBLE),
        ("get-issue", "get_issue", Likeness.SEPARATORS),
        ("getIssue", "get_issue", Likeness.SEPARATORS),
        ("GET_ISSUE", "get_issue", Likeness.SEPARATORS),
        ("get_isue", "get_issue", Likeness.KEYSTROKE),
        ("get_issues", "get_issue", Likeness.KEYSTROKE),
        ("get_isseu", "get_issue", Likeness.KEYSTROKE),
        ("get_issuw", "get_issue", Likeness.KEYSTROKE),
    ],
)
def test_a_name_is_mistaken_for(name: str, other: str, why: Likeness) -> None:
    assert likeness(name, other) is why
    assert Names([other]).mistaken(name) == (other, why)


@pytest.mark.parametrize(
    ("name", "other"),
    [("get", "set"), ("list", "lost"), ("get_issue", "get_issue"), ("get_issue", "get_pulls"), ("a", "")],
)
def test_a_name_is_not_mistaken_for(name: str, other: str) -> None:
    assert likeness(name, other) is None


def test_a_disguise_is_found_also_where_it_was_known_first() -> None:
    names = Names(["get_\u0456ssue", "get_issue"])
    assert names.disguised("get_\u0456ssue") == ("get_issue", Likeness.HOMOGLYPH)
    assert names.disguised("get_issue") is None
    assert names.mistaken("get_issue") is None


def test_honest_names_of_other_scripts_are_no_disguise() -> None:
    names = Names(["получить", "удалить", "取得", "削除"])
    assert [names.disguised(name) for name in ("получить", "удалить", "取得")] == [None] * 3


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_names_can_be_asked_about(name: str, other: str) -> None:
    assert (likeness(name, other) is None) or name != other


@given(st.text("abcdefghijk", min_size=9, max_size=20), st.data())
def test_one_keystroke_is_always_found(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    for slip in (name[:at] + name[at + 1 :], name[:at] + "z" + name[at:], name[:at] + "z" + name[at + 1 :]):
        assert likeness(slip, name) is Likeness.KEYSTROKE
