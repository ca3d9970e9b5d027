"""One question over gRPC, grpc.health.v1.Health/Check, in as much of HTTP/2 as it takes.

The gRPC library costs more memory than the rest of the sidecar, and this is all that it would be needed for. Our
request fits into the windows that every connection begins with, so there is no flow control; its header fields are
written out, so there is no state of compression; and the answer's fields are not read, because the verdict is in
its body: SERVING is said there or it is not. (RFC 9113; RFC 7541, section 6.2.2; gRPC health checking protocol.)
"""

from __future__ import annotations

import asyncio
import struct
from typing import Final

PATH: Final = b"/grpc.health.v1.Health/Check"
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME: Final = 16384
_MAX_FRAMES: Final = 100
_MAX_SERVICE: Final = 1000

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8

SERVING: Final = 1
_STATUS = {0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


class GrpcUnhealthy(Exception):
    """The application does not say that it serves; the text says what it does instead."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def request(authority: str, service: str) -> bytes:
    """Everything that a client sends to ask once. Raises GrpcUnhealthy for a service whose name is too long."""
    name = service.encode()
    if len(name) > _MAX_SERVICE:
        raise GrpcUnhealthy(f"the name of the service is longer than {_MAX_SERVICE} bytes")
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": PATH,
        b":authority": authority.encode(),
        b"content-type": b"application/grpc",
        b"te": b"trailers",
        b"user-agent": b"kube-probe/outrider",
    }
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields.items())
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    body = b"\x00" + len(message).to_bytes(4) + message
    return b"".join(
        (
            PREFACE,
            frame(SETTINGS, 0, 0),
            frame(HEADERS, END_HEADERS, 1, block),
            frame(DATA, END_STREAM, 1, body),
        )
    )


async def check(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, service: str
) -> None:
    """Return if `service` says SERVING. Raises GrpcUnhealthy, and OSError."""
    writer.write(request(authority, service))
    body = b""
    try:
        for _ in range(_MAX_FRAMES):
            kind, flags, stream, payload = await _read_frame(reader)
            if kind == SETTINGS and not flags & ACK:
                writer.write(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                writer.write(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY or (kind == RST_STREAM and stream == 1):
                raise GrpcUnhealthy("the application refuses the health check")
            elif kind in (DATA, HEADERS) and stream == 1:
                body += _content(flags, payload) if kind == DATA else b""
                if flags & END_STREAM:
                    return verdict(body)
    except asyncio.IncompleteReadError as error:
        raise GrpcUnhealthy("the application hung up before its answer was complete") from error
    raise GrpcUnhealthy("the application's answer does not end")


def verdict(body: bytes) -> None:
    """Return if the body of an answer says SERVING, else raise GrpcUnhealthy."""
    if not body:
        raise GrpcUnhealthy("the application has no health service, or does not know this one")
    if len(body) < 5 or body[0] != 0 or len(body) - 5 != int.from_bytes(body[1:5]):
        raise GrpcUnhealthy("the application's answer is no gRPC message")
    status = _status(body[5:])
    if status != SERVING:
        raise GrpcUnhealthy(f"the application says {_STATUS.get(status, status)}")


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    head = await reader.readexactly(9)
    length = int.from_bytes(head[:3])
    if length > MAX_FRAME:
        raise GrpcUnhealthy("the application's answer is no HTTP/2 without TLS")
    kind, flags, stream = struct.unpack(">BBL", head[3:])
    return kind, flags, stream & 0x7FFF_FFFF, await reader.readexactly(length)


def _content(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise GrpcUnhealthy("the application's answer breaks the grammar of HTTP/2")
    return payload[1 : len(payload) - payload[0]]


def _status(message: bytes) -> int:
    """Field 1 of HealthCheckResponse, the last one if there are several; unknown fields are skipped."""
    status = place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        if tag & 7 == 0:
            value, place = _read_varint(message, place)
            status = value if tag >> 3 == 1 else status
        elif tag & 7 == 2:
            length, place = _read_varint(message, place)
            place += length
        elif tag & 7 in (1, 5):
            place += 8 if tag & 7 == 1 else 4
        else:
            raise GrpcUnhealthy("the application's answer is no protobuf message")
    if place != len(message):
        raise GrpcUnhealthy("the application's answer is no protobuf message")
    return status


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise GrpcUnhealthy("the application's answer is no protobuf message")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _text(value: bytes) -> bytes:
    """A string without Huffman coding (RFC 7541, section 5.2)."""
    if len(value) < 127:
        return bytes((len(value),)) + value
    return b"\x7f" + _varint(len(value) - 127) + value
