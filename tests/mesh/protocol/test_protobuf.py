from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol import protobuf
from mesh.protocol.protobuf import ProtobufMalformed
from tests.support.authorizing import messages


@given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=40), st.binary(max_size=300))
def test_the_library_reads_what_is_written(size: int, path: str, raw: bytes) -> None:
    encoded = protobuf.number(9, size) + protobuf.text(4, path) + protobuf.data(12, raw)
    read = messages()["HttpRequest"].FromString(encoded)
    assert (read.size, read.path, read.raw_body) == (size, path, raw)


@given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=40), st.binary(max_size=300))
def test_what_the_library_writes_is_read(size: int, path: str, raw: bytes) -> None:
    encoded = messages()["HttpRequest"](size=size, path=path, raw_body=raw).SerializeToString()
    found = {number: value for number, _, value in protobuf.fields(encoded)}
    assert found.get(9, 0) == size % 2**64
    assert found.get(4, b"") == path.encode()
    assert found.get(12, b"") == raw


def test_fields_of_fixed_length_are_passed_over() -> None:
    encoded = b"\x09" + bytes(8) + b"\x0d" + bytes(4) + protobuf.text(2, "x")
    assert list(protobuf.fields(encoded))[-1] == (2, protobuf.LENGTH, b"x")


@pytest.mark.parametrize(
    ("encoded", "said"),
    [
        (b"\x80" * 11, "does not end"),
        (b"\x08\x80", "does not end"),
        (b"\x0a\x05ab", "ends behind"),
        (b"\x09\x01", "ends behind"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x01", "field number 0"),
    ],
)
def test_what_is_no_message_is_refused(encoded: bytes, said: str) -> None:
    with pytest.raises(ProtobufMalformed, match=said):
        list(protobuf.fields(encoded))


def test_a_lone_surrogate_does_not_make_the_message_unreadable() -> None:
    assert messages()["HttpRequest"].FromString(protobuf.text(4, "/\ud800")).path == "/?"
