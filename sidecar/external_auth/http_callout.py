"""One question to an authorization service over HTTP, on a connection of the pool that the agent's requests use.

So it is mutual TLS where the service is a declared Backend of the mesh. Everything is callbacks, and a service
whose idle connection turns out to be closed is asked once more: a question changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from mesh.protocol.ext_authz import Approval, CheckDenied, approval
from mesh.protocol.http1.heads import ResponseHead
from mesh.reasons import Reason
from sidecar.external_auth.answer import Refusal
from sidecar.proxy.pool import Destination, Pool
from sidecar.proxy.upstream import Upstream

MAX_ANSWER_BYTES = 64 * 1024
"""Of a body that nobody reads: a service that sends more is given up."""


class HttpCallout:
    """Sends one question and reads one answer; `answered` is told once, unless it is cancelled."""

    __slots__ = (
        "_again",
        "_allowed",
        "_answered",
        "_complete",
        "_connecting",
        "_destination",
        "_head",
        "_method",
        "_pool",
        "_request",
        "_size",
        "_upstream",
    )

    def __init__(
        self,
        pool: Pool,
        destination: Destination,
        method: str,
        request: bytes,
        allowed: Collection[str] | None,
        answered: Callable[[Approval | Refusal], None],
    ) -> None:
        self._pool = pool
        self._destination = destination
        self._method = method
        self._request = request
        self._allowed = allowed
        self._answered = answered
        self._again = True
        self._complete = False
        self._connecting: asyncio.Task[None] | None = None
        self._head: ResponseHead | None = None
        self._size = 0
        self._upstream: Upstream | None = None

    def start(self) -> None:
        self._connecting = self._pool.acquire(self._destination, self)

    def cancel(self) -> None:
        """Nobody waits any more. Safe to call twice."""
        self._complete = True
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abandon()

    # What the pool and the connection say.

    def upstream_ready(self, upstream: Upstream) -> None:
        self._connecting = None
        self._upstream = upstream
        self._again = self._again and upstream.reused
        upstream.serve(self, self._method)
        upstream.write(self._request)

    def answer_interim(self, head: ResponseHead) -> None: ...

    def answer_head(self, head: ResponseHead) -> None:
        self._head = head

    def answer_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_ANSWER_BYTES:
            self._fail(f"an answer of more than {MAX_ANSWER_BYTES} bytes")

    def answer_end(self) -> None:
        self._upstream = None

    def flush(self) -> None:
        """All that arrived together has been told; where that was the end, this is the time to say so."""
        if self._upstream is not None or self._complete or self._head is None:
            return
        try:
            said: Approval | Refusal = approval(self._head.status, self._head.headers, self._allowed)
        except CheckDenied as denied:
            said = Refusal(Reason.EXTERNAL_AUTH_DENIED, str(denied))
        self._tell(said)

    def upstream_writable(self, writable: bool) -> None: ...

    def upstream_expired(self) -> None: ...

    def upstream_failed(self, reason: Reason, detail: str) -> None:
        self._connecting = None
        self._upstream = None
        if self._complete:
            return
        if self._again and self._head is None and reason is Reason.UPSTREAM_RESET:
            self._again = False
            self.start()
            return
        self._tell(Refusal(Reason.EXTERNAL_AUTH_FAILED, f"{reason}: {detail}"))

    def _fail(self, detail: str) -> None:
        """The connection is of no use any more."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abandon()
            self._tell(Refusal(Reason.EXTERNAL_AUTH_FAILED, detail))

    def _tell(self, said: Approval | Refusal) -> None:
        self._complete = True
        self._answered(said)
