"""Whatever a file holds, `outrider guard` reads it as something, and the engine can be asked about that."""

from __future__ import annotations

import json
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cli.guard.rows import DataUnreadable, read_data
from cli.guard.sources import Given, source_of
from mesh.policy.guardrails import Part
from sidecar.guardrails.leaves import Sheet

PARTS = st.sampled_from([Part.RESULTS, Part.ARGUMENTS, Part.DESCRIPTIONS])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    ["jsonrpc", "method", "params", "result", "error", "id", "name", "arguments", "text"]
)
SAID = st.sampled_from(["2.0", "tools/call", "sampling/createMessage", "own/method"])
MESSAGES = st.dictionaries(MEMBERS, SAID | VALUES, max_size=6)
LINES = st.lists(MESSAGES.map(json.dumps), min_size=1, max_size=3).map("\n".join)


@given(st.text() | VALUES.map(json.dumps) | MESSAGES.map(json.dumps) | LINES, PARTS)
def test_every_text_is_something_to_examine(text: str, part: Part) -> None:
    source = source_of(text, part)
    for one in source.given:
        assert isinstance(one, Given)
        assert isinstance(Sheet(one.roots).text, str)


@given(st.lists(st.binary(max_size=60) | MESSAGES.map(lambda one: json.dumps(one).encode()), max_size=5))
def test_every_file_of_rows_is_read_or_told(tmp_path_factory, lines: list[bytes]) -> None:  # type: ignore[no-untyped-def]
    folder: Path = tmp_path_factory.mktemp("rows")
    (folder / "f.jsonl").write_bytes(b"\n".join(lines) + b'\n{"text": "x", "label": 1}\n')
    data = read_data(folder, frozenset({"f"}))
    told = [one for one in data.complaints if one.startswith("f.jsonl:")]
    filled = [one for one in b"\n".join(lines).split(b"\n") if one.strip()]
    assert len(data.rows["f"]) + len(told) == len(filled) + 1


def test_a_label_that_is_no_number_is_no_label(tmp_path: Path) -> None:
    for label in (math.nan, "1", None, [1], {}):
        (tmp_path / "f.jsonl").write_text(json.dumps({"text": "x", "label": label}))
        try:
            read_data(tmp_path, frozenset({"f"}))
        except DataUnreadable:
            continue
        raise AssertionError(label)
