from __future__ import annotations

import pytest

from mesh.policy.entries import MAX_ENTRY, MAX_STARS, is_pattern, name_fault, resource_fault, well_formed_name


@pytest.mark.parametrize("name", ["a", "list_issues", "github/create.issue-2", "A" * 128])
def test_names_of_the_mcp_character_set_are_well_formed(name: str) -> None:
    assert well_formed_name(name)


@pytest.mark.parametrize(
    "name", ["", "A" * 129, "a b", "a\n", "a\x00", "se\u200bcret", "ｓecret", "sécret", "a*", "a?", "a\ud800"]
)
def test_other_names_are_not_well_formed(name: str) -> None:
    assert not well_formed_name(name)


@pytest.mark.parametrize("entry", ["list_*", "?", "a*b?c"])
def test_a_star_or_question_mark_makes_a_pattern(entry: str) -> None:
    assert is_pattern(entry)
    assert not is_pattern(entry.replace("*", "").replace("?", ""))


@pytest.mark.parametrize(
    "entry", ["*", "list_issues", "list_*", "*delete*", "a?c", "odd name", "ｆull", "[x]"]
)
def test_good_entries_for_names(entry: str) -> None:
    assert name_fault(entry) is None


@pytest.mark.parametrize("entry", ["*", "repo://acme/*", "file:///a b?c", "x://{owner}/*"])
def test_good_entries_for_resources(entry: str) -> None:
    assert resource_fault(entry) is None


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("", "not empty"),
        ("x" * (MAX_ENTRY + 1), f"at most {MAX_ENTRY}"),
        ("a**", "** is not a pattern"),
        ("*a" * (MAX_STARS + 1), f"at most {MAX_STARS}"),
        ("a*\n", "no control characters"),
    ],
)
def test_bad_entries_are_explained(entry: str, fault: str) -> None:
    for check in (name_fault, resource_fault):
        message = check(entry)
        assert message is not None
        assert fault in message


@pytest.mark.parametrize("entry", ["list *", "[ab]*", "!*", "é*"])
def test_a_pattern_that_could_never_match_a_name_is_a_fault(entry: str) -> None:
    assert "patterns match only names" in (name_fault(entry) or "")
    assert resource_fault(entry) is None
