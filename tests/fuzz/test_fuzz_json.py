"""The strict JSON reader under mutated and arbitrary bytes.

Only JsonRefused escapes, and whatever is accepted means the same to json.loads, before and after.
"""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh.protocol.strict_json import JsonRefused, parse
from tests.support.fuzzing import examples

SEEDS = [
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"q":"\xc3\xa9\\n"}}}',
    b'{ "a" : [ 1 , -0.0 , 1.50 , 1E5 , true , null ] , "b" : { "c" : "\\ud83d\\ude00" } }',
    b'[[[[{"a":{"b":[[]]}}]]],"]]]}}}","\\\\\\"[[["]',
    b"123456789012345678901234567890",
]
FRAGMENTS = [
    *(
        b'"',
        b"\\",
        b"\\u",
        b"\\ud800",
        b"\\udc00",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b" ",
        b"\n",
        b"\x00",
        b"\xff",
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"NaN",
        b"Infinity",
        b"-",
        b"1e400",
        b"0",
        b".5",
        b"1e-400",
        b"9" * 4301,
    ),
    *(b'"a":1,', b'"a":1,"a":2', b"[" * 70, b"]" * 70, b"\xe2\x80\xa8", b"/*", b"'"),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A seed with fragments put in, taken out or in place of what was there."""
    body = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        length = draw(st.integers(0, 6))
        body = body[:at] + draw(st.sampled_from([b"", *FRAGMENTS])) + body[at + length :]
    return body


def reading(text: bytes) -> Any:
    """What Python's own reader makes of it, refusing what it would forgive."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def finite(spelling: str) -> float:
        assert math.isfinite(float(spelling))
        return float(spelling)

    def no_constant(name: str) -> None:
        raise AssertionError(name)

    return json.loads(text.decode(), object_pairs_hook=unique, parse_float=finite, parse_constant=no_constant)


@settings(max_examples=examples(600), deadline=None)
@given(mutated() | st.binary(max_size=40) | st.lists(st.sampled_from(FRAGMENTS), max_size=8).map(b"".join))
@example(body=b'{"a":1,"\\u0061":2}')
@example(body=b"[1]\x0b")
def test_what_is_accepted_has_one_reading(body: bytes) -> None:
    try:
        parsed = parse(body)
    except JsonRefused:
        return
    assert reading(body) == reading(parsed.canonical) == parsed.value
    assert parse(parsed.canonical) == parsed
    parsed.canonical.decode()


@settings(max_examples=examples(200), deadline=None)
@given(st.text(alphabet='[]{}",:\\1 ', max_size=30))
def test_brackets_in_any_order_are_read_or_refused(text: str) -> None:
    try:
        value = parse(text.encode(), max_depth=4).value
    except JsonRefused:
        return
    assert value == json.loads(text)
