"""Listed words: case, length, neighbours, and where they stand in the text that was given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.guardrails import TermsOptions
from sidecar.guardrails.terms import KINDS, MAX_TERMS, TermsDetector


def found(words: tuple[str, ...], text: str, whole: bool = True) -> list[tuple[str, str]]:
    hits = TermsDetector(TermsOptions(words, whole)).scan(text)
    assert all(hit.kind in KINDS for hit in hits)
    return [(text[hit.start : hit.end], hit.note) for hit in hits]


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (("Acme",), "we buy at ACME today", [("ACME", "0")]),
        (("acme",), "acmes macme acme_", [("acme", "0")]),
        (("straße",), "in der STRASSE 5", [("STRASSE", "0")]),
        (("strasse",), "vor der Straße, hier", [("Straße", "0")]),
        (("istanbul",), "xİ istanbul", [("istanbul", "0")]),
        (("café",), "ein cafe\u0301.", [("cafe\u0301", "0")]),
        (("cafe",), "ein café.", []),
        (("office",), "the oﬃce is", [("oﬃce", "0")]),
        (("東京",), "私は東京に住む", [("東京", "0")]),
        (("c++",), "I know C++.", [("C++", "0")]),
        (("art", "art deco"), "art decorum and Art Deco", [("art", "0"), ("Art Deco", "1")]),
        (("new york", "york times"), "the new york times", [("york times", "1")]),
        (("a", "A"), "a", [("a", "0")]),
        (("", "  ", "x\x1fy"), "x\x1fy ", []),
        (("ночь",), "НОЧЬ ночью", [("НОЧЬ", "0")]),
    ],
)
def test_words_are_found_where_they_stand(
    words: tuple[str, ...], text: str, expected: list[tuple[str, str]]
) -> None:
    assert found(words, text) == expected


def test_parts_of_words_count_where_words_need_not_be_whole() -> None:
    assert found(("cme", "acme inc"), "AcmeInc acme incorporated", whole=False) == [
        ("cme", "0"),
        ("acme inc", "1"),
    ]


def test_half_of_a_ligature_is_all_of_it() -> None:
    assert found(("of",), "oﬃce", whole=False) == [("oﬃ", "0")]
    assert found(("ce",), "oﬃce", whole=False) == [("ce", "0")]


def test_no_words_find_nothing() -> None:
    assert found((), "anything") == []


def test_words_have_a_limit() -> None:
    TermsDetector(TermsOptions(tuple(f"w{i}" for i in range(MAX_TERMS))))
    with pytest.raises(ValueError, match="divide them"):
        TermsDetector(TermsOptions(("w",) * (MAX_TERMS + 1)))


@given(
    st.text(),
    st.text(alphabet="aßﬃİ é\u0301東x", min_size=1, max_size=4).filter(str.strip),
    st.text(),
    st.booleans(),
)
def test_a_word_put_into_a_text_is_covered_by_what_is_found(
    before: str, word: str, after: str, whole: bool
) -> None:
    text = f"{before} {word.strip()} {after}"
    hits = TermsDetector(TermsOptions((word,), whole)).scan(text)
    assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
    assert hits
