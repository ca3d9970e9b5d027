from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serving = Callable[..., contextlib.AbstractAsyncContextManager[int]]


@contextlib.asynccontextmanager
async def application(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on loopback; its port. At the end every connection has ended."""
    under_way: set[asyncio.Task[None] | None] = set()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(handled, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.sleep(0)
        await asyncio.gather(*filter(None, under_way))


@pytest.fixture
def serving() -> Serving:
    return application
