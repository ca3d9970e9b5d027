"""One HTTP call of the sidecar's own, to those who issue tokens and secrets.

It goes over the pool that the agent's requests use, so that a declared Backend is reached by mutual TLS and
nothing beyond a destination's reach is dialled. Inside everything is callbacks; the one await is the caller's. An
answer is bounded in size and in its whole time, because a server that drips would otherwise hold a token's request
for ever. A redirect is an answer like any other: who trusts one server must not be sent to another.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mesh.policy.boundary import Reach
from mesh.policy.compile import Policy
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import Headers, ResponseHead
from mesh.protocol.http1.target import Target, absolute_form
from mesh.protocol.http1.write import encode_request_head
from mesh.reasons import Reason
from sidecar.addresses import is_loopback
from sidecar.proxy.pool import Destination, Pool, TlsMode
from sidecar.proxy.routing import authority_of, by_tls
from sidecar.proxy.upstream import Upstream

MOST_SECONDS = 10.0
MOST_BYTES = 256 * 1024

_URL = re.compile(r"[!-~]+")
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer, whatever its status. The body may hold a secret."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)


class FetchFailed(Exception):
    """There is no answer: the server, the network, or whoever wrote the URL is at fault.

    `detail` names the host and what went wrong, and holds nothing of the request or the answer. `plain_text`: the
    call was not made, because it would have gone in plain text to a host that may not have it. `reached`: there
    was a connection, so that what was sent on it may be why there is no answer.
    """

    def __init__(self, detail: str, *, plain_text: bool = False, reached: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.plain_text = plain_text
        self.reached = reached


class Fetcher(Protocol):
    """Who makes calls: `Fetch`, or what tests put in its place."""

    async def __call__(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        seconds: float = MOST_SECONDS,
        limit: int = MOST_BYTES,
    ) -> Fetched:
        """Raises FetchFailed."""


class Fetch:
    """Makes calls over `pool`; `destination` says how a host is reached, None where it may not be."""

    __slots__ = ("_destination", "_pool")

    def __init__(self, pool: Pool, destination: Callable[[Target], Destination | None]) -> None:
        self._pool = pool
        self._destination = destination

    async def __call__(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        seconds: float = MOST_SECONDS,
        limit: int = MOST_BYTES,
        enough: Callable[[bytes], bool] | None = None,
    ) -> Fetched:
        """Send one request and read the answer within `seconds`, connecting included.

        `limit`: the most bytes of a body. `enough` is given each piece of the body; where it says so, what has
        come is the answer, and the rest is not waited for. Host, Content-Length and User-Agent are added. Raises
        FetchFailed.
        """
        target = _target(url)
        destination = self._destination(target)
        if destination is None:
            raise FetchFailed(f"{target.host}:{target.port} would be asked in plain text", plain_text=True)
        request = _request(method, target, headers, body)
        outcome: asyncio.Future[Fetched] = asyncio.get_running_loop().create_future()
        call = _Call(self._pool, destination, method, request, limit, outcome, enough)
        try:
            async with asyncio.timeout(seconds):
                call.start()
                return await outcome
        except TimeoutError as late:
            detail = f"{destination} gave no whole answer within {seconds:g} s"
            raise FetchFailed(detail, reached=call.reached) from late
        finally:
            call.cancel()


def destination_for(policy: Callable[[], Policy]) -> Callable[[Target], Destination | None]:
    """How a URL is reached: as its Backend where its host and port are declared, but with TLS for https always.

    Else by the web's TLS, anywhere but at addresses of the node itself. In plain text only to this machine, or to
    a Backend that says so.
    """

    def destination(target: Target) -> Destination | None:
        secure = target.scheme == "https"
        backends = policy().backends_at(target.host, target.port)
        if backends:
            declared = by_tls(backends, target)
            if not secure or declared.tls != TlsMode.NONE:
                return declared
        if secure:
            return Destination(target.host, target.port, TlsMode.PUBLIC, target.host, reach=Reach.ROUTED)
        return Destination(target.host, target.port, reach=Reach.ROUTED) if is_loopback(target.host) else None

    return destination


def _target(url: str) -> Target:
    if _URL.fullmatch(url) is None:
        raise FetchFailed("the URL holds characters that no URL has")
    try:
        return absolute_form(url.encode("ascii"))
    except HttpRefused as refused:
        raise FetchFailed(f"the URL cannot be used: {refused.detail}") from refused


def _request(method: str, target: Target, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    fields: Headers = [(b"host", authority_of(target)), (b"user-agent", b"outrider"), *headers]
    if body or method not in _BODILESS:
        fields.append((b"content-length", b"%d" % len(body)))
    try:
        return encode_request_head(method, target.path, fields) + body
    except ValueError:
        # Not as its cause: nothing of the fields may be in what is told.
        raise FetchFailed("a header field of the call holds a line break") from None


class _Call:
    """One request and its answer; settles `outcome` once, unless it is cancelled."""

    __slots__ = (
        "_again",
        "_body",
        "_connecting",
        "_destination",
        "_enough",
        "_head",
        "_limit",
        "_method",
        "_outcome",
        "_pool",
        "_request",
        "_size",
        "_upstream",
        "reached",
    )

    def __init__(
        self,
        pool: Pool,
        destination: Destination,
        method: str,
        request: bytes,
        limit: int,
        outcome: asyncio.Future[Fetched],
        enough: Callable[[bytes], bool] | None,
    ) -> None:
        self._enough = enough
        self._pool = pool
        self._destination = destination
        self._method = method
        self._request = request
        self._limit = limit
        self._outcome = outcome
        self._again = True
        self._body: list[bytes] = []
        self._connecting: asyncio.Task[None] | None = None
        self._head: ResponseHead | None = None
        self._size = 0
        self._upstream: Upstream | None = None
        self.reached = False

    def start(self) -> None:
        self._connecting = self._pool.acquire(self._destination, self)

    def cancel(self) -> None:
        """Nobody waits any more. Safe to call twice, and after the end."""
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
        self.reached = True
        self._again = self._again and upstream.reused
        upstream.serve(self, self._method)
        upstream.write(self._request)

    def answer_interim(self, head: ResponseHead) -> None:
        self._again = False

    def answer_head(self, head: ResponseHead) -> None:
        self._head = head
        if head.body_length > self._limit:
            self._give_up(f"an answer of {head.body_length} bytes, at most {self._limit} are read")
        elif head.fields.get(b"content-encoding", b"identity").lower() != b"identity":
            self._give_up("a compressed answer, which was not asked for")

    def answer_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._give_up(f"an answer of more than {self._limit} bytes")
        else:
            self._body.append(data)
            if self._enough is not None and not self._outcome.done() and self._enough(data):
                self._cut_short()

    def _cut_short(self) -> None:
        """The rest of a stream is of no interest; `flush` tells what there is."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abandon()
        self.flush()

    def answer_end(self) -> None:
        self._upstream = None

    def flush(self) -> None:
        """All that arrived together has been told; where that was the end, this is the time to say so."""
        head = self._head
        if head is not None and self._upstream is None and not self._outcome.done():
            self._outcome.set_result(Fetched(head.status, head.headers, b"".join(self._body)))

    def upstream_writable(self, writable: bool) -> None: ...

    def upstream_expired(self) -> None: ...

    def upstream_failed(self, reason: Reason, detail: str) -> None:
        self._connecting = None
        self._upstream = None
        if self._outcome.done():
            return
        # The server closed an idle connection while the request was on its way: it cannot have been acted on.
        if self._again and self._head is None and reason is Reason.UPSTREAM_RESET:
            self._again = self.reached = False
            self.start()
            return
        self._fail(f"{reason}: {detail}")

    def _give_up(self, detail: str) -> None:
        """The connection is of no use any more."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abandon()
        self._fail(detail)

    def _fail(self, detail: str) -> None:
        if not self._outcome.done():
            self._outcome.set_exception(FetchFailed(f"{self._destination}: {detail}", reached=self.reached))
