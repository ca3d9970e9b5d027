"""Looking into the fields of a head."""

from __future__ import annotations

from mesh.protocol.http1.heads import Headers, all_values, header

HEADERS: Headers = [(b"a", b"1"), (b"b", b""), (b"a", b"2")]


def test_header_gives_the_first_value() -> None:
    assert header(HEADERS, b"a") == b"1"


def test_header_tells_an_empty_value_from_an_absent_field() -> None:
    assert header(HEADERS, b"b") == b""
    assert header(HEADERS, b"c") is None


def test_all_values_keep_their_order() -> None:
    assert all_values(HEADERS, b"a") == [b"1", b"2"]
    assert all_values(HEADERS, b"c") == []
