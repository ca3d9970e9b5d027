"""Sets of RE2 patterns: what they find, where, and that no text silences them."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from sidecar.guardrails.re2_set import Patterns, encodable, relaxed

PATTERNS = {"NUMBER": r"\b[0-9]{3,}\b", "PAIR": r"([a-z]+)=([a-z]+)", "WORD": r"secret"}


@pytest.fixture
def patterns() -> Patterns:
    return Patterns(PATTERNS)


def test_names_the_patterns_that_match_and_no_others(patterns: Patterns) -> None:
    assert list(patterns.which("a=b and 1234")) == [0, 1]
    assert list(patterns.which("nothing here")) == []
    assert list(patterns.which("")) == []


def test_finds_every_match_of_each_pattern(patterns: Patterns) -> None:
    assert list(patterns.find("123 secret 456 secret")) == [
        ("NUMBER", 0, 3),
        ("NUMBER", 11, 14),
        ("WORD", 4, 10),
        ("WORD", 15, 21),
    ]
    assert list(patterns.find("nothing")) == []


def test_positions_are_code_points_in_any_script(patterns: Patterns) -> None:
    text = "päß 𝔘 日本 secret 1234"
    found = {name: text[start:end] for name, start, end in patterns.find(text)}
    assert found == {"NUMBER": "1234", "WORD": "secret"}


def test_matches_have_their_groups(patterns: Patterns) -> None:
    ((name, match),) = patterns.matches("ü user=root")
    assert (name, match.group(1), match.group(2), match.start()) == ("PAIR", "user", "root", 2)
    assert list(patterns.matches("nothing")) == []


def test_a_lone_surrogate_does_not_move_or_silence_anything(patterns: Patterns) -> None:
    text = "\ud800 secret \udfff k=v"
    assert list(patterns.find(text)) == [("PAIR", 11, 14), ("WORD", 2, 8)]
    assert [match.start() for _, match in patterns.matches(text)] == [11, 2]
    assert len(encodable(text)) == len(text)


def test_case_is_ignored_where_asked() -> None:
    assert list(Patterns([("X", "secret")], ignore_case=True).find("SeCrEt")) == [("X", 0, 6)]
    assert list(Patterns([("X", "secret")]).find("SeCrEt")) == []


def test_a_set_that_gives_no_answer_is_replaced_by_its_patterns(patterns: Patterns) -> None:
    patterns.prepare()
    patterns._set = SimpleNamespace(Match=lambda text: None)
    assert list(patterns.which("a=b secret")) == [1, 2]
    assert list(patterns.which("nothing")) == []
    assert list(patterns.find("ä secret")) == [("WORD", 2, 8)]


def hostile(length: int) -> str:
    """Random letters that make the automaton of `[ab][^c]{30}d` build a new state at nearly each one."""
    return "".join(random.Random(7).choice("abx") for _ in range(length))


@pytest.mark.parametrize("max_mem", [1 << 16, 1 << 20, 16 << 20])
def test_a_text_that_blows_the_automaton_up_hides_nothing(max_mem: int, capfd: Any) -> None:
    patterns = Patterns(
        [("BLOW", r"[ab][^c]{30}d"), ("NEXT", r"b[^d]{25}z"), ("LAST", "needle")], max_mem=max_mem
    )
    text = hostile(8192) + "needle" + hostile(2048) + "d"
    assert [patterns.names[index] for index in patterns.which(text)] == ["BLOW", "LAST"]
    assert ("LAST", 8192, 8198) in list(patterns.find(text))
    assert capfd.readouterr().err == ""


def test_a_pattern_too_large_for_a_small_automaton_gets_what_the_set_may_take() -> None:
    patterns = Patterns([("LONG", r"(?:\pL{200}-){2}")], max_mem=64 << 20)
    assert list(patterns.find("1" + ("é" * 200 + "-") * 2)) == [("LONG", 1, 403)]


def test_a_pattern_that_cannot_be_read_says_so_at_preparation(capfd: Any) -> None:
    with pytest.raises(re2.error):
        Patterns([("BAD", "(")]).prepare()
    assert capfd.readouterr().err == ""


def test_knows_how_many_it_has(patterns: Patterns) -> None:
    assert len(patterns) == 3


@given(st.text(alphabet="ab =1234secrt\ud800é\x1f", max_size=60))
def test_the_set_agrees_with_each_pattern_by_itself(text: str) -> None:
    patterns = Patterns(PATTERNS)
    clean = encodable(text)
    alone = [i for i, source in enumerate(PATTERNS.values()) if re2.search(source, clean)]
    assert list(patterns.which(text)) == alone
    for name, start, end in patterns.find(text):
        assert re2.fullmatch(PATTERNS[name].replace(r"\b", ""), clean[start:end])


@pytest.mark.parametrize(
    ("pattern", "less"),
    [
        (r"[a-z]{1,64}@", r"[a-z]+@"),
        (r"x.{0,80}?y", r"x.*?y"),
        (r"\d{16}\b", r"\d{4,}\b"),
        (r"\d{3}-\d{2,4}a{5,}", r"\d{3}-\d{2,4}a{4,}"),
        (r"a{2,}b{4}c{1,5}", r"a{2,}b{4}c+"),
        (
            r"\p{Greek}{9}\x{1F600}[{9}]\{9}[^]{7}][[:alpha:]{8}]",
            r"\p{Greek}{4,}\x{1F600}[{9}]\{9}[^]{7}][[:alpha:]{8}]",
        ),
        (r"{x}\Qa{9}\E", r"{x}\Qa{9}\E"),
    ],
)
def test_counts_are_cut_short_and_braces_of_other_kinds_stay(pattern: str, less: str) -> None:
    assert relaxed(pattern, 4) == less


COUNTED = {
    "MAIL": r"[a-z]{1,6}@[a-z]{2,5}\.",
    "CARD": r"\b\d{6}(?: ?\d){2,7}\b",
    "GAP": r"secret[^\x1f]{0,9}key",
    "LAZY": r"a{5,7}?b",
}


@given(
    st.text(alphabet="ab@.123 \x1fé", max_size=50)
    | st.sampled_from(["secret a key", "secret" + "-" * 10 + "key"])
)
def test_a_set_that_asks_for_less_answers_the_same(text: str) -> None:
    exact, less = Patterns(COUNTED), Patterns(COUNTED, counts=2)
    assert list(less.which(text)) == list(exact.which(text))
    assert list(less.find(text)) == list(exact.find(text))
