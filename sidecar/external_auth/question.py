"""One request as authorization services are asked about it, the same for every service and both protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mesh.policy.decision import ExternalCheck
from mesh.policy.documents import Backend
from mesh.protocol import ext_authz, ext_authz_grpc
from mesh.protocol.ext_authz_grpc import CheckAttributes
from mesh.protocol.http1.heads import CHUNKED, Headers
from mesh.protocol.jsonrpc import Message
from sidecar.proxy.plan import Plan
from sidecar.proxy.pool import TlsMode

_NAMING = ("name", "uri")
"""Members of params that say what a method is about."""


class BodyTooLarge(Exception):
    """What a service cannot see whole it cannot judge: the caller's side."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request that waits: its plan, its fields and its body as they would leave.

    `body` is None where it has not been kept, because no service wants it; `mcp` is what an MCP body says; `time`
    is in nanoseconds since 1970.
    """

    plan: Plan
    headers: Headers
    body: bytes | None
    time: int
    mcp: Mapping[str, Any] | None = None

    def over_http(self, check: ExternalCheck) -> bytes:
        """The question as an HTTP request. Raises BodyTooLarge, and ValueError for a prefix that is no path."""
        routed = self.plan.routed
        return ext_authz.check_request(
            self.plan.head.method,
            routed.path,
            routed.authority,
            self.headers,
            self._body_for(check),
            prefix=check.path,
            allowed=check.allowed_request_headers,
        )

    def over_grpc(self, check: ExternalCheck) -> bytes:
        """The question as a CheckRequest. Raises BodyTooLarge."""
        plan, routed = self.plan, self.plan.routed
        allowed = check.allowed_request_headers
        body = self._body_for(check)
        host, path = routed.authority.decode("latin-1"), routed.path.decode("latin-1")
        scheme = "https" if routed.destination.tls == TlsMode.PUBLIC else "http"
        made = {":method": plan.head.method, ":path": path, ":authority": host, ":scheme": scheme}
        told = _joined(ext_authz.shown_headers(self.headers, allowed))
        if body is not None:
            told[ext_authz.PARTIAL_BODY.decode()] = "false"
        target = plan.target
        return ext_authz_grpc.check_request(
            CheckAttributes(
                source=plan.principal.id,
                destination=(target.tls.identity or "") if isinstance(target, Backend) else "",
                time=self.time,
                method=plan.head.method,
                path=path,
                host=host,
                scheme=scheme,
                headers=told if allowed is not None else {**made, **told},
                size=self._size(),
                body=body or b"",
                mcp=self.mcp,
            )
        )

    def _body_for(self, check: ExternalCheck) -> bytes | None:
        """The body, where the check wants it. Raises BodyTooLarge where it cannot see it whole."""
        if not check.forward_body_bytes:
            return None
        body = self.body or b""
        if len(body) > check.forward_body_bytes:
            raise BodyTooLarge(f"the body is larger than {check.forward_body_bytes} bytes")
        return body

    def _size(self) -> int:
        if self.body is not None:
            return len(self.body)
        length = self.plan.head.body_length
        return -1 if length == CHUNKED else length


def said_by(messages: tuple[Message, ...]) -> Mapping[str, Any] | None:
    """What services are told of an MCP body of one message, in a batch or not. None where it calls no method."""
    return next((_said(message) for message in messages if message.method is not None), None)


def _said(message: Message) -> dict[str, Any]:
    params = message.params if isinstance(message.params, dict) else {}
    named = {key: params[key] for key in _NAMING if isinstance(params.get(key), str)}
    return {"method": message.method, **({"params": named} if named else {})}


def _joined(headers: Headers) -> dict[str, str]:
    """Values of one name joined with a comma (RFC 9110, section 5.2)."""
    told: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1"), _text(value)
        told[key] = f"{told[key]},{text}" if key in told else text
    return told


def _text(value: bytes) -> str:
    """A field's value, in UTF-8 where it is that."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
