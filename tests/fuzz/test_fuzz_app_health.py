"""Whatever an application answers to a probe, there is a verdict, and only the documented exceptions."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.telemetry import app_health
from sidecar.telemetry.app_health import Unhealthy
from sidecar.telemetry.grpc_health import DATA, GOAWAY, HEADERS, PING, SETTINGS, GrpcUnhealthy, check, frame

SERVES = b"\x00\x00\x00\x00\x02\x08\x01"
HTTP_SEEDS = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 503 \n\n",
)
GRPC_SEEDS = (
    frame(SETTINGS, 0, 0) + frame(HEADERS, 4, 1, b"\x88") + frame(DATA, 1, 1, SERVES),
    frame(SETTINGS, 0, 0) + frame(PING, 0, 0, b"8" * 8) + frame(DATA, 9, 1, b"\x02" + SERVES + b"\0\0"),
    frame(SETTINGS, 0, 0) + frame(GOAWAY, 0, 0, b"\0" * 8),
)


class Sent:
    """A writer that keeps nothing."""

    def write(self, data: bytes) -> None: ...


def mutated(seeds: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    def change(seed: bytes, number: int) -> bytes:
        chance, data = random.Random(number), bytearray(seed)
        for _ in range(chance.randint(0, 4)):
            place = chance.randrange(len(data) + 1)
            data[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 3))
        return bytes(data)

    return st.binary(max_size=200) | st.builds(change, st.sampled_from(seeds), st.integers(0, 2**32))


def fed(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=8192)
    reader.feed_data(data)
    reader.feed_eof()
    return reader


@given(mutated(HTTP_SEEDS))
async def test_an_answer_over_http_is_healthy_or_not(data: bytes) -> None:
    with contextlib.suppress(Unhealthy):
        assert (await app_health._status(fed(data)))[:8] in ("status 2", "status 3")


@given(mutated(GRPC_SEEDS))
async def test_an_answer_over_grpc_is_healthy_or_not(data: bytes) -> None:
    writer: Any = Sent()
    with contextlib.suppress(GrpcUnhealthy):
        await check(fed(data), cast("asyncio.StreamWriter", writer), "127.0.0.1:1", "mcp")


@pytest.mark.parametrize("seed", GRPC_SEEDS[:2])
async def test_the_seeds_are_healthy(seed: bytes) -> None:
    writer: Any = Sent()
    assert await check(fed(seed), cast("asyncio.StreamWriter", writer), "127.0.0.1:1", "") is None
