from __future__ import annotations

import base64
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.guardrails.exfiltration.decode import (
    DECODED,
    from_base32,
    from_base64,
    from_hex,
    inflated,
    readable,
    readings,
)

TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=9, max_size=60)


@given(TEXTS)
def test_what_was_encoded_is_read(text: str) -> None:
    data = text.encode()
    assert from_base64(base64.b64encode(data).decode()) == text
    assert from_base64(base64.urlsafe_b64encode(data).decode().rstrip("=")) == text
    assert from_hex(data.hex()) == text
    assert from_base32(base64.b32encode(data).decode().rstrip("=").lower()) == text


@given(st.text(max_size=80))
def test_anything_may_be_asked(text: str) -> None:
    for reading in (from_base64(text), from_hex(text), from_base32(text), *readings(text)):
        assert isinstance(reading, str)


@pytest.mark.parametrize("data", [b"\x00\x01\x02\x03abc", b"\xff\xfe\xfd\xfc\xfb", bytes(range(128, 160))])
def test_bytes_that_are_no_text_read_as_nothing(data: bytes) -> None:
    assert readable(data) == ""


def test_a_text_that_was_cut_within_a_character_is_read_so_far() -> None:
    assert readable("grüße an alle ü".encode()[:-1]) == "grüße an alle "


def test_compressed_text_is_read_up_to_a_cap() -> None:
    assert inflated(gzip.compress(b"hello")) == b"hello"
    assert len(inflated(gzip.compress(b"a" * 10_000_000))) <= DECODED
    assert inflated(b"\x1f\x8bbroken") == b"\x1f\x8bbroken"
    assert inflated(b"plain") == b"plain"


def test_percent_within_percent_is_read() -> None:
    assert "a b;c" in list(readings("a%2520b%253Bc"))
