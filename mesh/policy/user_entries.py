"""Which users a rule is about: entries `ISSUER#SUBJECT`, with `*` and `?` on each side of the `#`.

The two sides are matched apart: an issuer holds no `#`, a subject may, and no pattern reaches from one into the
other. So nobody whom one issuer calls `x#alice` is another issuer's alice.
"""

from __future__ import annotations

from collections.abc import Iterable

from mesh.policy.entries import is_pattern, resource_fault
from mesh.policy.globs import EntryList
from mesh.policy.urls import url_fault

_SHAPE = (
    "write ISSUER#SUBJECT, like https://idp.example.com/realms/acme#alice; *#* is every user with a token"
)


def user_fault(value: str) -> str | None:
    """What is wrong with an entry, or None."""
    issuer, mark, subject = value.partition("#")
    if not mark or not issuer or not subject:
        return _SHAPE
    fault = resource_fault(issuer) or resource_fault(subject)
    if fault is None and not is_pattern(issuer):
        fault = url_fault(issuer)
    return fault


class UserEntries:
    """A compiled list of entries. Case counts."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[str]) -> None:
        parts = (entry.partition("#") for entry in entries)
        self._entries = tuple((EntryList((issuer,)), EntryList((subject,))) for issuer, _, subject in parts)

    def matches(self, issuer: str, subject: str) -> bool:
        """Whether some entry is about a user."""
        return any(
            issuers.find(issuer) is not None and subjects.find(subject) is not None
            for issuers, subjects in self._entries
        )
