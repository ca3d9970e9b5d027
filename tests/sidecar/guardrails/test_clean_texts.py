"""What was clean is not read again, and nothing else is taken for it."""

from __future__ import annotations

from sidecar.guardrails.clean_texts import MOST, CleanTexts


def test_a_text_is_known_again_by_what_it_says() -> None:
    clean = CleanTexts()
    clean.add(("asked", clean.digest("a text")))
    assert ("asked", clean.digest("a text")) in clean
    assert ("asked", clean.digest("another")) not in clean
    assert ("others", clean.digest("a text")) not in clean


def test_digests_of_two_processes_differ() -> None:
    assert CleanTexts().digest("a text") != CleanTexts().digest("a text")


def test_halves_of_surrogate_pairs_have_digests_of_their_own() -> None:
    clean = CleanTexts()
    assert clean.digest("\ud83d") != clean.digest("\ude00")


def test_the_first_are_forgotten_first() -> None:
    clean = CleanTexts()
    for number in range(MOST + 1):
        clean.add(number)
    assert 0 not in clean
    assert 1 in clean
    assert MOST in clean
