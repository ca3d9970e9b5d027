"""The one gRPC question, asked of a server that is made of frames, and of the gRPC library's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.app_probes import GrpcProbe
from sidecar.telemetry.app_health import AppHealth
from sidecar.telemetry.grpc_health import (
    ACK,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_FRAME,
    PADDED,
    PATH,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    GrpcUnhealthy,
    frame,
    request,
    verdict,
)


def message(body: bytes) -> bytes:
    return b"\x00" + len(body).to_bytes(4) + body


SERVES = message(b"\x08\x01")


async def ask(port: int, service: str = "", seconds: float = 5.0) -> tuple[int, bytes]:
    return await AppHealth({"a/readiness": GrpcProbe(port, seconds, service)}, "127.0.0.1").verdict(
        "a/readiness"
    )


Told = Callable[..., Awaitable[tuple[tuple[int, bytes], bytes]]]


@pytest.fixture
def told(serving) -> Told:
    """The verdict when a server answers with these frames, and what it got."""

    async def tell(*answer: bytes) -> tuple[tuple[int, bytes], bytes]:
        got = bytearray()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"".join(answer))
            writer.write_eof()
            while more := await reader.read(65536):
                got.extend(more)

        async with serving(handle) as port:
            found = await ask(port)
        return found, bytes(got)

    return tell


HELLO = frame(SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x64")
HEAD = frame(HEADERS, 4, 1, b"\x88")
TRAILERS = frame(HEADERS, 4 | END_STREAM, 1, b"\x00")


@pytest.mark.parametrize(
    "answer",
    [
        (HELLO, HEAD, frame(DATA, 0, 1, SERVES), TRAILERS),
        (HELLO, frame(SETTINGS, ACK, 0), HEAD, frame(DATA, END_STREAM, 1, SERVES)),
        (HELLO, HEAD, *(frame(DATA, 0, 1, SERVES[i : i + 1]) for i in range(len(SERVES))), TRAILERS),
        (HELLO, HEAD, frame(DATA, PADDED, 1, b"\x03" + SERVES + b"\0\0\0"), TRAILERS),
        (HELLO, frame(8, 0, 0, b"\0\0\1\0"), frame(PING, ACK, 0, b"x" * 8), HEAD, frame(DATA, 1, 1, SERVES)),
    ],
)
async def test_who_says_serving_is_healthy(told, answer) -> None:
    assert (await told(*answer))[0] == (200, b"serving\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((HELLO, HEAD, frame(DATA, 1, 1, message(b"\x08\x02"))), b"the application says NOT_SERVING"),
        ((HELLO, HEAD, frame(DATA, 1, 1, message(b""))), b"the application says UNKNOWN"),
        ((HELLO, HEAD, frame(DATA, 1, 1, message(b"\x08\x63"))), b"the application says 99"),
        ((HELLO, TRAILERS), b"the application has no health service"),
        ((HELLO, frame(GOAWAY, 0, 0, b"\0" * 8)), b"the application refuses the health check"),
        ((HELLO, frame(RST_STREAM, 0, 1, b"\0" * 4)), b"the application refuses the health check"),
        ((HELLO, HEAD), b"the application hung up"),
        ((HELLO * 101,), b"the application's answer does not end"),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), b"the application's answer is no HTTP/2"),
        ((frame(SETTINGS, 0, 0, b"x" * (MAX_FRAME + 1)),), b"the application's answer is no HTTP/2"),
        ((HELLO, frame(DATA, PADDED | 1, 1, b"\x09abc")), b"the application's answer breaks the grammar"),
        ((HELLO, frame(DATA, PADDED | 1, 1, b"")), b"the application's answer breaks the grammar"),
    ],
)
async def test_everything_else_is_unhealthy_and_says_why(told, answer, said) -> None:
    status, sentence = (await told(*answer))[0]
    assert status == 503
    assert sentence.startswith(said)


async def test_what_a_server_asks_for_is_acknowledged(told) -> None:
    _, got = await told(HELLO, frame(PING, 0, 0, b"12345678"), HEAD, frame(DATA, 1, 1, SERVES))
    assert got.startswith(PREFACE)


def test_the_service_stands_in_the_request_and_long_ones_do_not() -> None:
    assert request("127.0.0.1:1", "mcp.Tools").endswith(message(b"\x0a\x09mcp.Tools"))
    assert request("h", "").endswith(message(b""))
    assert b"x" * 1000 in request("h", "x" * 1000)
    with pytest.raises(GrpcUnhealthy, match="longer than"):
        request("h", "x" * 1001)


@given(st.binary(max_size=40))
def test_whatever_stands_in_an_answer_it_is_healthy_or_not(body) -> None:
    for each in (body, message(body)):
        with contextlib.suppress(GrpcUnhealthy):
            verdict(each)


@pytest.mark.parametrize(
    "body", [b"\x08\x00\x08\x01", b"\x12\x01z\x08\x01", b"\x08\x01\x1d1234", b"\x19" + b"8" * 8 + b"\x08\x01"]
)
def test_fields_that_we_do_not_know_are_skipped(body) -> None:
    assert verdict(message(body)) is None


@pytest.mark.parametrize("body", [b"\x08", b"\x08" + b"\xff" * 11, b"\x12\x05ab", b"\x0b\x01"])
def test_what_is_no_protobuf_is_told(body) -> None:
    with pytest.raises(GrpcUnhealthy, match="no protobuf"):
        verdict(message(body))


@pytest.mark.parametrize(("service", "status"), [("", 200), ("mcp", 200), ("asleep", 503), ("unknown", 503)])
async def test_the_grpc_library_understands_the_question(service, status) -> None:
    async def respond(asked: bytes, context: grpc.aio.ServicerContext) -> bytes:
        name = asked[2:].decode()
        if name == "unknown":
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return b"\x08\x02" if name == "asleep" else b"\x08\x01"

    service_name, method = PATH.decode()[1:].split("/")
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(respond)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service_name, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        assert (await ask(port, service))[0] == status
    finally:
        await server.stop(None)
