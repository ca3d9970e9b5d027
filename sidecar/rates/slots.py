"""How many requests of one rule are under way at a time.

A request's slots are a value of its own that gives them back where they came from, once, however it ends, and
whatever policy is in force by then.
"""

from __future__ import annotations

from collections.abc import Hashable


class Slots:
    """The requests under way that one limit counts together, or those of each user."""

    __slots__ = ("_taken", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken: dict[Hashable, int] = {}

    def __bool__(self) -> bool:
        """Whether any are taken."""
        return bool(self._taken)

    def taken(self, whose: Hashable = None) -> int:
        """How many are under way."""
        return self._taken.get(whose, 0)

    def take(self, count: int, whose: Hashable = None) -> None:
        """Begin so many. Whether there is room has been asked."""
        self._taken[whose] = self._taken.get(whose, 0) + count

    def give(self, count: int, whose: Hashable = None) -> None:
        """End so many that were begun. Nothing is kept of who has none left."""
        left = self._taken[whose] - count
        if left:
            self._taken[whose] = left
        else:
            del self._taken[whose]


class Taken:
    """The slots of one request."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[tuple[Slots, int, Hashable]] = []

    def take(self, slots: Slots, count: int, whose: Hashable) -> None:
        """Begin so many of a limit's."""
        slots.take(count, whose)
        self._held.append((slots, count, whose))

    def give(self) -> None:
        """End all of them. Safe to call twice."""
        held, self._held = self._held, []
        for slots, count, whose in held:
            slots.give(count, whose)
