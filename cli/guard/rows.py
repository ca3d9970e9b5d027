"""Labelled texts: a folder of JSON Lines files, read so that one bad line or file does not cost the others."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = "MANIFEST.json"
_SUFFIX: Final = ".jsonl"


@dataclass(frozen=True, slots=True)
class Row:
    """One text. `label`: it must be found. `fields` is all that the line says, whatever that is."""

    id: str
    text: str
    label: bool
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Data:
    """The rows by the name of their file, without its suffix. `complaints` are sentences about what is not there
    or cannot be read."""

    rows: Mapping[str, tuple[Row, ...]]
    complaints: tuple[str, ...]


class DataUnreadable(Exception):
    """There is no folder, or nothing in it that can be read; whoever named it is at fault."""


class _NoRow(Exception):
    """A line holds no row; whoever wrote the file is at fault."""


def read_data(folder: Path, known: frozenset[str]) -> Data:
    """The files of `known` names that are in `folder`.

    Raises DataUnreadable.
    """
    if not folder.is_dir():
        raise DataUnreadable(f"{folder}: is no folder; name the one that holds the .jsonl files")
    there = {path.stem: path for path in sorted(folder.glob(f"*{_SUFFIX}"))}
    rows: dict[str, tuple[Row, ...]] = {}
    complaints: list[str] = []
    for name in sorted(known & there.keys()):
        rows[name] = tuple(_rows(there[name], complaints))
    if not any(rows.values()):
        wanted = ", ".join(f"{name}{_SUFFIX}" for name in sorted(known))
        raise DataUnreadable(f"{folder}: holds no rows that could be measured; known files: {wanted}")
    for name in sorted(known - there.keys()):
        complaints.append(f"{name}{_SUFFIX} is not there: nothing is measured on it")
    for name in sorted(there.keys() - known):
        complaints.append(f"{name}{_SUFFIX} is none that anything is measured on: left out")
    return Data(rows, (*_counted(folder, rows, complaints),))


def _counted(folder: Path, rows: Mapping[str, tuple[Row, ...]], complaints: list[str]) -> Iterator[str]:
    """What is wrong, and files that are shorter than the manifest, if there is one, says."""
    yield from complaints
    try:
        listed = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("file"), str):
            name, count = entry["file"].removesuffix(_SUFFIX), entry.get("n")
            if name in rows and isinstance(count, int) and count != len(rows[name]):
                yield f"{name}{_SUFFIX} has {len(rows[name])} rows where {MANIFEST} says {count}"


def _rows(path: Path, complaints: list[str]) -> Iterator[Row]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        complaints.append(f"{path.name}: cannot be read: {error.strerror}")
        return
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _row(json.loads(line), f"{path.stem}:{number}")
            except (ValueError, RecursionError, _NoRow) as error:
                complaints.append(f"{path.name}:{number}: no row, left out: {error}")


def _row(value: Any, place: str) -> Row:
    if not isinstance(value, dict):
        raise _NoRow("not an object")
    label = value.get("label")
    if label not in (0, 1):
        raise _NoRow("label is neither 0 nor 1")
    return Row(str(value.get("id", place)), _text(value), bool(label), value)


def _text(value: dict[str, Any]) -> str:
    """`text`, or `text_b64` for what scanners of repositories would stumble over."""
    text, encoded = value.get("text"), value.get("text_b64")
    if isinstance(text, str):
        return text
    if not isinstance(encoded, str):
        raise _NoRow("neither text nor text_b64 is a string")
    try:
        return b64decode(encoded, validate=True).decode(errors="surrogateescape")
    except binascii.Error as error:
        raise _NoRow("text_b64 is not base64") from error
