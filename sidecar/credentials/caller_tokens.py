"""The tokens of callers, which go nowhere but to their audience (MCP, Security Best Practices, Token Passthrough).

A caller proves itself to the agent with a token, and an agent that hands it on lets every server that it talks to
act as the caller. So each token that passes to the application is remembered, as a salted hash and never itself,
and taken out of what the agent sends to anybody else.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from mesh.protocol.caller_token import carried, claims, given, may_carry
from mesh.protocol.http1.heads import Headers, RequestHead
from sidecar.credentials.audience import is_for
from sidecar.credentials.handles import is_handle
from sidecar.proxy.plan import Routed

LEEWAY_SECONDS = 300.0
"""How long an expired JWT is remembered: clocks differ."""

SWEEP_SECONDS = 60.0

MOST_IN_A_HEAD = 16
"""Tokens of one request that are remembered; a caller has a few."""

MOST_OF_ONE = 256
"""Tokens of one caller: its own oldest give way, and not those of another."""

_GIVES_NONE = "gives no token"
_MAY_CARRY = "fields that may carry a token"


class _Known(NamedTuple):
    audience: tuple[str, ...]
    expires: float
    """What the token says."""
    ends: float
    """When it is forgotten. Both in seconds since 1970."""


class CallerTokens:
    """Remembers at most `limit` tokens, each for `seconds` after it was last seen; the oldest gives way.

    `now`: seconds since 1970.
    """

    __slots__ = ("_limit", "_now", "_of_one", "_salt", "_seconds", "_swept", "known")

    def __init__(self, *, limit: int, seconds: float, now: Callable[[], float] = time.time) -> None:
        self._limit = limit
        self._seconds = seconds
        self._now = now
        self._salt = secrets.token_bytes(32)
        self._swept = now()
        self._of_one: dict[str, deque[bytes]] = {}
        self.known: dict[bytes, _Known] = {}
        """Empty: nothing has to be looked at. By hash, the least recently seen first."""

    def remember(self, head: RequestHead, caller: str) -> None:
        """A request of `caller` passes to the application."""
        if _GIVES_NONE in head.memo:
            return
        tokens = [
            token for name, value in head.headers for token in given(name, value) if not is_handle(token)
        ]
        if not tokens:
            # Heads without credentials are shared between requests, and what they hold is found out once.
            head.memo[_GIVES_NONE] = True
            return
        now = self._now()
        for token in tokens[:MOST_IN_A_HEAD]:
            self._remember(token, now, caller)
        if now - self._swept >= SWEEP_SECONDS:
            self._sweep(now)

    def _remember(self, token: bytes, now: float, caller: str) -> None:
        key = self._hash(token)
        known = self.known.pop(key, None)
        if known is None:
            own = self._of_one.setdefault(caller, deque())
            own.append(key)
            if len(own) > MOST_OF_ONE:
                self.known.pop(own.popleft(), None)
            if len(self.known) >= self._limit:
                del self.known[next(iter(self.known))]
            said = claims(token)
            expires = float("inf") if said.expires is None else said.expires
            known = _Known(said.audience, expires, 0.0)
        ends = min(now + self._seconds, known.expires + LEEWAY_SECONDS)
        self.known[key] = known._replace(ends=ends)

    def _sweep(self, now: float) -> None:
        self._swept = now
        for key in [key for key, known in self.known.items() if known.ends <= now]:
            del self.known[key]
        for caller, own in list(self._of_one.items()):
            left = deque(key for key in own if key in self.known)
            if left:
                self._of_one[caller] = left
            else:
                del self._of_one[caller]

    def foreign(self, head: RequestHead, routed: Routed) -> Headers:
        """The fields of an agent's request that carry a caller's token whose audience is not this destination."""
        fields: Headers | None = head.memo.get(_MAY_CARRY)
        if fields is None:
            fields = [field for field in head.headers if may_carry(*field)]
            head.memo[_MAY_CARRY] = fields
        return [field for field in fields if self._is_foreign(field[1], routed)] if fields else fields

    def _is_foreign(self, value: bytes, routed: Routed) -> bool:
        for piece in carried(value):
            known = self.known.get(self._hash(piece))
            if known is not None and known.ends > self._now() and not is_for(known.audience, routed):
                return True
        return False

    def _hash(self, token: bytes) -> bytes:
        return hashlib.sha256(self._salt + token).digest()
