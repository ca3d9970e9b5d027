"""The answer to "may it?", and the values that a question is made of besides the principal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from mesh.policy.documents import Backend
from mesh.reasons import Reason


@dataclass(frozen=True, slots=True, eq=False)
class Inbound:
    """This workload as the target of a peer's request.

    `path` is the MCP path that the request falls under, of those that inbound rules declare; None off all of
    them. A Policy makes one for each declared path, so that a peer cannot make many. Compared and hashed by
    identity, as a Backend is.
    """

    path: str | None = None


INBOUND: Final = Inbound()
"""This workload off every MCP path: only grants of plain HTTP count there."""

Target = Backend | Inbound


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A plain HTTP request that carries no MCP message; `path` is without query."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The HTTP request that carries what is decided on; each part is None where it is not known.

    `method` is the HTTP method, `host` lower case without port or trailing dot, `path` as sent, with its query.
    `headers` has lower-case names, and values of one name joined with ",". `time` is when the request came, with
    its zone. A rule that needs a part which is not known does not match, so that what is not known stays closed.
    """

    method: str | None = None
    host: str | None = None
    port: int | None = None
    path: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    time: datetime | None = None


class AuthProtocol(StrEnum):
    """How an external authorization is asked."""

    HTTP = "HTTP"
    GRPC = "GRPC"


@dataclass(frozen=True, slots=True)
class ExternalCheck:
    """An authorization service that has to say yes before what was decided passes (Envoy's ext_authz).

    `name` is that of the policy, like `XAccessPolicy/tools/gate`. `path` comes before the path of the request that
    is asked about (HTTP only). Header names are lower case: `allowed_request_headers` are those it is shown, with
    HTTP besides the ones that it always sees (Host, method, path, Content-Length, Authorization);
    `allowed_response_headers` those of its answer that are put into the request. None means all.
    `forward_body_bytes` is how much of the body it is shown; 0: nothing.
    """

    name: str
    protocol: AuthProtocol
    host: str
    port: int
    path: str = ""
    allowed_request_headers: tuple[str, ...] | None = None
    allowed_response_headers: tuple[str, ...] | None = None
    forward_body_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something passes, why, and which entry of which document says so.

    `rule` is like `AgentPolicy/triage outbound[0] tools.allow[2]`. `observed` is True when mode observe
    turned a refusal into a pass: `allowed` is True then, and `reason` and `rule` are those of the refusal.
    What is allowed passes only once every one of `checks` has said yes, in this order. `message` is what the
    author of the policy has to say about a refusal; empty where nothing.
    """

    allowed: bool
    reason: Reason
    rule: str
    observed: bool = False
    checks: tuple[ExternalCheck, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request belongs: its Backend, or None. `host_declared` tells whether its host and port are some
    Backend's, so that only the path is not declared."""

    backend: Backend | None
    host_declared: bool
