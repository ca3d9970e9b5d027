"""One connection to the control plane: the POST whose body and answer stay open, over TLS 1.3.

In TLS 1.3 a server judges its client's certificate when the client's handshake is over, and many servers then end
the connection without an alert: an end before any answer counts as a refusal of the SVID that was shown.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from mesh.distribution.messages import CONFIGURATION_PATH, Configuration, FromSidecar, Hello
from mesh.identity.errors import DocumentInvalid
from mesh.protocol.http1.heads import Headers, ResponseHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import ResponseReader
from mesh.protocol.http1.target import Target
from mesh.protocol.http1.write import chunk, encode_request_head
from sidecar.control.conversation import Conversation, Over
from sidecar.control.failed import CallFailed, Cause, explained, place, refused
from sidecar.control.proof import Proof
from sidecar.control.trust import ControlTrust

ANSWER_SECONDS = 10.0
READ_BYTES = 64 * 1024
MAX_REFUSAL_BYTES = 64 * 1024


class Link:
    """One connection, from hello until it ends.

    conversation    what is said on it
    configured      is given each configuration
    answered        is called when the control plane has taken us on
    """

    def __init__(
        self,
        server: Target,
        conversation: Conversation,
        *,
        clock: Callable[[], float],
        configured: Callable[[Configuration], None],
        answered: Callable[[], None],
    ) -> None:
        self._server = server
        self._conversation = conversation
        self._clock = clock
        self._configured = configured
        self._answered = answered
        self._status = 0
        self._refusal: list[bytes] = []
        self._complete = False
        self._heard = False
        self._by_svid = False
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, trust: ControlTrust, proof: Proof, hello: Hello) -> Over:
        """Until it is over for a good reason; raises CallFailed for any other."""
        self._by_svid = proof.svid is not None
        context = trust.context()
        proof.onto(context)
        headers = await proof.headers()
        with explained(self._server, ANSWER_SECONDS):
            reader, writer = await self._open(context)
            try:
                now = self._clock()
                first = chunk(self._conversation.hello(hello, now))
                writer.write(_request(self._server, headers) + first)
                self._writer = writer
                return await self._converse(reader, writer)
            except ConnectionError as lost:
                if self._by_svid and not self._heard:
                    raise self._unwelcome() from lost
                raise
            finally:
                self._writer = None
                writer.transport.abort()

    def say(self, message: FromSidecar) -> None:
        """Tell the control plane; on a connection that is gone nobody hears it, and the next hello says it."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(chunk(self._conversation.say(message, self._clock())))

    async def _open(self, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._server.host, self._server.port
        async with asyncio.timeout(ANSWER_SECONDS):
            return await asyncio.open_connection(host, port, ssl=context, server_hostname=host)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Over:
        http = ResponseReader(self, HttpLimits(body_bytes=0))
        http.expect("POST")
        answer_by = self._clock() + ANSWER_SECONDS
        while True:
            due = self._conversation.due(self._clock())
            if isinstance(due, Over):
                return self._over(due)
            if due:
                writer.write(chunk(due))
            data = await self._read(reader, answer_by)
            if data is None:
                continue
            if data:
                self._heard = True
                http.feed(data)
            elif not self._status and self._heard:
                http.eof()
            if self._complete or not data:
                raise self._ended()

    async def _read(self, reader: asyncio.StreamReader, answer_by: float) -> bytes | None:
        """What has come; empty at the end of the connection, None when it is time to speak."""
        now = self._clock()
        wait = self._conversation.wait(now)
        if not self._status:
            if now >= answer_by:
                raise TimeoutError
            wait = min(wait, answer_by - now)
        try:
            async with asyncio.timeout(wait):
                return await reader.read(READ_BYTES)
        except TimeoutError:
            return None

    def _over(self, over: Over) -> Over:
        if over is Over.SILENCE:
            raise CallFailed(Cause.SILENT, f"{place(self._server)} has fallen silent")
        return over

    def _ended(self) -> CallFailed:
        if self._status not in (0, 200):
            return refused(self._status, b"".join(self._refusal))
        if self._by_svid and not self._heard:
            return self._unwelcome()
        return CallFailed(Cause.ENDED, f"{place(self._server)} has ended the connection")

    def _unwelcome(self) -> CallFailed:
        sentence = (
            f"{place(self._server)} ended the connection when it had seen our SVID: it does not accept it"
        )
        return CallFailed(Cause.CERTIFICATE_REFUSED, sentence)

    # What the reader says.

    def on_interim(self, head: ResponseHead) -> None:
        """100 Continue and its like say nothing of the answer."""

    def on_response(self, head: ResponseHead) -> None:
        self._status = head.status
        if head.status == 200:
            self._answered()

    def on_body(self, data: bytes) -> None:
        if self._status != 200:
            if sum(map(len, self._refusal)) < MAX_REFUSAL_BYTES:
                self._refusal.append(data)
            return
        try:
            found = self._conversation.hear(data, self._clock())
        except DocumentInvalid as malformed:
            raise CallFailed(Cause.MALFORMED, f"{place(self._server)}: {malformed}") from malformed
        for configuration in found:
            self._configured(configuration)

    def on_response_end(self) -> None:
        self._complete = True


def _request(server: Target, proof: Headers) -> bytes:
    host = f"[{server.host}]" if ":" in server.host else server.host
    headers: Any = [
        (b"host", f"{host}:{server.port}".encode("ascii")),
        (b"accept", b"application/x-ndjson"),
        (b"content-type", b"application/x-ndjson"),
        (b"transfer-encoding", b"chunked"),
        *proof,
    ]
    path = server.path.rstrip(b"/") + CONFIGURATION_PATH.encode("ascii")
    return encode_request_head("POST", path, headers)
