from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from cli.policy.symbols import ANY, DEEP, classes_of
from mesh.policy.entries import well_formed_name
from mesh.policy.globs import glob_regex

ENTRIES = st.text(alphabet="ab_*? ", min_size=1, max_size=6)
NAMES = st.text(alphabet="ab_x~ ", min_size=1, max_size=8)


def matching(patterns: list[str], name: str) -> tuple[str, ...]:
    return tuple(p for p in dict.fromkeys(patterns) if re.fullmatch(glob_regex(p), name, re.DOTALL))


@given(st.lists(ENTRIES, max_size=5), NAMES)
def test_every_name_is_like_the_example_of_some_class(patterns: list[str], name: str) -> None:
    found = classes_of(patterns)
    assert found.complete
    wanted = matching(patterns, name), well_formed_name(name)
    assert wanted in {(one.entries, one.well_formed) for one in found.classes}


@given(st.lists(ENTRIES, max_size=5))
def test_every_example_matches_what_its_class_says(patterns: list[str]) -> None:
    for one in classes_of(patterns).classes:
        assert one.entries == matching(patterns, one.example)
        assert one.well_formed == well_formed_name(one.example)


def test_a_class_is_called_by_its_narrowest_pattern() -> None:
    titles = {one.title for one in classes_of(["get_issue", "get_*", "*delete*", "*"]).classes}
    assert {"get_issue", "get_*", "*", "*delete*", "*delete* and get_*"} <= titles
    assert "(names with unusual characters)" in titles


def test_a_star_stops_where_it_is_told_to_and_deep_goes_on() -> None:
    found = classes_of(["a/*/b", f"a/{ANY}{DEEP}"], ill_formed=False, stops="/").classes
    examples = {one.entries: one.example for one in found}
    assert examples[("a/*/b", f"a/{ANY}{DEEP}")] == "a//b"
    assert re.fullmatch(r"a/.+", examples[(f"a/{ANY}{DEEP}",)])


def test_more_than_can_be_looked_through_is_said() -> None:
    assert not classes_of([f"*a{'?' * 16}"]).complete
