"""Answers that the sidecar gives itself, in the form that the caller understands.

A caller that speaks JSON-RPC gets a JSON-RPC error, anybody else problem details (RFC 9457). Policy denials of
MCP messages go out with HTTP 200, because several SDK clients end their whole session on a 4xx; 4xx and 5xx are
for messages that cannot be read and for backends that fail.
"""

from __future__ import annotations

import math
from dataclasses import replace

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.write import encode_response_head
from mesh.protocol.jsonrpc import INVALID_REQUEST, error_response
from mesh.protocol.mcp.denials import OTHER_POLICY_CODE, POLICY_CODES, forbidden_response
from mesh.protocol.strict_json import encode as encode_json
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.proxy.plan import Id, Plan, Reply, Treatment

PROBLEM = b"application/problem+json"

_PHRASES: dict[int, bytes] = {
    200: b"OK",
    202: b"Accepted",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    411: b"Length Required",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    417: b"Expectation Failed",
    421: b"Misdirected Request",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}

_UPSTREAM_STATUS: dict[Reason, int] = {
    Reason.EGRESS_PRIVATE_ADDRESS: 403,
    Reason.UPSTREAM_CONNECT_TIMEOUT: 504,
    Reason.UPSTREAM_IDLE_TIMEOUT: 504,
    Reason.TOO_MANY_CONNECTIONS: 503,
    Reason.NO_SVID: 503,
    Reason.SVID_EXPIRED: 503,
}
"""Every other failure of a backend is 502."""


def problem(status: int, reason: Reason, detail: str) -> Reply:
    """Problem details with the reason code, its sentence and what is known of this case."""
    body = {
        "type": "about:blank",
        "title": _PHRASES[status].decode(),
        "status": status,
        "reason": reason.value,
        "detail": f"{detail}: {reason.sentence}" if detail else reason.sentence,
    }
    return Reply(status, encode_json(body), PROBLEM)


def rpc_error(status: int, ident: Id | None, code: int, reason: Reason, detail: str) -> Reply:
    """A JSON-RPC error whose data names the reason."""
    message = f"{detail}: {reason.sentence}" if detail else reason.sentence
    return Reply(status, encode_json(error_response(ident, code, message, {"reason": reason.value})))


def refused_destination(
    reason: Reason, detail: str, pending: tuple[Id, ...], *, forbidden: bool = False
) -> Reply:
    """The policy does not let the agent talk to this destination at all. `forbidden`: as for `denial`."""
    if pending:
        if forbidden:
            return Reply(200, encode_json(forbidden_response(pending[0])))
        return rpc_error(200, pending[0], POLICY_CODES.get(reason, OTHER_POLICY_CODE), reason, detail)
    return problem(403, reason, detail)


def refused_body(reason: Reason, plan: Plan, limit: int) -> Reply:
    """The body is larger than what is inspected."""
    detail = f"more than {limit} bytes"
    if plan.treatment is Treatment.MCP:
        return rpc_error(413, None, INVALID_REQUEST, reason, detail)
    return problem(413, reason, detail)


