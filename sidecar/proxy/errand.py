"""A request of the sidecar's own: telling a server that what it asked of the agent is refused.

In the handshake revisions a server that asks for sampling or elicitation waits for an answer on another POST. If
the policy holds the question back from the agent, somebody must answer, or the server's tool hangs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from mesh.protocol.http1.heads import Headers, ResponseHead
from mesh.protocol.strict_json import encode
from mesh.reasons import Reason
from sidecar.proxy.outgoing import outgoing
from sidecar.proxy.plan import Plan, Treatment
from sidecar.proxy.pool import Pool
from sidecar.proxy.upstream import Upstream

_CARRIED = frozenset({b"authorization", b"mcp-session-id", b"mcp-protocol-version", b"origin"})
"""What makes the POST part of the same session."""


class _Errand:
    """Sends one request and drops its answer."""

    def __init__(self, request: bytes) -> None:
        self._request = request

    def upstream_ready(self, upstream: Upstream) -> None:
        upstream.serve(self, "POST")
        upstream.write(self._request)

    def answer_interim(self, head: ResponseHead) -> None: ...
    def answer_head(self, head: ResponseHead) -> None: ...
    def answer_body(self, data: bytes) -> None: ...
    def answer_end(self) -> None: ...
    def flush(self) -> None: ...
    def upstream_writable(self, writable: bool) -> None: ...
    def upstream_expired(self) -> None: ...

    def upstream_failed(self, reason: Reason, detail: str) -> None:
        """Nobody waits for this; the server's own time limit takes over."""


def answer_server(plan: Plan, error: dict[str, Any], pool: Pool) -> None:
    """POST a JSON-RPC error to the server of `plan`, in its session."""
    body = encode(error)
    headers: Headers = [field for field in plan.head.headers if field[0] in _CARRIED]
    headers.append((b"content-type", b"application/json"))
    headers.append((b"accept", b"application/json, text/event-stream"))
    # The head that is written is that of a POST, whatever opened the stream (a GET, often).
    head = structs.replace(plan.head, method="POST")
    post = replace(plan, head=head, treatment=Treatment.MCP)
    pool.acquire(plan.routed.destination, _Errand(outgoing(post, headers, len(body)) + body))
