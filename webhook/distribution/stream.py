"""The configuration stream's HTTP side: one POST whose body and answer are both open-ended.

Described in docs/control-plane.md.

Who calls is proved before a byte of the body is read; whom they ask about is in the first line, and must be who
they are. From then on one task reads and one writes, and whatever ends either ends both.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import hdrs, web

from mesh.distribution.messages import (
    ALIVE_SECONDS,
    CONFIGURATION_PATH,
    MAX_CLIENT_LINE_BYTES,
    MAX_DETAIL,
    SILENCE_SECONDS,
    FromControl,
    FromSidecar,
    Hello,
    Leave,
    read_from_sidecar,
    write_line,
)
from mesh.identity.errors import DocumentInvalid
from mesh.identity.issuance import Refusal
from webhook.admission import metrics as series
from webhook.cluster.failures import Log
from webhook.distribution.hub import Hub
from webhook.distribution.mailbox import End, Mailbox
from webhook.identity.callers import CallRefused, Proven, who
from webhook.timed_site import caller_known

CONTENT_TYPE = "application/x-ndjson"
LEAVE_SECONDS = 1.0
"""How long whoever is still connected at the end is asked to stay away."""
_ALIVE = write_line(FromControl(alive=True))


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for the first line, between our lines, without one of theirs, and for one of ours to be taken."""

    hello: float = 10.0
    alive: float = ALIVE_SECONDS
    silence: float = SILENCE_SECONDS
    write: float = 30.0


