"""A user's token that was verified, and why one was not."""

from __future__ import annotations

from dataclasses import dataclass, field

from mesh.policy.principal import User
from mesh.reasons import Reason


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that a caller brought. `expires`: until when it counts here, in seconds since 1970: its end and the
    leeway, so that whoever is let in late with it is not stopped half-way.

    `token` never leaves the sidecar but for an authorization server, and is in no text of this value.
    """

    user: User
    token: str = field(repr=False)
    expires: float
    key: bytes = field(repr=False)
    """SHA-256 of the token: what caches are keyed on, so that no right of one token is lent to another."""


class TokenRefused(Exception):
    """A token cannot be accepted: its bearer is at fault, or with ISSUER_UNAVAILABLE nobody who is here, or
    with TOO_MANY_UNKNOWN_TOKENS whoever brought others before.

    `detail` holds nothing of the token but names, kinds, dates, and who made it for whom. `accepted`, what would
    have been accepted instead, is for the log and for no caller.
    """

    def __init__(self, reason: Reason, detail: str, accepted: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.accepted = accepted

    @property
    def logged(self) -> str:
        """What the operator is told."""
        return f"{self.detail}; accepted: {self.accepted}" if self.accepted else self.detail
