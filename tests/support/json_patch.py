"""RFC 6902 as strictly as it can be read: what is added needs its parent, what is replaced must be there."""

from __future__ import annotations

import copy
from typing import Any


def apply(patch: list[dict[str, Any]], document: Any) -> Any:
    """A copy of `document` with every operation of `patch` done in its order."""
    root = {"": copy.deepcopy(document)}
    for operation in patch:
        *path, last = ["", *map(_key, operation["path"].split("/")[1:])]
        parent: Any = root
        for key in path:
            parent = parent[int(key)] if isinstance(parent, list) else parent[key]
        _apply_one(operation, parent, last)
    return root[""]


def _key(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def _apply_one(operation: dict[str, Any], parent: Any, key: str) -> None:
    kind, value = operation["op"], copy.deepcopy(operation.get("value"))
    if isinstance(parent, list):
        place = int(key)
        assert 0 <= place <= len(parent) - (kind != "add")
        if kind == "add":
            parent.insert(place, value)
        elif kind == "remove":
            del parent[place]
        else:
            parent[place] = value
        return
    assert isinstance(parent, dict)
    assert kind == "add" or key in parent
    if kind == "remove":
        del parent[key]
    else:
        assert kind in ("add", "replace")
        parent[key] = value
