"""What the pipeline decided about one request: the values that its stages hand on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from mesh.policy.decision import Decision, ExternalCheck, Inbound, RequestContext
from mesh.policy.documents import Backend
from mesh.policy.principal import Principal
from mesh.protocol.http1.heads import Headers, RequestHead
from mesh.protocol.jsonrpc import Message
from mesh.reasons import Reason
from sidecar.proxy.pool import Destination

_METADATA = re.compile(
    r"/\.well-known/(?:oauth-protected-resource|oauth-authorization-server|openid-configuration)(?:/.*)?"
)


def is_oauth_metadata(path: str) -> bool:
    """Whether clients of MCP look here for an authorization server (RFC 9728, RFC 8414, OpenID Discovery)."""
    return _METADATA.fullmatch(path) is not None


Id = str | int
"""A JSON-RPC id."""


class Treatment(Enum):
    """How much of a message is looked at."""

    MCP = "mcp"
    """Every body is JSON-RPC, parsed strictly, decided and filtered."""
    SNIFF = "sniff"
    """Plain HTTP may pass; whatever looks like JSON-RPC is treated as MCP."""
    HTTP = "http"
    """Passed on as it streams."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Where requests with one target go: all that does not depend on the single request."""

    direction: str
    """`outbound` or `inbound`."""
    path: bytes
    """Origin-form target for the backend."""
    plain_path: str
    """The path alone, for decisions and logs."""
    authority: bytes
    """Value of the Host header for the backend."""
    destination: Destination
    target: Backend | Inbound | None
    """What `decide` is asked about; None for a destination that is no Backend."""
    backend: str
    """Name for logs and metrics."""
    treatment: Treatment
    refusal: tuple[Reason, str] | None = None
    """Set where the policy lets nothing pass to this target."""
    neighbour: Backend | Inbound | None = None
    """What JSON-RPC on this path is decided as: the MCP endpoint beside it."""
    transport: bool = False
    """Part of MCP's own transport: allowed wherever the base protocol is."""

    @property
    def is_metadata(self) -> bool:
        """OAuth metadata (RFC 9728, RFC 8414): it lies beside the MCP endpoint, and a client needs it."""
        return is_oauth_metadata(self.plain_path)


@dataclass(frozen=True, slots=True)
class Held:
    """A request that waits until every external check has said yes: as it would leave, and what it says.

    `body` is None where it streams and no check wants it.
    """

    headers: Headers
    body: bytes | None
    messages: tuple[Message, ...] = ()
    is_batch: bool = False


@dataclass(slots=True)
class Plan:
    """One request: where it goes, on whose behalf, and how it is treated."""

    head: RequestHead
    principal: Principal
    routed: Routed
    treatment: Treatment
    target: Backend | Inbound | None
    pending: tuple[Id, ...] = ()
    """Ids of the requests in the body that wait for an answer."""
    modern: bool = False
    """True for the 2026-07-28 revision."""
    tool: str | None = None
    """The tool that the body calls, if it calls one."""
    endpoint: bytes | None = None
    """Path and query that the HTTP+SSE stream which answers this request announced for what it is sent."""
    refusal: tuple[Reason, str] | None = None
    """Refused whatever the body says; kept so that the answer can carry the request's id."""
    context: RequestContext | None = None
    """What rules about HTTP are asked with; None where no policy in force has any."""
    checks: tuple[ExternalCheck, ...] = ()
    """Each has to say yes before anything is forwarded."""
    provisional: tuple[tuple[str, str | None, Decision], ...] = ()
    """Method, name and decision of what is recorded only when its checks have answered."""

    def checked(self, method: str, name: str | None, decision: Decision) -> None:
        """A decision that holds only once its checks have said yes; each is asked once for a request."""
        self.wait_for(decision)
        self.provisional = (*self.provisional, (method, name, decision))

    def wait_for(self, decision: Decision) -> None:
        """Its checks have to say yes, whatever is recorded."""
        self.checks = tuple(dict.fromkeys((*self.checks, *decision.checks)))

    @property
    def shown_bytes(self) -> int:
        """How long a body may be that every check can see whole; 0 where none wants to see it."""
        return min((check.forward_body_bytes for check in self.checks if check.forward_body_bytes), default=0)

    @property
    def server(self) -> str:
        """The one MCP server behind the target: the Backend, or what is at a path of the application."""
        routed, target = self.routed, self.target
        if isinstance(target, Inbound):
            return f"{routed.backend}:{routed.destination.port}{target.path}"
        return routed.backend


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that the sidecar gives itself."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A CONNECT that was granted."""

    host: str
    port: int
    destination: Destination
    backend: str
    inspected: bool
    """True: HTTP inside is read as if it had come without the tunnel. False: bytes pass untouched."""
    only_tls: bool = False
    """The Backend is declared to be reached by TLS, which inside an opaque tunnel is the application's own."""
