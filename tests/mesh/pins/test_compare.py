"""Differences that a person can read."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.pins.compare import MAX_TEXT, MOST_CHANGES, changed, escaped

TOOL: dict[str, Any] = {
    "name": "pay",
    "description": "Pays a bill.",
    "inputSchema": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"description": "Pays any bill."}, 'description: "Pays a bill." -> "Pays any bill."'),
        ({"description": "Pays\u00a0a bill."}, 'description: "Pays a bill." -> "Pays\\u{a0}a bill."'),
        ({"description": "P\u0430ys a bill."}, 'description: "Pays a bill." -> "P\\u{430}ys a bill."'),
        ({"annotations": {"readOnlyHint": True}}, 'annotations added: {"readOnlyHint":true}'),
        (
            {"inputSchema": {**TOOL["inputSchema"], "required": []}},
            'inputSchema.required[0] removed: "to"',
        ),
        (
            {"inputSchema": {**TOOL["inputSchema"], "properties": {"to": {"type": ["string"]}}}},
            'inputSchema.properties.to.type: "string" -> ["string"]',
        ),
        ({"a.b": 1}, '"a.b" added: 1'),
    ],
)
def test_a_change_names_its_place_and_both_sides(change: dict[str, Any], told: str) -> None:
    assert str(changed(TOOL, {**TOOL, **change})) == told


def test_nothing_is_told_where_only_the_order_differs() -> None:
    assert changed(TOOL, dict(reversed(TOOL.items()))) is None
    assert changed({**TOOL, "limit": 1}, {**TOOL, "limit": 1.0}) is None


def test_long_texts_are_cut_around_the_difference() -> None:
    difference = changed({"description": "a" * 5000 + "b"}, {"description": "a" * 5000 + "c" * 5000})
    assert difference is not None
    (change,) = difference.changes
    assert change.before == f'"…{"a" * 24}b"'
    assert change.after is not None
    assert change.after.startswith(f'"…{"a" * 24}ccc')
    assert len(change.after) <= MAX_TEXT + 4


def test_many_changes_are_counted() -> None:
    difference = changed({}, {f"m{index:03}": index for index in range(100)})
    assert difference is not None
    assert (len(difference.changes), difference.more) == (MOST_CHANGES, 100 - MOST_CHANGES)
    assert str(difference).endswith(f"; and {100 - MOST_CHANGES} more")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\nb", "a\\u{a}b"),
        ("a\u202eb", "a\\u{202e}b"),
        ("\u200b", "\\u{200b}"),
        ("Привет", "Привет"),
        ("Привет a", "\\u{41f}\\u{440}\\u{438}\\u{432}\\u{435}\\u{442} a"),
        ("\u3164", "\\u{3164}"),
        ("日本語", "日本語"),
    ],
)
def test_what_cannot_be_seen_or_told_apart_is_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown
