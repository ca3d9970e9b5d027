"""WWW-Authenticate comes from servers: reading never fails, and what is written holds only its values."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol.oauth.challenge import bearer_challenge, parse_challenges, quotable
from tests.support.fuzzing import examples

PIECES = st.sampled_from(
    [
        b"Bearer",
        b"Basic",
        b" ",
        b",",
        b"=",
        b'"',
        b"\\",
        b"\t",
        b"error",
        b"scope",
        b"abc==",
        b"a=b",
        b'a="b"',
        b"\xff",
        b"\0",
    ]
)


@settings(max_examples=examples(500))
@given(st.lists(PIECES, max_size=40).map(b"".join) | st.binary(max_size=200))
def test_any_value_is_read(value: bytes) -> None:
    for challenge in parse_challenges([value]):
        assert challenge.scheme
        assert all(name == name.lower() for name in challenge.params)


@settings(max_examples=examples(300))
@given(st.text(max_size=100), st.text(max_size=100))
def test_what_is_written_is_read_again(first: str, second: str) -> None:
    written = bearer_challenge([("error_description", first), ("scope", second)])
    (read,) = parse_challenges([written])
    expected = {"error_description": quotable(first), "scope": quotable(second)}
    assert read.params == {name: value for name, value in expected.items() if value}


def test_reading_takes_no_time_out_of_proportion() -> None:
    began = time.process_time()
    for piece in (
        b'Bearer a="' + b"\\" * 16000,
        b"a" * 16000,
        b"Bearer " + b"a=1," * 4000,
        b" ," * 8000,
        b"Bearer a=" + b" " * 16000,
    ):
        parse_challenges([piece])
    assert time.process_time() - began < 1.0
