"""Who asks: the identity a decision is made for.

Inbound it is the peer whose certificate was verified; outbound it is the agent itself. A user is added where a
token that was verified says on whose behalf. Nothing that a caller merely says about itself (clientInfo, headers)
ever becomes a principal.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """On whose behalf something is asked, as a verified token says.

    `scopes` are those of the token. `client` is the application that the token was given to (`azp`, `client_id`).
    `actors` is the chain of those who act for the user (`act`, RFC 8693 section 4.1), the one that acts now first.
    """

    issuer: str
    subject: str
    scopes: frozenset[str] = frozenset()
    client: str | None = None
    actors: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.issuer}#{self.subject}"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated workload, or nobody, and the user on whose behalf it asks if that is known.

    `id` is a SPIFFE ID (`spiffe://td/ns/agents/sa/triage`) or the word `unauthenticated`.
    """

    id: str
    user: User | None = None

    @property
    def authenticated(self) -> bool:
        """True when the id is a SPIFFE ID, which only a verified certificate can bring."""
        return self.id.startswith("spiffe://")


UNAUTHENTICATED = Principal("unauthenticated")