def retry_seconds(reason: Reason, wait: int) -> float | None:
    """When it is worth asking again, by the nanoseconds that a limit has no room for: to the next millisecond.

    None where no time helps. What is under way ends when it does: a second is a guess.
    """
    if wait < 0 or reason is Reason.RESULT_TOO_LARGE:
        return None
    if not wait:
        return 1
    milliseconds = -(-wait // 1_000_000)
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def waiting(seconds: float | None) -> tuple[tuple[bytes, bytes], ...]:
    """Retry-After (RFC 9110, section 10.2.3), which knows whole seconds only."""
    return () if seconds is None else ((b"retry-after", b"%d" % math.ceil(seconds)),)


def limit_error(ident: Id | None, reason: Reason, seconds: float | None) -> dict[str, object]:
    """What answers a request that a limit refuses; it is told whatever else is hidden."""
    data: dict[str, object] = {"reason": reason.value}
    if seconds is None:
        message = reason.sentence
        if reason is not Reason.RESULT_TOO_LARGE:
            message += " So many at once never are: send fewer in one batch."
    else:
        message = f"{reason.sentence} Try again in {seconds:g} s."
        data["retryAfterSeconds"] = seconds
    return error_response(ident, POLICY_CODES[reason], message, data)


def beyond_limit(reason: Reason, rule: str, seconds: float | None) -> Reply:
    """What answers plain HTTP that a limit refuses."""
    reply = problem(503 if reason is Reason.RATE_STORE_UNAVAILABLE else 429, reason, rule)
    return replace(reply, headers=waiting(seconds))


def upstream_failed(reason: Reason, detail: str, plan: Plan) -> Reply:
    """The backend failed; says where and why."""
    if reason is Reason.RESULT_TOO_LARGE and plan.pending:
        return Reply(200, encode_json(limit_error(plan.pending[0], reason, None)))
    status = _UPSTREAM_STATUS.get(reason, 502)
    where = f"{plan.routed.backend} at {plan.routed.destination}: {detail}"
    if plan.pending:
        return rpc_error(status, plan.pending[0], OTHER_POLICY_CODE, reason, where)
    return problem(status, reason, where)


_NO_CREDENTIAL_STATUS: dict[Reason, int] = {
    Reason.CREDENTIAL_UNAVAILABLE: 503,
    Reason.CREDENTIAL_SECRET_MISSING: 503,
    Reason.CREDENTIAL_ANSWER_INVALID: 502,
    Reason.CREDENTIAL_NOT_ACCEPTED: 502,
    Reason.SESSION_UNAVAILABLE: 502,
    Reason.SESSION_OF_ANOTHER: 404,
}
"""Every other reason is the request's own, and 403."""


def status_without(reason: Reason) -> int:
    """The status of a request that does not leave for want of a credential: below 500 where it is why itself."""
    return _NO_CREDENTIAL_STATUS.get(reason, 403)


def no_credential(plan: Plan, refused: CredentialRefused) -> Reply:
    """The Backend wants a credential, or a user's session, that there is none of.

    Never is it the agent's own that is sent instead. Upon a 404 clients begin a new session (MCP 2025-03-26,
    Session Management).
    """
    status = status_without(refused.reason)
    detail = f"{plan.routed.backend}: {refused.detail}" if refused.detail else plan.routed.backend
    if not plan.pending:
        reply = problem(status, refused.reason, detail)
    else:
        # A refusal is an answer, which leaves the client's session alone; what may be better later is none.
        seen = 200 if status == 403 else status
        code = POLICY_CODES.get(refused.reason, OTHER_POLICY_CODE)
        reply = rpc_error(seen, plan.pending[0], code, refused.reason, detail)
    if status == 503 and refused.retry_after is not None:
        seconds = b"%d" % max(1, math.ceil(refused.retry_after))
        reply = Reply(reply.status, reply.body, reply.content_type, ((b"retry-after", seconds),))
    return reply


def encode(reply: Reply, request: RequestHead, *, closing: bool) -> bytes:
    """The reply's bytes. A HEAD request gets no body; the length is told all the same."""
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
    ]
    if not reply.body:
        del headers[0]
    if closing or request.http10:
        headers.append((b"connection", b"close"))
    head = encode_response_head(reply.status, _PHRASES[reply.status], headers)
    return head if request.method == "HEAD" else head + reply.body


def encode_refused(refused: HttpRefused) -> bytes:
    """The answer to bytes that are no request: always the last one on its connection."""
    status = refused.status if refused.status in _PHRASES else 400
    return _last(problem(status, refused.reason, refused.detail))


def tunnel_failed(reason: Reason, detail: str) -> bytes:
    """The answer to a CONNECT whose destination cannot be reached."""
    return _last(problem(_UPSTREAM_STATUS.get(reason, 502), reason, detail))


def turned_away(reason: Reason, detail: str) -> bytes:
    """The answer to a peer that may not connect, whatever it asks for."""
    return _last(problem(403, reason, detail))


def _last(reply: Reply) -> bytes:
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(reply.body)),
        (b"connection", b"close"),
    ]
    return encode_response_head(reply.status, _PHRASES[reply.status], headers) + reply.body
