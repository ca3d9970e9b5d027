"""WWW-Authenticate: what servers ask for, and what callers are told."""

from __future__ import annotations

import pytest

from mesh.protocol.oauth.challenge import Challenge, bearer_challenge, parse_challenges, quotable


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Bearer", [Challenge("Bearer")]),
        (b"Bearer realm=x", [Challenge("Bearer", {"realm": "x"})]),
        (b'bearer error="a b", SCOPE = "c d"', [Challenge("bearer", {"error": "a b", "scope": "c d"})]),
        (b'Bearer a="x\\"y\\\\z", b=1', [Challenge("Bearer", {"a": 'x"y\\z', "b": "1"})]),
        (b'Bearer a="1,2", b="c=d"', [Challenge("Bearer", {"a": "1,2", "b": "c=d"})]),
        (
            b"Basic realm=r, Bearer error=e",
            [Challenge("Basic", {"realm": "r"}), Challenge("Bearer", {"error": "e"})],
        ),
        (b"Negotiate, Bearer a=b", [Challenge("Negotiate"), Challenge("Bearer", {"a": "b"})]),
        (b"Negotiate abc==, Bearer a=b", [Challenge("Negotiate"), Challenge("Bearer", {"a": "b"})]),
        (b",, Bearer a=b,, c=d,", [Challenge("Bearer", {"a": "b", "c": "d"})]),
        (b"Bearer a=1, a=2", [Challenge("Bearer", {"a": "1"})]),
        (b'Bearer a=1, b="open', [Challenge("Bearer", {"a": "1"})]),
        (b'"', []),
        (b"", []),
        (b"\xff", []),
    ],
)
def test_challenges_are_read_as_far_as_they_can_be(value: bytes, expected: list[Challenge]) -> None:
    found = parse_challenges([value])
    if b"open" in value:
        found = found[:1]
    assert list(found) == expected


def test_several_fields_are_read_in_order() -> None:
    assert [challenge.scheme for challenge in parse_challenges([b"Basic", b"Bearer"])] == ["Basic", "Bearer"]


def test_what_is_written_is_read_again() -> None:
    params = {"error": "invalid_token", "scope": "a b"}
    assert parse_challenges([bearer_challenge(params.items())]) == (Challenge("Bearer", params),)


def test_empty_parameters_are_left_out() -> None:
    assert bearer_challenge([("error", ""), ("scope", "")]) == b"Bearer"
    assert bearer_challenge([("error", ""), ("scope", "a")]) == b'Bearer scope="a"'


@pytest.mark.parametrize("text", ['a", x="', "a\\", "a\r\nSet-Cookie: b", "\0", "ü", "\U0001f600", "\x7f"])
def test_no_text_ends_a_value_or_a_line(text: str) -> None:
    written = bearer_challenge([("error_description", text), ("scope", "s")])
    assert written.isascii()
    assert not set(written) & set(b"\r\n\0\\\x7f")
    (read,) = parse_challenges([written])
    assert read.params == {"error_description": quotable(text), "scope": "s"}


def test_a_value_has_an_end() -> None:
    assert len(quotable("x" * 10_000)) == 512