class ConfigurationStreams:
    """Serves the sidecars of `hub`."""

    def __init__(
        self,
        hub: Hub,
        log: Log,
        patience: Patience | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._hub = hub
        self._log = log
        self._patience = patience or Patience()
        self._now = now

    def add_to(self, application: web.Application) -> None:
        """Serve the stream in an application that has `callers.CALLERS` and makes answers of CallRefused."""
        application.router.add_post(CONFIGURATION_PATH, self.handle)
        application.on_shutdown.append(self._shut_down)

    async def _shut_down(self, _application: web.Application) -> None:
        self._hub.stop()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One stream, from its head to its end; raises CallRefused before the answer has begun."""
        try:
            proven = await who(request)
            with self._hub.handshake(proven.at(request.remote)):
                lines = _lines(request)
                hello = await self._hello(lines)
                pod = await self._hub.pod_of(hello.namespace, hello.pod, hello.uid, proven)
            certain, address = proven.uid is not None, request.remote or ""
            mailbox = self._hub.connect(pod, hello.version, address, certain=certain)
        except CallRefused as refused:
            self._hub.metrics.add(series.STREAMS_REFUSED, refused.refusal.value)
            self._log(_refusal(request, refused))
            raise
        response = web.StreamResponse(
            headers={hdrs.CACHE_CONTROL: "no-store", hdrs.CONTENT_TYPE: CONTENT_TYPE}
        )
        response.force_close()
        caller_known(request)
        why = End.CLOSED
        try:
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                why = await self._converse(response, lines, mailbox, proven)
        finally:
            self._hub.disconnect(mailbox, why)
        if mailbox.end is End.SLOW and request.transport is not None:
            request.transport.abort()  # the end of the answer would wait as long again
        return response

    async def _hello(self, lines: AsyncIterator[bytes]) -> Hello:
        try:
            async with asyncio.timeout(self._patience.hello):
                message = read_from_sidecar(await anext(lines))
        except TimeoutError as slow:
            raise CallRefused(Refusal.MALFORMED, "the first line did not arrive in time") from slow
        except (StopAsyncIteration, ConnectionError) as ended:
            raise CallRefused(Refusal.MALFORMED, "the body ended without a line") from ended
        except DocumentInvalid as malformed:
            raise CallRefused(Refusal.MALFORMED, str(malformed)) from malformed
        if message.hello is None:
            raise CallRefused(Refusal.MALFORMED, "the first line says no hello")
        return message.hello

    async def _converse(
        self, response: web.StreamResponse, lines: AsyncIterator[bytes], mailbox: Mailbox, proven: Proven
    ) -> End:
        left = max(0.0, (proven.expires - self._now()).total_seconds())
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(left, mailbox.finish, End.EXPIRED)
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(lines, mailbox))
                try:
                    await self._write(response, mailbox)
                finally:
                    reading.cancel()
        finally:
            expiry.cancel()
        return mailbox.end or End.CLOSED

    async def _write(self, response: web.StreamResponse, mailbox: Mailbox) -> None:
        """Say what there is to say until the stream is over."""
        send = _Sender(response, mailbox, self._patience.write)
        # At once, so that a sidecar whose configuration is current knows that it has been taken on.
        said = mailbox.pending or await send(_ALIVE)
        while said and mailbox.end is None:
            mailbox.news.clear()
            if mailbox.leave is not None:
                seconds, mailbox.leave = mailbox.leave, None
                said = await send(write_line(FromControl(leave=Leave(seconds))))
            compiled = mailbox.take()
            if compiled is not None and said:
                said = await send(self._hub.lines.of(compiled))
                self._hub.metrics.add(series.CONFIGURATIONS_SENT)
            if not said or mailbox.news.is_set():
                continue
            try:
                async with asyncio.timeout(self._patience.alive):
                    await mailbox.news.wait()
            except TimeoutError:
                said = await send(_ALIVE)
        if mailbox.end in (End.EXPIRED, End.LEFT):
            seconds = 0.0 if mailbox.end is End.EXPIRED else LEAVE_SECONDS
            await send(write_line(FromControl(leave=Leave(seconds))))

    async def _read(self, lines: AsyncIterator[bytes], mailbox: Mailbox) -> None:
        """Hear what the sidecar says until it says nothing more."""
        try:
            while True:
                async with asyncio.timeout(self._patience.silence):
                    line = await anext(lines)
                mailbox.heard = self._hub.clock()
                self._heard(read_from_sidecar(line), mailbox)
        except TimeoutError:
            mailbox.finish(End.SILENT)
        except (StopAsyncIteration, ConnectionError):
            mailbox.finish(End.CLOSED)
        except DocumentInvalid as malformed:
            self._log({"event": "stream_malformed", "pod": _place(mailbox), "error": str(malformed)})
            mailbox.finish(End.MALFORMED)

    def _heard(self, message: FromSidecar, mailbox: Mailbox) -> None:
        if message.applied is not None:
            self._hub.heard(mailbox, applied=message.applied)
        if message.refused is not None:
            refused = message.refused
            detail = refused.detail[:MAX_DETAIL]
            self._log(
                {
                    "event": "configuration_refused",
                    "pod": _place(mailbox),
                    "version": refused.version,
                    "reason": refused.reason,
                    "detail": detail,
                }
            )
            self._hub.heard(mailbox, refused=refused)


@dataclass(slots=True)
class _Sender:
    """Writes lines; False once nobody takes them."""

    response: web.StreamResponse
    mailbox: Mailbox
    seconds: float

    async def __call__(self, line: bytes) -> bool:
        try:
            async with asyncio.timeout(self.seconds):
                await self.response.write(line)
        except TimeoutError:
            self.mailbox.finish(End.SLOW)
            return False
        except ConnectionError:
            self.mailbox.finish(End.CLOSED)
            return False
        return True


async def _lines(request: web.Request) -> AsyncIterator[bytes]:
    """Lines of the body; raises DocumentInvalid for one that is too long."""
    rest = b""
    while piece := await request.content.readany():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if len(line) > MAX_CLIENT_LINE_BYTES:
                break
            if line.strip():
                yield line
        if max(len(rest), *map(len, lines), 0) > MAX_CLIENT_LINE_BYTES:
            raise DocumentInvalid(f"a line of more than {MAX_CLIENT_LINE_BYTES} bytes")


def _place(mailbox: Mailbox) -> str:
    return f"{mailbox.pod.namespace}/{mailbox.pod.name}"


def _refusal(request: web.Request, refused: CallRefused) -> dict[str, object]:
    return {
        "event": "stream_refused",
        "from": request.remote,
        "reason": refused.refusal.value,
        "detail": refused.detail,
    }
