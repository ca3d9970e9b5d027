"""JSON Patch (RFC 6902): the difference between two documents, as small as a linear walk makes it.

Objects are compared key by key, and arrays of things with names (containers, volumes, variables) name by name, as
Kubernetes itself merges them. Of other arrays the common head and tail stay untouched and what lies between is
compared place by place. So one container put first costs one `add` and no array is replaced whole: other
admission webhooks patch the same arrays.
"""

from __future__ import annotations

from typing import Any

from webhook.admission.outcome import Patch


def difference(old: object, new: object) -> Patch:
    """The operations that turn `old` into `new`: add, remove and replace only."""
    patch: Patch = []
    _compare(old, new, "", patch)
    return patch


def same(one: object, other: object) -> bool:
    """Equal as JSON: unlike `==` it tells true from 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def pointer(key: str) -> str:
    """`key` as one reference token of a JSON Pointer (RFC 6901, section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def _compare(old: object, new: object, path: str, patch: Patch) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        _compare_objects(old, new, path, patch)
    elif isinstance(old, list) and isinstance(new, list):
        before, after = _names(old), _names(new)
        if before and after and [n for n in before if n in after] == [n for n in after if n in before]:
            _compare_named(
                dict(zip(before, old, strict=True)), dict(zip(after, new, strict=True)), path, patch
            )
        else:
            _compare_arrays(old, new, path, patch)
    elif not same(old, new):
        patch.append({"op": "replace", "path": path, "value": new})


def _compare_objects(old: dict[str, Any], new: dict[str, Any], path: str, patch: Patch) -> None:
    for key in old:
        if key not in new:
            patch.append({"op": "remove", "path": f"{path}/{pointer(key)}"})
    for key, value in new.items():
        place = f"{path}/{pointer(key)}"
        if key in old:
            _compare(old[key], value, place, patch)
        else:
            patch.append({"op": "add", "path": place, "value": value})


def _names(items: list[Any]) -> dict[str, None] | None:
    """The names of `items` in their order, if each of them has one of its own."""
    names = [item.get("name") for item in items if isinstance(item, dict)]
    distinct = dict.fromkeys(name for name in names if isinstance(name, str))
    return distinct if len(distinct) == len(items) else None


def _compare_named(old: dict[str, Any], new: dict[str, Any], path: str, patch: Patch) -> None:
    # From the back, so that the places of what is still to be removed do not move.
    for place, name in reversed(list(enumerate(old))):
        if name not in new:
            patch.append({"op": "remove", "path": f"{path}/{place}"})
    # From the front, so that everything before `place` is as in `new` already.
    for place, (name, item) in enumerate(new.items()):
        if name in old:
            _compare(old[name], item, f"{path}/{place}", patch)
        else:
            patch.append({"op": "add", "path": f"{path}/{place}", "value": item})


def _compare_arrays(old: list[Any], new: list[Any], path: str, patch: Patch) -> None:
    shorter = min(len(old), len(new))
    head = 0
    while head < shorter and same(old[head], new[head]):
        head += 1
    tail = 0
    while tail < shorter - head and same(old[-1 - tail], new[-1 - tail]):
        tail += 1
    old_end, new_end = len(old) - tail, len(new) - tail
    both = min(old_end, new_end)
    for place in range(head, both):
        _compare(old[place], new[place], f"{path}/{place}", patch)
    patch.extend({"op": "remove", "path": f"{path}/{place}"} for place in range(old_end - 1, both - 1, -1))
    patch.extend(
        {"op": "add", "path": f"{path}/{place}", "value": new[place]} for place in range(both, new_end)
    )
