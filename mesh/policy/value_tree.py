"""Values of JSON to the tree that schemas read: objects of an API need no way through YAML text.

The same readers, the same faults: `from_value(v)` is what `read_documents` makes of v written as JSON, but for the
lines, which are all 0 because there are none.
"""

from __future__ import annotations

from collections.abc import Mapping as ValueMapping
from typing import Any

from mesh.policy.errors import ErrorLog
from mesh.policy.yaml_tree import MAX_DEPTH, Broken, Entry, Mapping, Node, Scalar, Sequence, child_path

NO_LINE = 0
_NULL = Scalar(NO_LINE, "null", plain=True)
_TRUE = Scalar(NO_LINE, "true", plain=True)
_FALSE = Scalar(NO_LINE, "false", plain=True)
_BROKEN = Broken(NO_LINE)


def from_value(value: Any, log: ErrorLog) -> Node:
    """The tree of a JSON value; what is none, and what nests too deep, goes to `log`."""
    return _node(value, "", 0, log)


def _node(value: Any, path: str, depth: int, log: ErrorLog) -> Node:
    if depth > MAX_DEPTH:
        log.add(NO_LINE, path, f"nested deeper than {MAX_DEPTH} levels")
        return _BROKEN
    if isinstance(value, str):
        return Scalar(NO_LINE, value, plain=False)
    if isinstance(value, ValueMapping):
        return _mapping(value, path, depth, log)
    if isinstance(value, list | tuple):
        items = (_node(item, f"{path}[{index}]", depth + 1, log) for index, item in enumerate(value))
        return Sequence(NO_LINE, tuple(items))
    return _scalar(value, path, log)


def _mapping(value: ValueMapping[Any, Any], path: str, depth: int, log: ErrorLog) -> Node:
    entries = []
    for key, item in value.items():
        if isinstance(key, str):
            entries.append(Entry(NO_LINE, key, _node(item, child_path(path, key), depth + 1, log)))
        else:
            log.add(NO_LINE, path, f"the key {key!r:.60} is no string")
    return Mapping(NO_LINE, tuple(entries))


def _scalar(value: Any, path: str, log: ErrorLog) -> Node:
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, int | float):
        return Scalar(NO_LINE, repr(value), plain=True)
    log.add(NO_LINE, path, f"a {type(value).__name__} is nothing that JSON has")
    return _BROKEN
