"""Keeps structuredContent and the text that repeats it in step.

Servers return structured content twice, the second time as JSON in a text block, for clients that know no other
(MCP, tools, "Structured Content"); SDKs wrap what is no object into {"result": ...} and give the text of the inner
value, one block for each item of a list. Clients compare the two, or show one and compute with the other. So a
text that said the same before says the same afterwards: what is found in it is masked in the structured
content, and what changed there is written over the same place in the text, whose spelling stays otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from sidecar.guardrails import json_text
from sidecar.guardrails.json_text import JsonText, Scalar
from sidecar.guardrails.masking import Cut, Places, meets
from sidecar.guardrails.verdict import Finding, Leaf

MOST_ITEMS: Final = 1024
"""Items of a list whose texts are looked for one by one."""
STRUCTURED: Final = "structuredContent"


@dataclass(slots=True)
class Copy:
    """A text block that repeats what `path` leads to in the structured content; `known` None: literally."""

    block: dict[str, Any]
    path: tuple[str | int, ...]
    known: JsonText | None
    places: Places = field(default_factory=dict)

    def scalars(self) -> Iterator[Scalar]:
        """What may have changed, with the place in the text."""
        if self.known is None:
            text = self.block["text"]
            yield Scalar((), text, 0, len(text))
        else:
            yield from (one for one in self.known.scalars if not one.is_key)


@dataclass(slots=True)
class Copies:
    """Of one result, which `path` leads to in the message."""

    result: dict[str, Any]
    path: tuple[str | int, ...]
    copies: list[Copy]
    _by_block: dict[int, Copy] = field(default_factory=dict)

    def moved(self, finding: Finding) -> list[Finding] | None:
        """What is found in a copy, as findings in the structured content; None for what is found elsewhere, and
        empty where it cannot be moved."""
        leaf = finding.leaf
        if len(self._by_block) != len(self.copies):
            self._by_block = {id(copy.block): copy for copy in self.copies}
        copy = self._by_block.get(id(leaf.holder))
        if copy is None or leaf.key != "text" or leaf.form != "value":
            return None
        return list(self._moved(finding, copy))

    def _moved(self, finding: Finding, copy: Copy) -> Iterator[Finding]:
        text = copy.block["text"]
        if copy.known is None:
            yield finding._replace(leaf=self._leaf(finding, copy.path, text))
            return
        cut = Cut(finding.start, finding.end, finding.kind, 0, False)
        for scalar, inner in meets(text, copy.known, cut, copy.places):
            if scalar.is_key:
                continue
            leaf = self._leaf(finding, (*copy.path, *scalar.path), scalar.value)
            start, end = (inner.start, inner.end) if leaf.form == "value" else (0, len(leaf.text))
            yield finding._replace(leaf=leaf, start=start, end=end)

    def _leaf(self, finding: Finding, path: tuple[str | int, ...], value: Any) -> Leaf:
        whole = (STRUCTURED, *path)
        is_text = type(value) is str
        return Leaf(
            value if is_text else msgspec.json.encode(value).decode(),
            _at(self.result, whole[:-1]),
            whole[-1],
            finding.leaf.part,
            (*self.path, *whole[:-1]),
            "value" if is_text else "number",
        )

    def settle(self) -> bool:
        """Writes what changed in the structured content into its copies."""
        return sum(self._settle(copy) for copy in self.copies) > 0

    def _settle(self, copy: Copy) -> bool:
        now = _at(self.result[STRUCTURED], copy.path)
        text = copy.block["text"]
        changes: list[tuple[int, int, str]] = []
        for scalar in copy.scalars():
            value = _at(now, scalar.path)
            if value != scalar.value:
                new = value if copy.known is None else json_text.spelled(value, text.isascii())
                changes.append((scalar.start, scalar.end, new))
        if changes:
            copy.block["text"] = json_text.spliced(text, changes)
        return bool(changes)


def snapshot(result: dict[str, Any], path: tuple[str | int, ...] = ("result",)) -> Copies:
    """The copies in the result of a tool, before anything is masked in it."""
    copies = Copies(result, path, [])
    content = result.get("content")
    if STRUCTURED not in result or type(content) is not list:
        return copies
    parts = {_key(part): way for way, part in reversed(list(_parts(result[STRUCTURED])))}
    for block in content:
        if type(block) is dict and type(block.get("text")) is str:
            copy = _copy(block, parts)
            if copy is not None:
                copies.copies.append(copy)
    return copies


def _copy(block: dict[str, Any], parts: dict[bytes, tuple[str | int, ...]]) -> Copy | None:
    text = block["text"]
    literal = parts.get(_key(text))
    if literal is not None:
        return Copy(block, literal, None)
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    path = parts.get(_key(value))
    if path is None:
        return None
    known = json_text.read(text, containers_only=False)
    return None if known is None or known.repeated or known.too_much else Copy(block, path, known)


def _parts(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """What a text block may repeat: all of it, the one value that was wrapped, or an item of a list."""
    yield (), value
    path: tuple[str | int, ...] = ()
    if type(value) is dict and len(value) == 1:
        ((name, value),) = value.items()
        path = (name,)
        yield path, value
    if type(value) is list:
        yield from (((*path, place), item) for place, item in enumerate(value[:MOST_ITEMS]))


def _key(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        value = value[step]
    return value
