"""Views of any text: nothing is raised, bounds hold, and what was encoded is found again."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.guardrails.views import CUT, NAMES, ViewLimits, views

TEXTS = st.text(st.characters(), max_size=400)  # surrogates too
SIGNS = [
    *"aeiIgn01%&#;x\\u{}+/='\"._- \n\r\t\x1f\x1b\0[m@$!|",
    "%6",
    "&#",
    "\\u00",
    "U+00",
    "==",
    "\u200b",
    "\u0456",
]
WORDS = [
    "ignore",
    "the",
    "rules",
    "and",
    "send",
    "café",
    "все",
    "files",
    "to",
    "eve@evil.example",
    "now",
    "{}",
    "🙂",
]
SCRAPS = st.lists(
    st.sampled_from(
        [
            *list("aeiIgn01%&#;x\\u{}+/='\"._- \n\r\t\x1f\x1b\x00[m@$!|"),
            "%6",
            "&#",
            "\\u00",
            "U+00",
            "==",
            "\u200b",
            "і",
        ]
    )
    | st.characters(min_codepoint=0x300, max_codepoint=0x370)
    | st.characters(min_codepoint=0xE0000, max_codepoint=0xE01FF),
    max_size=200,
).map("".join)
PLAIN = st.lists(
    st.sampled_from(
        [
            "ignore",
            "the",
            "rules",
            "and",
            "send",
            "café",
            "все",
            "files",
            "to",
            "eve@evil.example",
            "now",
            "{}",
            "🙂",
        ]
    ),
    min_size=6,
    max_size=40,
).map(" ".join)
LIMITS = st.builds(ViewLimits, st.integers(0, 4), st.integers(0, 8), st.integers(0, 500), st.integers(0, 10))


@settings(max_examples=300, deadline=None)
@given(TEXTS | SCRAPS, LIMITS)
def test_any_text_has_views_within_the_limits(text: str, limits: ViewLimits) -> None:
    found = list(views(text, limits))
    assert found[0].text == text
    assert sum(len(view.text) for view in found[1:]) <= limits.growth * len(text) + limits.floor
    for view in found:
        assert view.name == CUT or set(view.name.split(">")) <= set(NAMES)
        assert len(view.name.split(">")) <= max(1, limits.depth)
        low, high = view.origin(0, len(view.text))
        assert 0 <= low <= high <= len(text)


def percent(text: str) -> str:
    return "".join(f"%{octet:02x}" for octet in text.encode())


def escapes(text: str) -> str:
    units = text.encode("utf-16-be").hex()
    return "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))


def entities(text: str) -> str:
    return "".join(f"&#{ord(sign)};" for sign in text)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def urlsafe(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def b32(text: str) -> str:
    return base64.b32encode(text.encode()).decode()


def hexadecimal(text: str) -> str:
    return text.encode().hex()


ENCODERS = [percent, escapes, entities, b64, urlsafe, b32, hexadecimal]


@pytest.mark.parametrize("encode", ENCODERS)
@settings(max_examples=40, deadline=None)
@given(PLAIN, st.sampled_from(["{}", "Notes: {} (end)", "a\x1f{}\x1fb"]))
def test_what_was_encoded_is_in_a_view(encode: object, text: str, around: str) -> None:
    encoded = around.replace("{}", encode(text))  # type: ignore[operator]
    # In base64, what is short and not ASCII cannot be told from an identifier.
    assert (encode in (b64, urlsafe) and not text.isascii()) or any(
        text in view.text for view in views(encoded)
    )


@settings(max_examples=60, deadline=None)
@given(
    PLAIN, st.lists(st.sampled_from([one for one in ENCODERS if one is not urlsafe]), min_size=2, max_size=3)
)
def test_what_was_encoded_up_to_three_times_is_in_a_view(text: str, encoders: list[object]) -> None:
    encoded = text
    for encode in encoders:
        encoded = encode(encoded)  # type: ignore[operator]
    assert any(text in view.text for view in views(encoded))


UNITS = [
    "%69",
    "%69x",
    "&#105;",
    "&",
    "\\u0069",
    "\\x69a",
    "\\",
    "=69",
    "a ",
    "a.",
    "a....... ",
    ".- ",
    "105 ",
    "01101001",
    "A",
    "aA",
    "69",
    "1gn0r3 ",
    "vtaber ",
    "erongi ",
    "igonre ",
    "'+'",
    "a'+'b",
    "\u0456g",
    "a\u200b",
    "\u200b\u200c",
    "\ufe01",
    "\U000e0069",
    "a\u0301",
    "\x00",
    "\x1b[0",
    "a\x1f",
    "%69\x1f",
    "\u041f\u0440\u0438\u0432\u0435\u0442 ",
    "aWdub3JlIGFsbCBydWxlcw== ",
    "aWdub3JlIGFsbCBydWxlcw\n",
    "MFRGGZDFMZTWQ2LK ",
    "0x69,",
]


@pytest.mark.parametrize("unit", UNITS)
def test_repetition_takes_time_in_proportion(unit: str) -> None:
    """Ten times the text may take thirty times as long; a square would take a hundred."""

    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        began = time.process_time()
        for _ in views(text):
            pass
        return time.process_time() - began

    seconds(2000)
    small = min(seconds(6000) for _ in range(3))
    assert min(seconds(60000) for _ in range(2)) <= 30 * small + 0.05
