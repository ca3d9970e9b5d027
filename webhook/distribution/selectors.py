"""Which selectors match these labels, without asking every selector.

A selector can only match where its first pair is among the labels; so selectors are kept by that pair, and asking
costs as much as there are labels and candidates. Empty selectors match everything in their namespace.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from webhook.distribution.objects import Labels

T = TypeVar("T", bound=Hashable)
_Pair = tuple[str, str] | None


def selects(selector: Labels, labels: Labels) -> bool:
    """Does the selector match these labels?"""
    return not selector or all(pair in labels for pair in selector)


class Selectors(Generic[T]):
    """Selectors by what they belong to, each in a namespace."""

    __slots__ = ("_by_pair", "_selectors")

    def __init__(self) -> None:
        self._selectors: dict[T, tuple[str, Labels]] = {}
        self._by_pair: dict[tuple[str, _Pair], dict[T, Labels]] = {}

    def put(self, owner: T, namespace: str, selector: Labels) -> None:
        """`owner` selects so from now on."""
        self.remove(owner)
        self._selectors[owner] = (namespace, selector)
        self._by_pair.setdefault((namespace, _first(selector)), {})[owner] = selector

    def remove(self, owner: T) -> Labels | None:
        """`owner` selects nothing any more; what it selected, or None."""
        found = self._selectors.pop(owner, None)
        if found is None:
            return None
        namespace, selector = found
        place = (namespace, _first(selector))
        owners = self._by_pair[place]
        del owners[owner]
        if not owners:
            del self._by_pair[place]
        return selector

    def matching(self, namespace: str, labels: Labels) -> Iterator[T]:
        """Owners whose selector matches these labels in this namespace, in no particular order."""
        pairs: tuple[_Pair, ...] = (None, *labels)
        for pair in pairs:
            for owner, selector in self._by_pair.get((namespace, pair), {}).items():
                if selects(selector, labels):
                    yield owner


def _first(selector: Labels) -> _Pair:
    return selector[0] if selector else None
