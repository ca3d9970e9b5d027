from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.globs import EntryList

NAMES = st.text("ab_*?[", max_size=12)
PATTERNS = st.lists(st.text("ab_*?", min_size=1, max_size=8), max_size=6)


def matches(pattern: str, name: str) -> bool:
    """The definition: two pointers, and back to the last star."""
    p = n = 0
    star, mark = -1, 0
    while n < len(name):
        if p < len(pattern) and pattern[p] == "*":
            star, mark, p = p, n, p + 1
        elif p < len(pattern) and pattern[p] in ("?", name[n]):
            p, n = p + 1, n + 1
        elif star >= 0:
            mark += 1
            p, n = star + 1, mark
        else:
            return False
    return pattern[p:].strip("*") == ""


@given(PATTERNS, NAMES)
def test_a_list_matches_what_one_of_its_entries_matches(entries: list[str], name: str) -> None:
    exact = [entry for entry in entries if "*" not in entry and "?" not in entry]
    globs = [entry for entry in entries if entry not in exact]
    expected = name in exact or any(matches(entry, name) for entry in globs)
    found = EntryList(entries).find(name)
    assert (found is not None) == expected
    if found is not None:
        assert entries[found] == name or matches(entries[found], name)


@given(st.text("ab*?", max_size=8), st.text("ab\n", max_size=12))
def test_the_definition_agrees_with_shell_patterns(pattern: str, name: str) -> None:
    assert matches(pattern, name) == fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("entries", "name", "index"),
    [
        (["a", "b"], "b", 1),
        (["a", "a"], "a", 0),
        (["*", "a"], "a", 1),
        (["a*", "*"], "b", 1),
        (["x", "list_*", "list_a*"], "list_abc", 1),
        (["x", "*_id"], "get_id", 1),
        (["x", "*delete*"], "delete", 1),
        (["x", "a*b*c"], "a--b--c", 1),
        (["x", "a?c", "a*z?"], "a--z!", 2),
        (["x", "a?c"], "a\nc", 1),
    ],
)
def test_the_entry_that_matched_is_told(entries: list[str], name: str, index: int) -> None:
    assert EntryList(entries).find(name) == index


@pytest.mark.parametrize("name", ["", "A", "lis_", "delet", "ab", "a-b-", "acca"])
def test_what_no_entry_matches_is_none(name: str) -> None:
    assert EntryList(["a", "list_*", "*_id", "*delete*", "a*b*c", "a?c"]).find(name) is None


def test_an_empty_list_matches_nothing() -> None:
    assert EntryList([]).find("a") is None
    assert EntryList([]).find_exact("a") is None
    assert EntryList([]).everything is None


def test_only_exact_entries_are_found_exactly() -> None:
    entries = EntryList(["a*", "a b", "*"])
    assert entries.find_exact("a b") == 1
    assert entries.find_exact("a*") is None
    assert entries.find_exact("*") is None
    assert entries.everything == 2


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*a*a*a*a*a*a*a*b", "a" * 128),
        ("*ab*ab*ab*ab*ab*ab*ab*c", "ab" * 64),
        ("*?*?*?*?*?*?*?*!", "x" * 128),
        ("*a*b*a*b*a*b*a*!", "ab" * 64),
    ],
)
def test_a_hostile_name_against_many_stars_is_fast(pattern: str, name: str) -> None:
    entries = EntryList([pattern] * 100)
    start = time.perf_counter()
    assert entries.find(name) is None
    # Backtracking would take longer than anybody waits; linear matching takes a millisecond or two.
    assert time.perf_counter() - start < 0.5
