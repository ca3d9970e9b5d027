"""Manifests as people write them: YAML documents in files, with their lines and their own text.

A document that no command changes is written back as the text it was, comments included. One that is changed is
written anew: keys keep their order, comments are lost. Values are read as `kubectl` reads them, which differs from
PyYAML in what YAML 1.1 calls timestamps and base-60 numbers: `12:30` stays text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cli.kubernetes_yaml import ManifestLoader, events

MAX_DEPTH = 100
MAX_NODES = 2_000_000
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


class ManifestInvalid(Exception):
    """Whoever wrote the manifest is at fault. The text has the file, the line and what is wrong."""

    def __init__(self, source: str, line: int, problem: str) -> None:
        super().__init__(f"{source}:{line}: {problem}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One YAML document: where it stands, its own text without `---`, and its value."""

    source: str
    line: int
    text: str
    value: Any


def sources(paths: list[str]) -> Iterator[tuple[str, str]]:
    """Name and text of every file: `-` is standard input, a folder all YAML and JSON files below it by name.

    Raises:
        ManifestInvalid: a path cannot be read, or is not UTF-8.
    """
    for path in paths:
        if path == "-":
            yield "<stdin>", sys.stdin.read()
            continue
        for file in _files(Path(path)):
            try:
                yield str(file), file.read_text(encoding="utf-8-sig")
            except OSError as error:
                raise ManifestInvalid(str(file), 1, f"cannot be read: {error.strerror}") from error
            except UnicodeDecodeError as error:
                raise ManifestInvalid(str(file), 1, "is not UTF-8 text") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())


def read_manifests(text: str, source: str) -> list[Manifest]:
    """The documents of a text, without empty ones.

    Raises:
        ManifestInvalid: the text is not YAML, a key stands twice, or it is nested or expanded without measure.
    """
    try:
        starts = _document_starts(text, source)
        loader = ManifestLoader(text)
        try:
            nodes = []
            while loader.check_node():
                nodes.append(loader.get_node())
            for node in nodes:
                _measure(node, source)
            values = [loader.construct_document(node) for node in nodes]
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ManifestInvalid(source, line, f"not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        problem = str(error).splitlines()[0]
        raise ManifestInvalid(source, 1, f"not valid YAML: {problem}") from error
    manifests = []
    for (begin, end), node, value in zip(starts, nodes, values, strict=True):
        if value is not None:
            own = text[begin:end].strip("\n") + "\n"
            manifests.append(Manifest(source, node.start_mark.line + 1, own, value))
    return manifests


def _document_starts(text: str, source: str) -> list[tuple[int, int]]:
    """Where the text of each document begins and ends; refuses what is nested too deeply to be composed.

    From the parser's events, whose number and nesting cost nothing: composing and constructing recurse.
    """
    places: list[tuple[int, int]] = []
    depth = begin = 0
    for event in events(text):
        start, end = event.start_mark, event.end_mark
        if isinstance(event, yaml.DocumentStartEvent):
            header = text[: start.index] if not places else ""
            begin = 0 if header.strip() and not _has_directives(event) else end.index
        elif isinstance(event, yaml.DocumentEndEvent):
            places.append((begin, start.index))
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ManifestInvalid(source, start.line + 1, f"nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return places


def _has_directives(event: Any) -> bool:
    return event.version is not None or bool(event.tags)


def _measure(root: Any, source: str) -> None:
    """Refuse aliases that contain themselves, or whose expansion would not fit in memory."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        known = sizes.get(id(node))
        if known is None:
            sizes[id(node)] = -1  # being measured: whoever meets it now is inside it
            known = 1
            if isinstance(node, yaml.SequenceNode):
                known += sum(map(size, node.value))
            elif isinstance(node, yaml.MappingNode):
                known += sum(size(key) + size(value) for key, value in node.value)
            sizes[id(node)] = known
        if known < 0 or known > MAX_NODES:
            raise ManifestInvalid(source, node.start_mark.line + 1, "an alias expands without measure")
        return known

    size(root)
