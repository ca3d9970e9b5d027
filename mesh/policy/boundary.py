"""Which addresses a destination may turn out to have, besides whether the agent may talk to it at all.

A name is decided on before anybody knows its addresses, and whoever owns the name chooses them: a public name may
lead to the cloud's metadata service, or to another tenant of the cluster. So each destination says how far it may
lead, and the sidecar decides again on what it is about to dial.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from mesh.policy.address_space import Space


class Reach:
    """How far a destination may lead. Plain strings, because they are part of a hashed key."""

    ANYWHERE = ""
    """Somebody who may wrote this very destination down."""
    ROUTED = "routed"
    """Anywhere but to link-local and metadata addresses: declared, by a name that is an outsider's to resolve."""
    PUBLIC = "public"
    """Public addresses only: not declared."""
    OBSERVED = "observed"
    """As PUBLIC, but every policy is in mode observe: what would be refused is recorded, and passes."""


_NEAR = frozenset({Space.LINK_LOCAL, Space.METADATA})


def stops(reach: str, space: Space | None) -> bool:
    """Whether an address in this part of the space lies beyond `reach`; None stands for public ones."""
    if space is None or reach == Reach.ANYWHERE:
        return False
    return space in _NEAR if reach == Reach.ROUTED else True


@dataclass(frozen=True, slots=True)
class Boundary:
    """What whoever runs the sidecar opened, beyond Backends, in its own configuration."""

    private_addresses: bool = False
    """`egress: allow` means private addresses too."""
    named: Set[tuple[str, int]] = frozenset()
    """Hosts and ports that the configuration itself gives an address."""

    def holds_for(self, host: str, port: int) -> bool:
        """Whether a destination that is no Backend has to be public."""
        return not self.private_addresses and (host, port) not in self.named
