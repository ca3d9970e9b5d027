"""Tokens that were looked at: those that count until they end, and those that do not for a moment.

What is found is one look-up of a hash. The oldest gives way where there is no room, unless it was asked for since
its turn last came; so a token in use stays without being moved each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mesh.reasons import Reason
from sidecar.credentials.verified import TokenRefused, Verified

MOST_TOKENS = 4096
MOST_TOKEN_BYTES = 16 * 1024 * 1024
"""Of all tokens together."""
MOST_REFUSED = 1024
REFUSED_SECONDS = 5.0


@dataclass(slots=True)
class KnownToken:
    """A token that counts until `ends` (seconds since 1970).

    `thumbprint`: of the key in the set of `place` that it is signed by; None: the issuer was asked.
    """

    verified: Verified
    ends: float
    place: tuple[str, str | None]
    thumbprint: bytes | None
    used: bool = field(default=False)


class KnownTokens:
    """At most `most` tokens that count, and `MOST_REFUSED` that do not, by SHA-256."""

    __slots__ = ("_bytes", "_most", "_refused", "_tokens")

    def __init__(self, most: int = MOST_TOKENS) -> None:
        self._most = most
        self._bytes = 0
        self._tokens: dict[bytes, KnownToken] = {}
        self._refused: dict[bytes, tuple[Reason, str, str, float]] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, key: bytes, now: float) -> Verified | TokenRefused | None:
        """What is known of the token with this hash."""
        known = self._tokens.get(key)
        if known is not None:
            if now < known.ends:
                known.used = True
                return known.verified
            self._drop(key)
            return None
        refused = self._refused.get(key)
        if refused is not None and now < refused[3]:
            # A new one each time: an exception that is raised again collects all its tracebacks.
            return TokenRefused(*refused[:3])
        return None

    def keep(self, known: KnownToken, now: float) -> None:
        """Remember a token that counts."""
        key = known.verified.key
        self._drop(key)
        self._refused.pop(key, None)
        if now >= known.ends:
            return
        size = len(known.verified.token)
        while self._tokens and (len(self._tokens) >= self._most or self._bytes + size > MOST_TOKEN_BYTES):
            self._make_room(now)
        self._tokens[key] = known
        self._bytes += size

    def refuse(self, key: bytes, reason: Reason, detail: str, now: float, accepted: str = "") -> None:
        """Remember for a moment that a token does not count; `accepted` as in TokenRefused."""
        self._refused.pop(key, None)
        if len(self._refused) >= MOST_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = reason, detail, accepted, now + REFUSED_SECONDS

    def forget_signed_by_others(
        self, place: tuple[str, str | None], thumbprints: frozenset[bytes]
    ) -> list[bytes]:
        """Forget tokens of `place` that are signed by none of these keys; returns their hashes."""
        gone = [
            key
            for key, known in self._tokens.items()
            if known.place == place and known.thumbprint is not None and known.thumbprint not in thumbprints
        ]
        for key in gone:
            self._drop(key)
        return gone

    def _make_room(self, now: float) -> None:
        """Drop the oldest, or let it have another turn."""
        key = next(iter(self._tokens))
        known = self._tokens[key]
        if known.used and now < known.ends:
            known.used = False
            self._tokens[key] = self._tokens.pop(key)
        else:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        known = self._tokens.pop(key, None)
        if known is not None:
            self._bytes -= len(known.verified.token)
