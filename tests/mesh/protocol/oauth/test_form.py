"""Form bodies as the specifications have them, and as another reader reads them."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol.oauth.form import encode_form, encoded


def test_the_example_of_rfc_6749_appendix_b() -> None:
    assert encoded(" %&+£€") == "+%25%26%2B%C2%A3%E2%82%AC"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aZ09*-._", "aZ09*-._"),
        ("~", "%7E"),
        ("a b", "a+b"),
        ("https://a.example/x?y=1#z", "https%3A%2F%2Fa.example%2Fx%3Fy%3D1%23z"),
        ("\r\n", "%0D%0A"),
        ("", ""),
    ],
)
def test_one_text(text: str, expected: str) -> None:
    assert encoded(text) == expected


def test_parameters_keep_their_order_and_repetitions() -> None:
    assert encode_form([("b", "1"), ("a", "2"), ("b", "3")]) == b"b=1&a=2&b=3"


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, TEXT)))
def test_another_reader_reads_what_was_written(pairs: list[tuple[str, str]]) -> None:
    body = encode_form(pairs).decode("ascii")
    assert parse_qsl(body, keep_blank_values=True) == [pair for pair in pairs if body]
