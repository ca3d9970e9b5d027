"""The protobuf wire format, as far as messages of strings, numbers and messages need it.

The protobuf library costs 12 MB of memory in each sidecar, for two small messages. Readers skip fields that they
do not know, as the format wants, and refuse groups, which nothing has used for a decade.
(Protocol Buffers documentation, Encoding.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES: Final = 10
_MASK_64: Final = (1 << 64) - 1

Value = int | bytes
"""A varint as an unsigned number, everything else as its bytes."""


class ProtobufMalformed(ValueError):
    """These bytes are no message: the sender's side."""


def varint(number: int) -> bytes:
    """A base 128 varint; negative numbers as 64 bits in two's complement."""
    number &= _MASK_64
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """An integer, enum or bool field; nothing for 0, which is what absent means (proto3)."""
    return varint(field << 3 | VARINT) + varint(value) if value else b""


def message(field: int, content: bytes) -> bytes:
    """A field that holds a message, written also where it is empty."""
    return varint(field << 3 | LENGTH) + varint(len(content)) + content


def data(field: int, content: bytes) -> bytes:
    """A bytes field, nothing where it is empty."""
    return message(field, content) if content else b""


def text(field: int, content: str) -> bytes:
    """A string field; what cannot be UTF-8 is replaced, since a reader would refuse the whole message."""
    return data(field, content.encode("utf-8", "replace"))


def entry(field: int, key: str, value: bytes) -> bytes:
    """One entry of a map whose value field, with its number 2, is `value`."""
    return message(field, text(1, key) + value)


def fields(encoded: bytes) -> Iterator[tuple[int, int, Value]]:
    """(number, wire type, value) of each field in order. Raises ProtobufMalformed."""
    at = 0
    while at < len(encoded):
        key, at = _varint_at(encoded, at)
        field, kind = key >> 3, key & 7
        if not 0 < field < 1 << 29:
            raise ProtobufMalformed(f"field number {field}")
        if kind == VARINT:
            value: Value
            value, at = _varint_at(encoded, at)
        else:
            length = _length(kind)
            if length < 0:
                length, at = _varint_at(encoded, at)
            if length > len(encoded) - at:
                raise ProtobufMalformed("a field ends behind its message")
            value, at = encoded[at : at + length], at + length
        yield field, kind, value


def _length(kind: int) -> int:
    """Bytes of a value; -1 where they are told before it."""
    lengths = {FIXED64: 8, FIXED32: 4, LENGTH: -1}
    if kind not in lengths:
        raise ProtobufMalformed(f"wire type {kind}")
    return lengths[kind]


def _varint_at(encoded: bytes, at: int) -> tuple[int, int]:
    """The varint at `at` as 64 bits without sign, and where it ends."""
    value = 0
    for index, byte in enumerate(encoded[at : at + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & _MASK_64, at + index + 1
    raise ProtobufMalformed("a number does not end")
