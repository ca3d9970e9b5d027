"""Text in pieces is masked as the whole is, and waits no longer than it must."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar.guardrails.stream import MaskedText, Span, fixed, joined, last_phrase

PATTERNS = {
    "EMAIL": re2.compile(r"\b[a-z0-9]{1,20}@[a-z]{1,10}\.com\b"),
    "CARD": re2.compile(r"\b[0-9]{4}(?: [0-9]{4}){3}\b"),
    "KEY": re2.compile(r"\bsk-[a-z0-9]{6,12}\b"),
    "PASSWORD": re2.compile(r"\bpassword: [a-z0-9]{4,10}\b"),
}


def examine(text):
    return [
        Span(*match.span(), kind) for kind, pattern in PATTERNS.items() for match in pattern.finditer(text)
    ]


def toy(text):
    """Every `secret`, wherever it stands."""
    return [Span(at, at + 6, "TOY") for at in range(len(text)) if text.startswith("secret", at)]


def mask(kind, value):
    return f"<{kind}:{len(value)}>"


def whole(text, finder):
    parts, place = [], 0
    for span in joined(finder(text)):
        parts += (text[place : span.start], mask(span.kind, text[span.start : span.end]))
        place = span.end
    return "".join(parts) + text[place:]


def in_pieces(pieces, finder, hold, opens):
    stream = MaskedText(finder, mask, hold, opens)
    passed = "".join(stream.feed(piece) for piece in pieces)
    return passed + stream.end()


def divided(text, cuts):
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(places)]


WORDS = st.one_of(
    st.sampled_from(
        [
            "ann@corp.com",
            "4111 1111 1111 1111",
            "sk-abcdef123",
            "password: hunter2",
            "hello",
            " ",
            "  ",
            "\n",
            ".",
            "4111",
            "@",
            "sk-",
            "password:",
            "secret",
            "secsecret",
            "x" * 90,
        ]
    ),
    st.text("asecrt1@.- \n", max_size=8),
)
TEXTS = st.lists(WORDS, max_size=30).map("".join)
SPACED = st.lists(WORDS, max_size=30).map(" ".join)
CUTS = st.lists(st.integers(0, 10_000), max_size=40)


@settings(max_examples=400)
@given(TEXTS, CUTS)
@example("ann@corp.com", list(range(13)))
def test_any_division_gives_what_the_whole_gives_where_a_fixed_number_is_held(text, cuts):
    pieces = divided(text, cuts)

    assert in_pieces(pieces, examine, 40, fixed) == whole(text, examine)
    assert in_pieces(pieces, toy, 40, fixed) == whole(text, toy)


@settings(max_examples=400)
@given(SPACED, CUTS)
def test_any_division_gives_what_the_whole_gives_where_the_last_phrase_is_held(text, cuts):
    pieces = divided(text, cuts)

    assert in_pieces(pieces, examine, 128, last_phrase) == whole(text, examine)
    assert in_pieces(pieces, toy, 128, last_phrase) == whole(text, toy)


@settings(max_examples=200)
@given(TEXTS, st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=20))
def test_nothing_is_lost_or_said_twice_however_often_it_is_released(text, cuts):
    stream = MaskedText(lambda _: [], mask, 32)
    passed = ""
    for piece in divided(text, [cut for cut, _ in cuts]):
        passed += stream.feed(piece)
        if len(piece) % 2:
            passed += stream.release()

    assert passed + stream.end() == text


@pytest.mark.parametrize("text", ["All is well. ", "Done\n", "hello world, it is fine\t"])
def test_what_cannot_be_the_beginning_of_anything_passes_at_once(text):
    stream = MaskedText(examine, mask)

    assert stream.feed(text) == text
    assert stream.held == 0


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("write to ann@co", "ann@co"),
        ("card 4111 1111 ", "4111 1111 "),
        ("the password: ", "password: "),
        ("Authorization: Bearer eyJ", "Authorization: Bearer eyJ"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE \n", "-----BEGIN PRIVATE KEY-----\nMIIE \n"),
        ("IBAN DE89 3704 ", "IBAN DE89 3704 "),
    ],
)
def test_what_may_go_on_is_held(text, held):
    assert text[last_phrase(text, 512) :] == held


def test_never_more_than_the_bound_is_held_and_the_total_cost_is_linear():
    looked_at = 0

    def counting(text):
        nonlocal looked_at
        looked_at += len(text)
        return examine(text)

    text = "x" * 20_000
    for opens in fixed, last_phrase:
        looked_at = 0
        stream = MaskedText(counting, mask, 64, opens)
        for place in range(0, len(text), 16):
            stream.feed(text[place : place + 16])
            assert stream.held <= 64 + 64
        assert looked_at <= 16 * len(text)


def test_what_was_released_too_early_is_masked_in_its_second_part_and_counted():
    stream = MaskedText(examine, mask)
    passed = stream.feed("to ann@co") + stream.release() + stream.feed("rp.com now ")

    assert passed == "to ann@co<EMAIL:6> now "
    assert stream.split == 1


def test_a_value_that_is_found_when_it_is_released_is_masked_and_what_grows_out_of_it_too():
    stream = MaskedText(lambda text: [Span(0, len(text.split(" ")[0]), "WORD")], mask)

    assert (
        stream.feed("abc") + stream.release() + stream.feed("def rest ") + stream.end()
        == "<WORD:3><WORD:3> rest "
    )


@pytest.mark.parametrize("opens", [fixed, last_phrase])
def test_a_value_longer_than_the_bound_takes_everything_up_to_white_space_with_it(opens):
    def long(text):
        at = text.find("KEY")
        end = at
        while at >= 0 and end < len(text) and text[end] not in " \n":
            end += 1
        return [Span(at, end, "KEY")] if at >= 0 else []

    stream = MaskedText(long, mask, 32, opens)
    text = "a KEY" + "x" * 500 + " b "
    passed = "".join(stream.feed(character) for character in text) + stream.end()

    assert passed.startswith("a <KEY:")
    assert passed.endswith(" b ")
    assert "x" not in passed
    assert stream.swallowed > 300


def test_overlapping_spans_are_one_and_named_after_the_longest():
    assert joined([Span(3, 9, "B"), Span(0, 4, "A"), Span(9, 10, "C"), Span(4, 4, "D")]) == [
        Span(0, 9, "B"),
        Span(9, 10, "C"),
    ]


def test_a_long_stream_in_random_pieces_is_masked_as_the_whole():
    draw = random.Random(7)
    text = " ".join(
        draw.choice(["ann@corp.com", "4111 1111 1111 1111", "word", "and", "sk-abcdef12"])
        for _ in range(3000)
    )
    pieces, place = [], 0
    while place < len(text):
        size = draw.choice([1, 2, 5, 50])
        pieces.append(text[place : place + size])
        place += size

    assert in_pieces(pieces, examine, 512, last_phrase) == whole(text, examine)
    assert in_pieces(pieces, examine, 512, fixed) == whole(text, examine)
