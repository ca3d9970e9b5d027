"""Texts for a pattern, made of the pattern and a number."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.guardrails.pattern_surrogates import samples


@pytest.mark.parametrize(
    "pattern",
    [
        "^[0-9]{16}$",
        r"^\d{3}-\d{2}-\d{4}$",
        "^[^@ ]+@[^@ ]+\\.[a-z]+$",
        "^AKIA[A-Z]{9}$",
        "^(?:a|b)(?P<rest>[a-z0-9]*?)\\b$",
        "@corp",
        "[0-9]$",
        "^u1",
        r"^\+?[1-9]\d{1,14}$",
        r"^[\w.-]{2,}[]x]\S\D\W\s$",
        "^.{5}$",
    ],
)
def test_every_text_matches_and_numbers_tell_them_apart(pattern):
    texts = [next(samples(pattern, serial, 0, None)) for serial in range(50)]

    assert all(re.search(pattern, text) for text in texts)
    assert len(set(texts)) == 50


def test_lengths_are_met():
    assert [len(text) >= 40 for text in samples("^[a-z]+$", 1, 40, None)][:1] == [True]
    assert all(len(text) <= 5 for text in samples("^[a-z]+$", 1, 0, 5))


@pytest.mark.parametrize(
    "pattern",
    [
        "^(?=a)a+$",
        "^(?i)a+$",
        "^[[:alpha:]]+$",
        r"^\pL+$",
        "^*",
        "^(a",
        "^a)$",
        "^[a",
        "^a{x}$",
        "^a{2",
        "^[\u00e9]+$",
        "^" + "(" * 40 + "a" + ")" * 40 + "$",
        "^536-22-8714$",
        "^(?:536-22-8714|[0-9-]+)$",
        "^536-22-8[67]1[0-9]$",
    ],
)
def test_nothing_is_made_of_what_is_not_understood_or_leaves_few_texts(pattern):
    assert list(samples(pattern, 1, 0, None)) == []


@settings(max_examples=300)
@given(st.text(st.sampled_from("ab^$[](){}|*+?\\\\,-19.:<P"), max_size=25), st.integers(0, 10**6))
def test_no_pattern_raises_and_texts_are_bounded(pattern, serial):
    assert all(len(text) <= 512 for text in samples(pattern, serial, 0, None))
