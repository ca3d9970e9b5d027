"""A request of the sidecar's own: telling a server that what it asked of the agent is refused.

In the handshake revisions a server that asks for sampling or elicitation waits for an answer on another POST. If
the policy holds the question back from the agent, somebody must answer, or the server's tool hangs.

These requests share the pool with the agent's. So that a server which asks without end, or never takes its answer,
cannot use up the agent's connections, few are under way at once for a destination, and none for long.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from msgspec import structs

from mesh.protocol.http1.heads import Headers, ResponseHead
from mesh.protocol.strict_json import encode
from mesh.reasons import Reason
from sidecar.proxy.outgoing import outgoing
from sidecar.proxy.plan import Plan, Treatment
from sidecar.proxy.pool import Destination, Pool
from sidecar.proxy.upstream import Upstream
from sidecar.telemetry.record import Recorder

MOST_AT_ONCE = 4
"""Errands under way for one destination; a server that asks faster goes without its answers."""

MOST_SECONDS = 10.0
"""From the start of an errand to its end, connecting included."""

_CARRIED = frozenset({b"authorization", b"mcp-session-id", b"mcp-protocol-version", b"origin"})
"""What makes the POST part of the same session."""

_NOT_IN_A_QUERY = re.compile(rb"[^!$-;=?-~]")
"""What is percent-encoded in a query, as clients do (WHATWG URL, query percent-encode set)."""


class _Errand:
    """Sends one request and drops its answer."""

    def __init__(self, errands: Errands, plan: Plan, request: bytes, deadline: float) -> None:
        self._errands = errands
        self._request = request
        self._connecting: asyncio.Task[None] | None = None
        self._upstream: Upstream | None = None
        self.plan = plan
        self.deadline = deadline

    def start(self, pool: Pool) -> None:
        self._connecting = pool.acquire(self.plan.routed.destination, self)

    def upstream_ready(self, upstream: Upstream) -> None:
        self._connecting = None
        self._upstream = upstream
        upstream.serve(self, "POST")
        upstream.write(self._request)

    def answer_interim(self, head: ResponseHead) -> None: ...
    def answer_head(self, head: ResponseHead) -> None: ...
    def answer_body(self, data: bytes) -> None: ...

    def answer_end(self) -> None:
        self._upstream = None
        self._errands.ended(self)

    def flush(self) -> None: ...
    def upstream_writable(self, writable: bool) -> None: ...
    def upstream_expired(self) -> None: ...

    def upstream_failed(self, reason: Reason, detail: str) -> None:
        """Nobody waits for this; the server's own time limit takes over."""
        self._upstream = None
        self._errands.ended(self)
        self._errands.record(self.plan, reason, detail)

    def expire(self) -> None:
        """The ticker: the server does not answer, or does not stop answering."""
        self._errands.ended(self)
        if self._connecting is not None:
            self._connecting.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abandon()
        detail = f"not taken within {MOST_SECONDS:g} s"
        self._errands.record(self.plan, Reason.SERVER_REQUEST_UNANSWERED, detail)


class Errands:
    """All that are under way, by destination."""

    __slots__ = ("_pool", "_recorder", "_under_way")

    def __init__(self, pool: Pool, recorder: Recorder) -> None:
        self._pool = pool
        self._recorder = recorder
        self._under_way: dict[Destination, set[_Errand]] = {}

    def answer_server(self, plan: Plan, error: dict[str, Any]) -> None:
        """POST a JSON-RPC error to the server of `plan`, in its session; dropped if too many are under way."""
        under_way = self._under_way.setdefault(plan.routed.destination, set())
        if len(under_way) >= MOST_AT_ONCE:
            detail = f"{MOST_AT_ONCE} refusals are on their way to this server"
            self.record(plan, Reason.SERVER_REQUEST_UNANSWERED, detail)
            return
        errand = _Errand(self, plan, _request(plan, encode(error)), self._pool.clock() + MOST_SECONDS)
        under_way.add(errand)
        self._pool.ticker.add(errand)
        errand.start(self._pool)

    def ended(self, errand: _Errand) -> None:
        """Safe to call twice."""
        self._pool.ticker.discard(errand)
        destination = errand.plan.routed.destination
        under_way = self._under_way.get(destination)
        if under_way is not None:
            under_way.discard(errand)
            if not under_way:
                del self._under_way[destination]

    def record(self, plan: Plan, reason: Reason, detail: str) -> None:
        """A server goes without its answer."""
        routed = plan.routed
        self._recorder.upstream_failure(routed.backend, str(routed.destination), reason, detail)


def endpoint_target(plan: Plan, data: str, path: str) -> bytes:
    """Where answers of this stream go: the announced `path`, with the query of the announcement `data`.

    The session of HTTP+SSE is named in the query as a rule (MCP 2024-11-05, HTTP with SSE).
    """
    query = urlsplit(urljoin("http://same" + plan.routed.path.decode("latin-1"), data)).query.encode()
    encoded = _NOT_IN_A_QUERY.sub(lambda match: b"%%%02X" % match[0][0], query)
    return b"%b?%b" % (path.encode(), encoded) if encoded else path.encode()


def _request(plan: Plan, body: bytes) -> bytes:
    """The whole POST."""
    headers: Headers = [field for field in plan.head.headers if field[0] in _CARRIED]
    headers.append((b"content-type", b"application/json"))
    headers.append((b"accept", b"application/json, text/event-stream"))
    # The head that is written is that of a POST, whatever opened the stream (a GET, often).
    head = structs.replace(plan.head, method="POST")
    routed = plan.routed if plan.endpoint is None else replace(plan.routed, path=plan.endpoint)
    post = replace(plan, head=head, routed=routed, treatment=Treatment.MCP)
    return outgoing(post, headers, len(body)) + body
