"""On behalf of whom a rule grants: which users, with which scopes.

All that a user has to do with decisions is which parts of these conditions hold for them. So the parts are
numbered, and a user is, for decisions, the set of those that hold, a bit each: a million users of whom the rules
think alike share their remembered decisions.

A rule whose condition does not hold grants nothing. What it denies, what it wants of arguments and what it refuses
servers stays: to come without a user, or with fewer scopes, must never be a way around a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mesh.policy.principal import User
from mesh.policy.user_entries import UserEntries

MAX_USERS = 4096
"""For how many users it is remembered what holds for them."""
POSSIBLE: Final = -1
"""Everything holds: for what is asked before it is known who the user is."""


@dataclass(frozen=True, slots=True)
class UserCondition:
    """`users` are globs over `ISSUER#SUBJECT`, empty for every user; the token has to hold all of `scopes`."""

    users: tuple[str, ...]
    scopes: frozenset[str]


def condition_of(users: tuple[str, ...], scopes: frozenset[str]) -> UserCondition | None:
    """The condition of a rule; None where it has none."""
    return UserCondition(users, scopes) if users or scopes else None


class Standings:
    """The distinct parts of the conditions of all rules, and which of them hold for whom."""

    __slots__ = ("_entries", "_known", "_scopes", "_users")

    def __init__(self, conditions: Iterable[UserCondition | None] = ()) -> None:
        wanted = [one for one in conditions if one is not None]
        users = dict.fromkeys(one.users for one in wanted if one.users)
        scopes = dict.fromkeys(one.scopes for one in wanted if one.scopes)
        self._users = {part: 1 << number for number, part in enumerate(users)}
        self._scopes = {part: 1 << number for number, part in enumerate(scopes, len(users))}
        self._entries = [(UserEntries(part), bit) for part, bit in self._users.items()]
        self._known: dict[tuple[str, str, frozenset[str]], int] = {}

    def __bool__(self) -> bool:
        """Whether any rule asks about users."""
        return bool(self._users or self._scopes)

    def of(self, user: User | None) -> int:
        """What holds for a user, a bit each. For nobody nothing does."""
        if user is None or not self:
            return 0
        key = (user.issuer, user.subject, user.scopes)
        found = self._known.get(key)
        if found is None:
            found = self._work_out(user)
            if len(self._known) >= MAX_USERS:
                self._known.clear()
            self._known[key] = found
        return found

    def _work_out(self, user: User) -> int:
        held = sum(bit for entries, bit in self._entries if entries.matches(user.issuer, user.subject))
        return held + sum(bit for part, bit in self._scopes.items() if part <= user.scopes)

    def lacking(self, condition: UserCondition | None, standing: int) -> str:
        """The part of a condition that does not hold, `users` or `scopes`; empty where all of it does."""
        if condition is None:
            return ""
        if condition.users and not self._users[condition.users] & standing:
            return "users"
        return "scopes" if condition.scopes and not self._scopes[condition.scopes] & standing else ""
