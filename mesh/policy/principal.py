"""Who asks: the identity a decision is made for.

Inbound it is the peer whose certificate was verified; outbound it is the agent itself. Nothing that a caller
merely says about itself (clientInfo, headers) ever becomes a principal.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated workload, or nobody.

    `id` is a SPIFFE ID (`spiffe://td/ns/agents/sa/triage`) or the word `unauthenticated`.
    """

    id: str

    @property
    def authenticated(self) -> bool:
        """True when the id is a SPIFFE ID, which only a verified certificate can bring."""
        return self.id.startswith("spiffe://")


UNAUTHENTICATED = Principal("unauthenticated")
