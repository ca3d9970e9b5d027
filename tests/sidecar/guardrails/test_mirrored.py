"""Header fields that repeat arguments, when the arguments are masked."""

from __future__ import annotations

import pytest

from mesh.protocol.mcp.headers import decode_value, encode_value
from sidecar.guardrails.mirrored import mirror_params


@pytest.mark.parametrize(
    ("header", "before", "after", "expected"),
    [
        (b"ann@corp.com", {"to": "ann@corp.com"}, {"to": "<EMAIL_1>"}, b"<EMAIL_1>"),
        (encode_value("Zo\u00eb"), {"a": {"b": ["Zo\u00eb"]}}, {"a": {"b": ["<NAME_1>"]}}, b"<NAME_1>"),
        (b"4111111111111111", {"n": 4111111111111111}, {"n": 999000000000001}, b"999000000000001"),
        (b"4111111111111111", {"n": 4111111111111111.0}, {"n": 999000000000001.5}, b"999000000000001.5"),
        (b"4111111111111111.0", {"n": 4111111111111111}, {"n": 999000000000001}, b"999000000000001"),
        (b"4.111111111111111e15", {"n": "4111111111111111"}, {"n": "<CARD_1>"}, b"<CARD_1>"),
        (b"1e999999999", {"n": 1e300}, {"n": 5.5}, b"1e999999999"),
        (b"NaN", {"n": 1e300}, {"n": 5.5}, b"NaN"),
        (b"1" * 500, {"n": int("1" * 500)}, {"n": 5}, b"5"),
        (b"x", {"to": "ann@corp.com"}, {"to": "<EMAIL_1>"}, b"x"),
        (b"same", {"to": "same"}, {"to": "same"}, b"same"),
        (b"=?base64?!!?=", {"to": "a"}, {"to": "b"}, b"=?base64?!!?="),
        (b"true", {"flag": True, "s": "a"}, {"flag": True, "s": "b"}, b"true"),
        (b"a", {"s": "a"}, {"s": " b"}, encode_value(" b")),
    ],
)
def test_the_field_follows_the_argument_whose_value_it_says(header, before, after, expected):
    headers = [(b"mcp-name", b"t"), (b"mcp-param-to", header)]

    assert mirror_params(headers, before, after) == [(b"mcp-name", b"t"), (b"mcp-param-to", expected)]
    assert decode_value(expected) is None or decode_value(header) is not None


def test_the_same_list_where_nothing_changes():
    for headers in [[(b"mcp-name", b"a")], [(b"mcp-param-x", b"v"), (b"x-other", b"a")]]:
        assert mirror_params(headers, {"x": "a"}, {"x": "b"}) is headers
