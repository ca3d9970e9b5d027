"""Member names that some decoders take for others.

Most readers compare the names of members exactly; Go's encoding/json ignores case, by Unicode folding. Where
a name decides what a message does, a second member that folds into it ("Name" next to "name") would be read
by such a server and not by a filter, so it is refused instead of ignored.
"""

from __future__ import annotations

from collections.abc import Iterable


class KnownNames:
    """The names that count in one place.

    `harmless` are others that are expected there and decide nothing: to know them is cheaper than to search.
    """

    __slots__ = ("_exact", "_folded")

    def __init__(self, *names: str, harmless: Iterable[str] = ()) -> None:
        self._exact = frozenset(names).union(harmless)
        self._folded = frozenset(name.casefold() for name in names)

    def lookalike(self, members: dict[str, object]) -> str | None:
        """A key of `members` that is not known but folds into one of the names; None if there is none."""
        if members.keys() <= self._exact:
            return None
        return self._search(members)

    def _search(self, members: Iterable[str]) -> str | None:
        for name in members:
            if name not in self._exact and name.casefold() in self._folded:
                return name
        return None
