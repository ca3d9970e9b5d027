from __future__ import annotations

import pytest

from mesh.settings.narrow_values import MAX_ENTRIES, PolicyNames, ToolGlobs


@pytest.mark.parametrize("text", ["triage", "a, b.c ,d-e", "a,\n  b,"])
def test_names_of_policies_are_those_that_documents_may_have(text: str) -> None:
    assert PolicyNames().problem(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no entry"),
        (" , ,", "has no entry"),
        ("Triage", "is no name"),
        ("a, *", "is no name"),
        ("AgentPolicy/a", "is no name"),
        ("é", "is no name"),
        ("$(HOME)", "is no name"),
        ("a" * 254, "is no name"),
        ("a," * (MAX_ENTRIES + 1), "at most"),
    ],
)
def test_what_no_policy_can_be_called_is_told(text: str, said: str) -> None:
    assert said in (PolicyNames().problem(text) or "")


@pytest.mark.parametrize("text", ["github/get_*, */*", "github/$(HOME)", "a/b c,a/é", "a/{}", 'a/"', "a/\\"])
def test_globs_over_tools_may_hold_what_names_of_tools_hold(text: str) -> None:
    assert ToolGlobs().problem(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no entry"),
        ("*", "a Backend, a slash and a tool"),
        ("github/a, get_issue", '"get_issue": an entry is a Backend'),
        ("github/a\nb", "control character"),
        ("github/\x00", "control character"),
        ("github/\ud800", "control character"),
        ("github/\u2028x", "control character"),
        ("a/b," * (MAX_ENTRIES + 1), "at most"),
    ],
)
def test_what_is_no_glob_is_told(text: str, said: str) -> None:
    assert said in (ToolGlobs().problem(text) or "")
