"""What is known of a connection before any request on it: which way it goes, whose it is, where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.policy.principal import Principal

if TYPE_CHECKING:
    from sidecar.addresses import Address


@dataclass(slots=True)
class Channel:
    """What is known of a connection before any request on it."""

    direction: str
    """`outbound` (the agent's) or `inbound` (a peer's)."""
    principal: Principal
    peer: str
    """For logs: the peer's SPIFFE ID, or `agent`."""
    tunnel: tuple[str, int] | None = None
    """Host and port of a CONNECT, or of intercepted TLS, whose HTTP is inspected."""
    secure: bool = False
    """The application speaks TLS there, which is ended here."""
    captured: Address | None = None
    """Where the agent's connection was meant to go before the kernel brought it here."""
    arrived: Address | None = None
    """Where a peer's connection came in that the kernel brought here: an own address, the application's port."""

    @property
    def may_tunnel(self) -> bool:
        """Whether CONNECT means anything here: only to the forward proxy, and not inside a tunnel."""
        return self.direction == "outbound" and self.tunnel is None and self.captured is None
