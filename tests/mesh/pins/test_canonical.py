"""The canonical form: the examples of RFC 8785, and what holds for every value."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.pins.canonical import MAX_DEPTH, NotCanonical, _write, canonical, number

# RFC 8785, Appendix B: doubles by their bits.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_are_written_as_the_rfc_writes_them(bits: str, text: str) -> None:
    assert number(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), b"x", {(): 2}, {"a": {1}}, "\ud800"]
)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_the_first_example_of_the_rfc() -> None:
    given = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert canonical(given).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_members_are_sorted_by_utf_16_code_units() -> None:
    given = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(canonical(given))) == ["\r", "1", "\x80", "ö", "€", "\U0001f600", "\ufb33"]


def test_the_escapes_are_those_of_the_rfc() -> None:
    assert canonical("\b\t\n\f\r\x00\x1f\x7f/\u2028") == '"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f/\u2028"'.encode()


def test_integers_that_no_double_holds_keep_their_digits() -> None:
    assert [number(2**53 + one) for one in (0, 1, 2)] == [
        "9007199254740992",
        "9007199254740993",
        "9007199254740994",
    ]
    assert number(10**400) == "1" + "0" * 400
    assert number(10**21) == number(1e21)
    with pytest.raises(NotCanonical):
        number(10**5000)


def test_nesting_has_an_end() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert canonical(value).startswith(b"[[")
    with pytest.raises(NotCanonical):
        canonical([value])


# Beyond 2**53 the shortest digits of a double are not those of the integer that it is.
DOUBLES = st.floats(-(2.0**53), 2.0**53)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | DOUBLES | st.text()
VALUES = st.recursive(
    LEAVES, lambda below: st.lists(below) | st.dictionaries(st.text(), below), max_leaves=20
)


@given(VALUES)
def test_reading_it_gives_the_value_back(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@given(VALUES)
def test_both_ways_to_write_it_agree(value: Any) -> None:
    parts: list[str] = []
    _write(value, parts.append, 0)
    assert canonical(value) == "".join(parts).encode()


@given(VALUES)
def test_it_is_its_own_canonical_form(value: Any) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@given(st.dictionaries(st.text(), VALUES), st.randoms())
def test_the_order_of_members_does_not_count(value: dict[str, Any], random: Any) -> None:
    members = list(value.items())
    random.shuffle(members)
    assert canonical(dict(members)) == canonical(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_reads_back(value: float) -> None:
    assert float(number(value)) == value


@given(st.integers())
def test_every_integer_reads_back_as_the_same_double_or_as_itself(value: int) -> None:
    assert number(value) == str(value) or float(number(value)) == float(value) == value
