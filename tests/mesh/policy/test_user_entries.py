from __future__ import annotations

import pytest

from mesh.policy.user_entries import UserEntries, user_fault


@pytest.mark.parametrize(
    ("entry", "issuer", "subject", "found"),
    [
        ("https://i#alice", "https://i", "alice", True),
        ("https://i#alice", "https://i", "Alice", False),
        ("https://i#alice", "https://I", "alice", False),
        ("https://i#alice", "https://i/", "alice", False),
        ("https://i#*", "https://i", "x#alice", True),
        ("https://i#*", "https://i", "", True),
        ("*#alice", "https://j", "alice", True),
        ("*#alice", "https://j", "x#alice", False),
        ("https://*#alice", "https://i", "x#alice", False),
        ("https://i#al?ce", "https://i", "alxce", True),
        ("https://i#a#b", "https://i", "a#b", True),
        ("https://i#*\u200b", "https://i", "alice", False),
        ("https://idp.*/realms/*#a*", "https://idp.x/realms/y", "a\nb", True),
    ],
)
def test_issuer_and_subject_are_matched_apart(entry: str, issuer: str, subject: str, found: bool) -> None:
    assert user_fault(entry) is None
    assert UserEntries([entry]).matches(issuer, subject) is found


@pytest.mark.parametrize("entry", ["", "alice", "#alice", "https://i#", "i#alice", "**#a", "*#**"])
def test_other_entries_are_refused(entry: str) -> None:
    assert user_fault(entry)


def test_no_entry_matches_nobody() -> None:
    assert not UserEntries([]).matches("https://i", "alice")
