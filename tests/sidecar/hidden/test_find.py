"""Placeholders are found however they are spelled, and hardly anything else is looked at closely."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.hidden.find import may_hold, placeholders_in

FAKE = b"outrider-hidden-0123456789abcdef0123456789abcdef"
OTHER = b"outrider-hidden-ffffffffffffffffffffffffffffffff"


def percent(text):
    return b"".join(b"%%%02X" % code for code in text)


def escapes(text):
    return b"".join(b"\\u%04x" % code for code in text)


@pytest.mark.parametrize(
    "spelled",
    [
        FAKE,
        b"x" + FAKE + b"y",
        FAKE + OTHER[:20],
        b"outrider-hidden-" + FAKE,
        percent(FAKE),
        percent(FAKE).lower(),
        percent(FAKE[:1]) + FAKE[1:],
        FAKE[:-1] + percent(FAKE[-1:]),
        b"outrider%2Dhidden%2d" + FAKE[16:],
        b'{"a": "' + escapes(FAKE) + b'"}',
        FAKE[:8] + escapes(FAKE[8:9]) + FAKE[9:],
        *(base64.b64encode(b"x" * before + FAKE + b"y" * after) for before in range(5) for after in range(4)),
        *(b'"' + base64.urlsafe_b64encode(b"\xff\xfe" * n + FAKE).rstrip(b"=") + b'"' for n in range(4)),
    ],
)
def test_it_is_found_in_every_spelling(spelled) -> None:
    assert placeholders_in(spelled) == {FAKE}


def test_several_are_found() -> None:
    assert placeholders_in(b"a=" + FAKE + b"&b=" + percent(OTHER)) == {FAKE, OTHER}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"outrider-hidden",
        b"outrider hidden " + b"0" * 32,
        b"https://a.example/%3Cb%3E%20%C3%A9?c=%2Fd%25",
        rb'{"a": "\u003cb\u003e \u00e9 \u0026 \u0027 \u000a"}',
        b"OUTRIDER-HIDDEN-" + b"0" * 32,
    ],
)
def test_ordinary_text_is_not_looked_at_closely(text) -> None:
    assert not may_hold(text)
    assert placeholders_in(text) == frozenset()


@pytest.mark.parametrize(
    "text", [FAKE[:-1], FAKE[:-1] + b"g", b"outrider-hidden-" + b"A" * 32, b"%6f", b"%6f%"]
)
def test_what_only_begins_like_one_is_none(text) -> None:
    assert placeholders_in(text) == frozenset()


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_it_is_found_wherever_it_stands_in_something_encoded(before, after) -> None:
    assert FAKE in placeholders_in(base64.b64encode(before + FAKE + after))


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([FAKE[:20], b"%6f", b"\\u006", b"ZGVu", FAKE])).map(b"".join)
)
def test_nothing_is_raised_whatever_comes(text) -> None:
    found = placeholders_in(text)
    assert (FAKE in found) >= (FAKE in text)
    assert not found or may_hold(text)
