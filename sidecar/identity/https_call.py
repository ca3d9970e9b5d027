"""One HTTPS request on a connection of its own, for the calls that a sidecar makes a few times an hour.

A client library would cost more memory than everything else that identity needs; the reader of the data path
is here anyway.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

from mesh.protocol.http1.heads import Headers
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import ResponseReader
from mesh.protocol.http1.target import Target
from mesh.protocol.http1.whole import WholeAnswer
from mesh.protocol.http1.write import encode_request_head

READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpsCall:
    """A request. `path` is in origin form; Host, Content-Length and Connection are added."""

    method: str
    path: bytes
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class HttpsAnswer:
    """A whole answer."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)


async def https_call(
    server: Target, call: HttpsCall, context: ssl.SSLContext, *, seconds: float, limits: HttpLimits
) -> HttpsAnswer:
    """Send `call` to `server`, verified by `context`, and read the answer, all within `seconds`.

    Raises OSError (ssl.SSLError and TimeoutError are such) when there is no connection or it is lost,
    HttpRefused for an answer that is malformed or exceeds `limits`, AnswerTruncatable.
    """
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(
            server.host, server.port, ssl=context, server_hostname=server.host
        )
        try:
            writer.write(_encoded(server, call))
            return await _answer(reader, call.method, limits)
        finally:
            writer.transport.abort()


def _encoded(server: Target, call: HttpsCall) -> bytes:
    host = f"[{server.host}]" if ":" in server.host else server.host
    headers = [(b"host", f"{host}:{server.port}".encode("ascii")), *call.headers, (b"connection", b"close")]
    if call.method != "GET":
        headers.append((b"content-length", b"%d" % len(call.body)))
    return encode_request_head(call.method, call.path, headers) + call.body


async def _answer(stream: asyncio.StreamReader, method: str, limits: HttpLimits) -> HttpsAnswer:
    sink = WholeAnswer()
    reader = ResponseReader(sink, limits)
    reader.expect(method)
    while not sink.complete:
        if data := await stream.read(READ_BYTES):
            reader.feed(data)
        else:
            reader.eof()
    return HttpsAnswer(sink.status, sink.headers, sink.body)
