"""Long texts in pieces: all of them together see what the whole would show."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.guardrails.hit import SEPARATOR
from sidecar.guardrails.slices import Slice, slices
from tests.support.fuzzing import examples


def test_a_short_text_is_one_piece() -> None:
    assert list(slices("abc")) == [Slice(0, 3, 0, 3)]
    assert list(slices("")) == [Slice(0, 0, 0, 0)]
    assert list(slices("x" * 32768)) == [Slice(0, 32768, 0, 32768)]


def test_cuts_are_made_at_separators_and_keys_are_seen_again() -> None:
    text = SEPARATOR.join(["password"] + ["x" * 30] * 8)
    first, second, *_ = slices(text, 100, 40, 20)
    assert text[first.end] == SEPARATOR
    assert first.until == first.end == second.since
    assert second.start < second.since
    assert text[second.start - 1] == SEPARATOR


def test_a_text_without_separators_is_cut_with_an_overlap_of_whole_base64_groups() -> None:
    pieces = list(slices("a\x1f" + "b" * 300, 100, 10, 21))
    assert all(piece.end - following.start >= 21 for piece, following in pairwise(pieces))
    assert all((piece.start - 2) % 4 == 0 for piece in pieces[1:])
    assert pieces[-1].end == 302


texts = st.lists(st.text("ab", max_size=70), max_size=40).map(SEPARATOR.join)


@settings(max_examples=examples(300), deadline=None)
@given(texts, st.integers(0, 1000), st.integers(1, 10))
def test_everything_up_to_half_an_overlap_long_is_seen_whole_and_counts(
    text: str, at: int, length: int
) -> None:
    at = min(at, len(text))
    end = min(at + length, len(text))
    if at == end or SEPARATOR in text[at:end]:
        return
    seers = [
        one
        for one in slices(text, 64, 16, 20)
        if one.start <= at and end <= one.end and at < one.until and end > one.since
    ]
    assert seers


@settings(max_examples=examples(200), deadline=None)
@given(texts)
def test_pieces_are_bounded_and_follow_each_other(text: str) -> None:
    pieces = list(slices(text, 64, 16, 20))
    assert all(one.end - one.start <= 64 for one in pieces)
    assert pieces[0].since == 0
    assert pieces[-1].until == len(text) == pieces[-1].end
    for one, following in pairwise(pieces):
        assert one.start < following.start <= one.end + 1
        assert one.until == following.since
    assert len(pieces) <= 2 + len(text) // 12
