"""The telemetry port: /metrics for Prometheus, /healthz and /readyz for the kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import RequestReader
from mesh.protocol.http1.write import encode_response_head
from mesh.settings.table import APP_HEALTH_PATH
from sidecar.proxy.ticker import NEVER
from sidecar.readiness import Readiness
from sidecar.tasks import spawn
from sidecar.telemetry.app_health import NO_PROBES, AppHealth

METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"
JSON = b"application/json"

_APP_HEALTH = APP_HEALTH_PATH.encode()
_LIMITS = HttpLimits(head_bytes=8192, headers=50, body_bytes=1024)

# Short, because the port is open to everybody; who scrapes less often connects anew.
_IDLE_SECONDS = 10.0

Page = tuple[int, bytes, bytes]
"""Status, media type, body."""


class Health:
    """What the three paths answer. /readyz has its verdict in the status, and what led to it in the body."""

    def __init__(
        self,
        metrics: Callable[[], str],
        readiness: Callable[[], Readiness],
        application: AppHealth = NO_PROBES,
    ) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._application = application

    def probe(self, path: bytes) -> str | None:
        """The name of the application's probe that a path stands for."""
        below = path.removeprefix(_APP_HEALTH)
        return None if below == path else below.decode("ascii", "replace")

    async def verdict(self, probe: str) -> Page:
        """What the application says to a probe."""
        status, body = await self._application.verdict(probe)
        return status, TEXT, body

    def page(self, method: str, path: bytes) -> Page:
        if method not in ("GET", "HEAD"):
            return 405, TEXT, b"only GET and HEAD\n"
        if path == b"/metrics":
            return 200, METRICS_TYPE, self._metrics().encode()
        if path == b"/healthz":
            return 200, TEXT, b"alive\n"
        if path == b"/readyz":
            readiness = self._readiness()
            return 200 if readiness.ready else 503, JSON, msgspec.json.encode(readiness) + b"\n"
        return 404, TEXT, b"paths: /metrics /healthz /readyz\n"


_PHRASES = {200: b"OK", 404: b"Not Found", 405: b"Method Not Allowed", 503: b"Service Unavailable"}


class HealthConnection(asyncio.Protocol):
    """The protocol of one connection to the telemetry port."""

    __slots__ = ("_asking", "_head", "_health", "_listener", "_now", "_reader", "deadline", "transport")

    def __init__(self, health: Health, listener: Any, now: Callable[[], float]) -> None:
        self._health = health
        self._listener = listener
        self._now = now
        self._reader = RequestReader(self, _LIMITS)
        self._head: RequestHead | None = None
        self._asking: asyncio.Task[None] | None = None
        self.deadline = NEVER
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.deadline = self._now() + _IDLE_SECONDS
        self._listener.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.closed(self)
        if self._asking is not None:
            self._asking.cancel()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        """A client that does not read its answers asks for no more of them."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._reader.between_messages:
            self.deadline = self._now() + _IDLE_SECONDS
        try:
            self._reader.feed(data)
        except HttpRefused:
            self.transport.write(encode_response_head(400, b"Bad Request", [(b"content-length", b"0")]))
            self.transport.close()

    def on_request(self, head: RequestHead) -> None:
        self._head = head

    def on_body(self, data: bytes) -> None:
        """A probe has no body; if there is one, it says nothing to us."""

    def on_request_end(self) -> None:
        head = self._head
        if head is None or self._asking is not None:
            return
        path = head.target.partition(b"?")[0]
        probe = self._health.probe(path) if head.method == "GET" else None
        if probe is not None:
            self.deadline = NEVER  # the probe has a time limit of its own
            self._asking = spawn(self._tell(probe), name="probe of the application")
            return
        page = self._health.page(head.method, path)
        self._answer(page, with_body=head.method != "HEAD", keep_alive=head.keep_alive)

    async def _tell(self, probe: str) -> None:
        """The last answer on this connection: what came behind the question was not read."""
        self._answer(await self._health.verdict(probe), with_body=True, keep_alive=False)

    def _answer(self, page: Page, *, with_body: bool, keep_alive: bool) -> None:
        status, media, body = page
        headers = [(b"content-type", media), (b"content-length", b"%d" % len(body))]
        if not keep_alive:
            headers.append((b"connection", b"close"))
        answer = encode_response_head(status, _PHRASES[status], headers)
        self.transport.write(answer + body if with_body else answer)
        if not keep_alive:
            self.transport.close()

    def expire(self) -> None:
        # Without waiting for a client that does not read its answer.
        self.transport.abort()

    def drain(self) -> None:
        """Probes go on to the end: the listener is simply closed."""
        self.transport.close()
