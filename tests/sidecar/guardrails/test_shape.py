"""Limits of size, depth and number, and that the walk ends when they are broken."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.policy.guardrails import Part, ShapeOptions
from mesh.protocol.mcp.places import Root
from sidecar.guardrails.shape import KINDS, ShapeDetector


def kinds(options: ShapeOptions, *values: Any, size: int = 0) -> list[str]:
    roots = [Root({"x": value}, "x", Part.ARGUMENTS, ()) for value in values]
    faults = ShapeDetector(options).faults(roots, size)
    assert all(kind in KINDS and root in roots and detail for root, kind, detail in faults)
    return [kind for _, kind, _ in faults]


@pytest.mark.parametrize(
    ("options", "value", "expected"),
    [
        (ShapeOptions(), [[[["x" * 10_000]]]], []),
        (ShapeOptions(depth=1), "x", []),
        (ShapeOptions(depth=1), [1], []),
        (ShapeOptions(depth=1), [[]], ["TOO_DEEP"]),
        (ShapeOptions(depth=2), {"a": {"b": {}}}, ["TOO_DEEP"]),
        (ShapeOptions(items=2), [1, 2], []),
        (ShapeOptions(items=2), {"a": [1, 2, 3]}, ["TOO_MANY_ITEMS"]),
        (ShapeOptions(values=3), [[1], 2], []),
        (ShapeOptions(values=3), [[1, 2], 2], ["TOO_MANY_VALUES"]),
        (ShapeOptions(characters=3), ["abc", 12345], []),
        (ShapeOptions(characters=3), ["abcd", "abcde"], ["TOO_LONG_TEXT"]),
        (ShapeOptions(characters=3), {"abcd": 1}, ["TOO_LONG_TEXT"]),
        (ShapeOptions(characters=3), {}, []),
        (ShapeOptions(items=1, characters=1), [["xx"], "yy"], ["TOO_MANY_ITEMS", "TOO_LONG_TEXT"]),
    ],
)
def test_each_limit_holds_from_the_first_beyond_it(
    options: ShapeOptions, value: Any, expected: list[str]
) -> None:
    assert kinds(options, value) == expected


def test_bytes_are_those_of_the_message() -> None:
    assert kinds(ShapeOptions(bytes=10), "x", size=10) == []
    assert kinds(ShapeOptions(bytes=10), "x", size=11) == ["TOO_LARGE"]
    assert kinds(ShapeOptions(bytes=10), size=11) == []


def test_values_are_counted_over_all_roots() -> None:
    assert kinds(ShapeOptions(values=3), [1, 2], [3]) == []
    assert kinds(ShapeOptions(values=3), [1, 2], [3, 4]) == ["TOO_MANY_VALUES"]


def test_depth_without_end_is_not_walked_to_its_end() -> None:
    deep: list[Any] = []
    deep.append(deep)
    assert kinds(ShapeOptions(depth=50), deep) == ["TOO_DEEP"]
    assert kinds(ShapeOptions(values=50), deep) == ["TOO_MANY_VALUES"]
