"""Sentences: every part of a text is in one, and none is long."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sidecar.guardrails.injection.windows import MOST_CHARACTERS, window_around, windows, words


def test_sentences_end_where_they_end() -> None:
    text = "One is here. Two is there! Three\nfour\x1ffive <b>six</b> 七。八"
    parts = [text[start:end].strip() for start, end in windows(text)]
    assert parts[:3] == ["One is here.", "Two is there!", "Three"]
    assert {"four", "five <", "八"} <= {part.strip("\x1f") for part in parts}


def test_a_text_without_full_stops_is_read_in_overlapping_pieces() -> None:
    text = "word " * 1000
    spans = list(windows(text))
    assert all(end - start <= 2 * MOST_CHARACTERS for start, end in spans)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(later[0] < earlier[1] for earlier, later in pairwise(spans))


def test_the_window_around_a_place_is_its_sentence() -> None:
    text = "First one. The second one has it. Third."
    start, end = window_around(text, text.index("has"))
    assert text[start:end] == "The second one has it."


@given(st.text(alphabet="ab .!\n\x1f<", max_size=3000), st.data())
def test_the_window_around_a_place_holds_it_and_is_short(text: str, data: st.DataObject) -> None:
    if not text:
        return
    at = data.draw(st.integers(0, len(text) - 1))
    start, end = window_around(text, at)
    assert start <= at < end <= len(text)
    assert end - start <= 2 * MOST_CHARACTERS + 1


def test_words_are_lower_case_without_numbers() -> None:
    assert words("Don’t pay $30,000 to US133, Änne_x!") == ["don't", "pay", "to", "us", "änne", "x"]
