"""Readers that the sections of the platform's settings file are put together from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mesh.identity.authorities import read_authorities
from mesh.identity.errors import IdentityInvalid
from mesh.policy import yaml_tree
from mesh.policy.errors import shown
from mesh.policy.fields import INVALID, Field, Invalid, Place, Reader, describe, read_object, read_text, text
from mesh.policy.yaml_tree import Broken, Entry, Node
from mesh.settings.kinds import Setting

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Names of most objects: DNS subdomains."""
_CAPITAL = re.compile(r"[A-Z]")


def attribute(key: str) -> str:
    """`hostPath` in the file is `host_path` in the settings."""
    return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", key)


def matching(pattern: re.Pattern[str], meant: str) -> Reader:
    """Text that `pattern` matches whole; `meant` says what it is."""

    def check(value: str) -> str | None:
        return None if pattern.fullmatch(value) else f"{shown(value)} is not {meant}"

    return text(check)


def filled(value: str) -> str | None:
    """A fault where there is nothing but blanks."""
    return None if value.strip() else "must not be empty"


def absolute(value: str) -> str | None:
    """A fault where it is no absolute path."""
    return None if value.startswith("/") else f"{shown(value)} is not an absolute path"


def file_name(value: str) -> str | None:
    """A fault where it leads to another folder."""
    return None if value and "/" not in value and value != ".." else f"{shown(value)} is not a file name"


def section(fields: Mapping[str, Field], make: Callable[..., Any]) -> Reader:
    """A mapping whose values are the arguments of `make`; absent ones keep its defaults."""

    def read(node: Node, place: Place) -> Any:
        values = read_object(node, place, fields)
        if values is None or INVALID in values.values():
            return INVALID
        return make(**{attribute(key): value for key, value in values.items() if value is not None})

    return read


def entries(node: Node, place: Place) -> tuple[Entry, ...] | Invalid:
    """The entries of a mapping whose keys are free."""
    if isinstance(node, yaml_tree.Mapping):
        return node.entries
    if isinstance(node, Broken):
        return INVALID
    return place.error(node, f"expected a mapping, found {describe(node)}")


def strings(node: Node, place: Place) -> dict[str, str] | Invalid:
    """A mapping of text to text whose keys are free."""
    found = entries(node, place)
    if isinstance(found, Invalid):
        return found
    read = {entry.key: read_text(entry.value, place.child(entry.key)) for entry in found}
    return {key: value for key, value in read.items() if isinstance(value, str)}


def authorities(node: Node, place: Place) -> str | Invalid:
    """Certificates as PEM text, without what stands between them; "" for none."""
    value = read_text(node, place)
    if isinstance(value, Invalid) or not value.strip():
        return value if isinstance(value, Invalid) else ""
    try:
        return read_authorities(value)
    except IdentityInvalid as malformed:
        return place.error(node, f"no authorities can be read from it: {malformed}")


def plain(read: Reader, make: Callable[[Any], Any]) -> Reader:
    """What `read` returns, made into the type that the settings want."""

    def made(node: Node, place: Place) -> Any:
        value = read(node, place)
        return INVALID if isinstance(value, Invalid) else make(value)

    return made


def row(setting: Setting) -> Field:
    """A value that a row of the settings table allows."""

    def fault(value: str) -> str | None:
        problem = setting.values.problem(value)
        return None if problem is None else f"{shown(value)} {problem}; allowed: {setting.values.allowed}"

    return Field(text(fault))
