"""The first bytes of a connection: TLS, HTTP or neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol.opening import Opening, opening


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", None),
        (b"\x16\x03\x01\x02\x00", Opening.TLS),
        (b"\x16", Opening.TLS),
        (b"POST /mcp HTTP/1.1\r\n", Opening.HTTP),
        (b"\r\nPOST /mcp HTTP/1.1\r\n", Opening.HTTP),
        (b"M-SEARCH * HTTP/1.1\r\n", Opening.HTTP),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Opening.HTTP),
        (b"GE", None),
        (b"G", None),
        (b"\r", None),
        (b"\r\n", None),
        (b"\r\nG", None),
        (b"\r\n\r\nGET / ", Opening.HTTP),
        (b"\n", None),
        (b"\nPOST /mcp HTTP/1.1", Opening.HTTP),
        (b"get / HTTP/1.1", Opening.HTTP),
        (b"x-odd!\t/ HTTP/1.1", Opening.HTTP),
        (b"\n" * 64, None),
        (b"\r\n" * 33, Opening.HTTP),
        (b"EHLO", None),
        (b"EHLO mail.example.com\r\n", Opening.HTTP),
        (b"SSH-2.0-OpenSSH_9.2", None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Opening.OTHER),
        (b"SSH-2.0-x Debian\r\n", Opening.OTHER),
        (b"\x00\x00\x00\x08\x04\xd2\x16/", Opening.OTHER),
        (b"*1\r\n$4\r\nPING\r\n", Opening.OTHER),
        (b"A" * 21, Opening.OTHER),
        (b" GET / HTTP/1.1", Opening.OTHER),
    ],
)
def test_what_a_connection_carries_is_told_by_its_first_bytes(data: bytes, found: Opening | None) -> None:
    assert opening(data) is found


@given(st.binary(max_size=40), st.integers(1, 40))
def test_what_was_told_of_the_first_bytes_stays_true_of_more(data: bytes, cut: int) -> None:
    early = opening(data[:cut])
    assert early is None or opening(data) is early


@given(st.binary(min_size=86, max_size=120))
def test_it_is_known_before_the_connection_has_sent_much(data: bytes) -> None:
    assert opening(data) is not None
