"""What the pipeline decided about one request: the values that its stages hand on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mesh.policy.decision import Inbound
from mesh.policy.documents import Backend
from mesh.policy.principal import Principal
from mesh.protocol.http1.heads import RequestHead
from mesh.reasons import Reason
from sidecar.proxy.pool import Destination

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


@dataclass(slots=True)
class Plan:
    """Where one request goes, on whose behalf, and how it is treated."""

    direction: str
    """`outbound` or `inbound`."""
    head: RequestHead
    path: bytes
    """Origin-form target for the backend."""
    authority: bytes
    """Value of the Host header for the backend."""
    principal: Principal
    target: Backend | Inbound | None
    """What `decide` is asked about; None for a destination that is no Backend."""
    backend: str
    """Name for logs and metrics."""
    destination: Destination
    treatment: Treatment
    neighbour: Backend | Inbound | None = None
    """What JSON-RPC is decided as where plain HTTP may pass too."""
    transport: bool = False
    """Part of MCP's own transport: allowed wherever the base protocol is."""
    pending: tuple[Id, ...] = ()
    """Ids of the requests in the body that wait for an answer."""
    modern: bool = False
    """True for the 2026-07-28 revision."""
    refusal: tuple[Reason, str] | None = None
    """Refused whatever the body says; kept so that the answer can carry the request's id."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that the sidecar gives itself."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it leaves."""

    head: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A CONNECT that was granted."""

    host: str
    port: int
    destination: Destination
    backend: str
    inspected: bool
    """True: HTTP inside is read as if it had come without the tunnel. False: bytes pass untouched."""
