"""YAML text to a small tree that remembers lines, refusing what makes YAML ambiguous or expensive.

Built from the parser's events and not from PyYAML's constructed objects, because those forget where a value
stood, let the last of two equal keys win, expand aliases (a kilobyte can become gigabytes) and turn `no`
into False. Here anchors, aliases, merge keys and tags are refused, keys are strings written once, and a
scalar keeps its own text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from mesh.policy.errors import ErrorLog, shown
from mesh.policy.scalars import merges, read_as

MAX_CHARACTERS = 1024 * 1024
MAX_DEPTH = 32

# libyaml where PyYAML was built with it: the same events, twenty times faster.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as written; `plain` when it stood without quotes, so that YAML would guess its type."""

    line: int
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with the line it stands on, and its value."""

    line: int
    key: str
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping whose keys are distinct strings, in the order of the text."""

    line: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """A value that was refused and reported already; nothing more is said about it."""

    line: int


Node = Scalar | Sequence | Mapping | Broken


class _TooDeep(Exception):
    """The text nests deeper than MAX_DEPTH; its author is at fault."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def child_path(path: str, key: str) -> str:
    """The path of a key below `path`: `spec.tools`, or `labels["app.kubernetes.io/name"]` for other keys."""
    if not _SIMPLE_KEY.fullmatch(key):
        return f"{path}[{json.dumps(key[:100])}]"
    return f"{path}.{key}" if path else key


def read_documents(text: str, log: ErrorLog) -> list[Node]:
    """The documents of a YAML text, without empty ones. Faults go to `log`; after a syntax error the rest is
    lost.
    """
    documents: list[Node] = []
    if len(text) > MAX_CHARACTERS:
        log.add(1, "", f"the file has {len(text)} characters; at most {MAX_CHARACTERS} are read")
        return documents
    try:
        text.encode("utf-8")
        builder = _Builder(yaml.parse(text, Loader=_LOADER), log)
        documents.extend(builder.documents())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        log.add(mark.line + 1 if mark else 1, "", f"not valid YAML: {error.problem or error.context}")
    except _TooDeep as error:
        log.add(error.line, "", f"nested deeper than {MAX_DEPTH} levels")
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # ReaderError (a character YAML forbids), a lone surrogate, an escape beyond Unicode.
        log.add(1, "", f"not valid YAML: {str(error).splitlines()[0]}")
    return documents


def _is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and read_as(node.text) == "null"


class _Builder:
    """Turns the stream of events into nodes, one pass, recursion bounded by MAX_DEPTH."""

    __slots__ = ("_events", "_log")

    def __init__(self, events: Iterator[Any], log: ErrorLog) -> None:
        self._events = events
        self._log = log

    def documents(self) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                node = self._node(next(self._events), "", 0)
                if not _is_empty(node):
                    yield node

    def _node(self, event: Any, path: str, depth: int) -> Node:
        line: int = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise _TooDeep(line)
        if isinstance(event, yaml.AliasEvent):
            self._log.add(
                line, path, f"alias *{event.anchor}: anchors and aliases are refused; write the value out"
            )
            return Broken(line)
        if event.anchor is not None:
            self._log.add(
                line, path, f"anchor &{event.anchor}: anchors and aliases are refused; write the value out"
            )
        if event.tag is not None:
            self._log.add(
                line, path, f"tag {shown(event.tag)}: tags are refused; quote the value if it is a string"
            )
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(line, event.value, event.style is None or event.style == "")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(line, path, depth)
        return self._mapping(line, path, depth)

    def _sequence(self, line: int, path: str, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, f"{path}[{len(items)}]", depth + 1))
        return Sequence(line, tuple(items))

    def _mapping(self, line: int, path: str, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, path, depth + 1)
            text = self._key(key, path)
            below = child_path(path, text) if text is not None else path
            value = self._node(next(self._events), below, depth + 1)
            if text is None:
                continue
            if text in entries:
                first = entries[text].line
                self._log.add(
                    key.line, below, f"the key {shown(text)} stands twice, first on line {first}; keep one"
                )
            else:
                entries[text] = Entry(key.line, text, value)
        return Mapping(line, tuple(entries.values()))

    def _key(self, key: Node, path: str) -> str | None:
        """The text of a key, or None when it was refused and reported."""
        if isinstance(key, Broken):
            return None
        if not isinstance(key, Scalar):
            self._log.add(key.line, path, "a key is a list or mapping; keys are strings")
            return None
        if key.plain and merges(key.text):
            self._log.add(key.line, path, "merge key <<: merging is refused; write the fields out")
            return None
        if key.plain and (kind := read_as(key.text)) != "string":
            self._log.add(
                key.line,
                path,
                f"the key {key.text[:60] or '(empty)'} is read as a {kind} by YAML; put it in quotes",
            )
            return None
        return key.text
