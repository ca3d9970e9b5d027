from __future__ import annotations

import pytest

from mesh.policy.scalars import merges, plain_boolean, plain_integer, read_as


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *[(word, "null") for word in ("", "~", "null", "Null", "NULL")],
        *[(word, "boolean") for word in ("true", "True", "no", "NO", "on", "Off", "y", "N", "yes")],
        *[
            (word, "number")
            for word in (
                *("0", "-1", "+1", "010", "0o10", "0x1F", "0b101", "1_000", "1e3", "1E-3", "1.", "1.5", ".5"),
                *("12:30", "1:20:30", "1:20:30.5", ".inf", "-.INF", ".nan", "1.5e+3"),
            )
        ],
        *[(word, "date") for word in ("2026-11-23", "2026-1-2", "2026-11-23T10:00:00Z", "2026-11-23 10:00")],
        *[
            (word, "string")
            for word in (
                *("list_*", "*", "None", "none", "nope", "10.0.0.1", "::1", "fe80::1", "/", ".", "..", "-"),
                *("v1", "0x", "1e", "e3", "12:99", "2026-11", "._", "_1", "spiffe://a/b", "1.2.3"),
            )
        ],
    ],
)
def test_a_word_has_the_type_that_some_yaml_reader_gives_it(text: str, kind: str) -> None:
    assert read_as(text) == kind


def test_long_words_are_classified_in_linear_time() -> None:
    for filler in ("1", "_", "1:1", "0x", "+"):
        assert read_as(filler * 200_000 + "!") in ("string", "number")


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("8080", 8080), ("-5", -5)])
def test_plain_decimal_integers_are_read(text: str, value: int) -> None:
    assert plain_integer(text) == value


@pytest.mark.parametrize("text", ["010", "0x1", "1_000", "+1", "1e3", "-0", "", "9" * 5000, "１"])
def test_integers_that_readers_disagree_on_are_none(text: str) -> None:
    assert plain_integer(text) is None


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("yes", None), ("True", None)])
def test_only_true_and_false_are_booleans(text: str, value: bool | None) -> None:
    assert plain_boolean(text) is value


def test_two_angle_brackets_merge() -> None:
    assert merges("<<")
    assert not merges("<")
