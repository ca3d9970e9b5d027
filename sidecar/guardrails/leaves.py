"""All texts of a message as one text, and the way back from a place in it to where it stands in the message.

Detectors cost less asked once about one text than many times about short ones. Most messages hold nothing, so
walking them only collects texts; who wants to know where one of them stands has the message walked once more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

from mesh.protocol.mcp.places import Path, Root
from sidecar.guardrails.blobs import binary_text
from sidecar.guardrails.hit import SEPARATOR
from sidecar.guardrails.verdict import Leaf

NUMBER_DIGITS: Final = 7
"""Numbers with fewer digits are nobody's telephone, card or account."""
_SMALL: Final = 10 ** (NUMBER_DIGITS - 1)
_ROOM: Final = 96
"""Levels that are walked by recursion; JSON that the sidecar accepts has 64."""
_MANY_BITS: Final = 14_000
"""Python spells larger integers only when told to; as no reader takes them for text, hexadecimal does."""


class Sheet:
    """The texts of `roots` in the order of the message, divided by SEPARATOR; a key stands before its value."""

    __slots__ = ("_first", "_roots", "_starts", "_texts", "text")

    def __init__(self, roots: Iterable[Root]) -> None:
        self._roots = tuple(roots)
        self._first: list[int] = []
        texts: list[str] = []
        for root in self._roots:
            self._first.append(len(texts))
            _collect(root, texts)
        text = SEPARATOR.join(texts)
        if text.count(SEPARATOR) >= len(texts) > 0:
            texts = [one.replace(SEPARATOR, " ") for one in texts]
            text = SEPARATOR.join(texts)
        self.text: str = text
        self._texts = texts
        self._starts: list[int] = []

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def starts(self) -> Sequence[int]:
        """Where each text begins."""
        if not self._starts:
            lengths = [len(one) + 1 for one in self._texts]
            self._starts = list(accumulate(lengths[:-1], initial=0)) if lengths else []
        return self._starts

    def index_at(self, offset: int) -> int:
        """Which text the code point at `offset` is of; a SEPARATOR is of the text before it."""
        return bisect_right(self.starts, offset) - 1

    def span(self, index: int) -> tuple[int, int]:
        """Where a text begins and ends."""
        start = self.starts[index]
        return start, start + len(self._texts[index])

    def root_of(self, index: int) -> Root:
        """The root that a text is of."""
        return self._roots[bisect_right(self._first, index) - 1]

    def leaf_at(self, offset: int) -> tuple[Leaf, int]:
        """The leaf that the code point at `offset` is of, and where it begins."""
        index = self.index_at(offset)
        return self.leaves((index,))[index], self.starts[index]

    def leaves(self, indices: Iterable[int]) -> dict[int, Leaf]:
        """The leaves of some texts, in one walk over the roots they are of."""
        wanted: dict[int, set[int]] = {}
        for index in indices:
            number = bisect_right(self._first, index) - 1
            wanted.setdefault(number, set()).add(index - self._first[number])
        found: dict[int, Leaf] = {}
        for number, places in wanted.items():
            first = self._first[number]
            for place, leaf in _locate(self._roots[number], places):
                found[first + place] = leaf
        return found


def _collect(root: Root, texts: list[str]) -> None:
    """Append all texts of `root`."""
    holder, key, _, _, _, named, binary = root
    value = holder[key]
    if named and type(key) is str:
        texts.append(key)
    kind = type(value)
    if kind is str:
        texts.append(binary_text(value, _media_type(holder)) if binary else value)
    elif kind is dict or kind is list:
        _walk(value, texts.append, _ROOM)
    elif (kind is int or kind is float) and (number := number_text(value)) is not None:
        texts.append(number)


def _media_type(holder: Any) -> Any:
    return holder.get("mimeType") if type(holder) is dict else None


def _walk(value: Any, add: Callable[[str], None], room: int) -> None:
    """Give all texts of a container to `add`. By recursion, which is the fastest, as deep as there is room."""
    if not room:
        _walk_on(value, add)
    elif type(value) is dict:
        for key, one in value.items():
            add(key)
            kind = type(one)
            if kind is str:
                add(one)
            elif kind is dict or kind is list:
                _walk(one, add, room - 1)
            elif (kind is int or kind is float) and (number := number_text(one)) is not None:
                add(number)
    else:
        for one in value:
            kind = type(one)
            if kind is str:
                add(one)
            elif kind is dict or kind is list:
                _walk(one, add, room - 1)
            elif (kind is int or kind is float) and (number := number_text(one)) is not None:
                add(number)


def _walk_on(value: Any, add: Callable[[str], None]) -> None:
    """The same without recursion: depth is the sender's to choose."""
    levels = [_entries(value)]
    while levels:
        for key, one in levels[-1]:
            if type(key) is str:
                add(key)
            if type(one) is dict or type(one) is list:
                levels.append(_entries(one))
                break
            if _counts(one):
                add(one if type(one) is str else number_text(one) or "")
        else:
            levels.pop()


def _locate(root: Root, wanted: set[int]) -> Iterator[tuple[int, Leaf]]:
    """The leaves that `_collect` appends as the wanted ones, counted from 0."""
    holder, key, part = root.holder, root.key, root.part
    last, count = max(wanted), 0
    if root.named and type(key) is str:
        if 0 in wanted:
            yield 0, Leaf(key, holder, key, part, root.path, "key", False)
        count = 1
    value = holder[key]
    if type(value) is not dict and type(value) is not list:
        if count in wanted:
            yield count, _leaf(value, holder, key, root, root.path)
        return
    # Each level: what is left of it, its container, and the key that this stands under in the level above.
    levels: list[tuple[Iterator[tuple[Any, Any]], Any, Any]] = [(_entries(value), value, key)]
    while levels and count <= last:
        entries, holder, _ = levels[-1]
        for key, value in entries:
            if type(holder) is dict:
                if count in wanted:
                    yield count, Leaf(key, holder, key, part, _path(root, levels), "key", False)
                count += 1
            if type(value) is dict or type(value) is list:
                levels.append((_entries(value), value, key))
                break
            if _counts(value):
                if count in wanted:
                    yield count, _leaf(value, holder, key, root, _path(root, levels))
                count += 1
        else:
            levels.pop()


def _entries(value: Any) -> Iterator[tuple[Any, Any]]:
    """Keys or indices, and values."""
    return iter(value.items()) if type(value) is dict else enumerate(value)


def _path(root: Root, levels: list[tuple[Iterator[tuple[Any, Any]], Any, Any]]) -> Path:
    return (*root.path, *(key for _, _, key in levels))


def _counts(value: Any) -> bool:
    if type(value) is str:
        return True
    return (type(value) is int or type(value) is float) and number_text(value) is not None


def _leaf(value: Any, holder: Any, key: Any, root: Root, path: Path) -> Leaf:
    if type(value) is str:
        return Leaf(value, holder, key, root.part, path, "value", root.maskable)
    return Leaf(number_text(value) or "", holder, key, root.part, path, "number", root.maskable)


def number_text(value: int | float) -> str | None:
    """A number as it stands in JSON, or None where it has too few digits to say anything."""
    if type(value) is int:
        return _spelt(value) if not -_SMALL < value < _SMALL else None
    text = repr(value)
    if len(text) <= NUMBER_DIGITS:
        return None
    mantissa = text.partition("e")[0]
    return text if len(mantissa) - mantissa.count(".") - mantissa.count("-") >= NUMBER_DIGITS else None


def _spelt(value: int) -> str:
    return str(value) if value.bit_length() < _MANY_BITS else hex(value)
