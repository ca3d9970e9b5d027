"""Handles: what the application holds in place of a user's token.

A handle is a word at random that only the sidecar which made it understands. Whoever steals it from the agent has
nothing: it opens no server, no other pod knows it, and it ends with the token that it stands for.

The table is indexed by SHA-256, so that how long a search takes says nothing about the handles in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from mesh.reasons import Reason
from sidecar.credentials.verified import TokenRefused, Verified

PREFIX: Final = b"orh_"
LENGTH: Final = 47
"""Of a handle: the prefix, and 32 random bytes in base64url."""

MOST_OF_ONE: Final = 256
"""Handles of one user: its own oldest give way, and not those of another."""

# Looks ahead, so that a handle is found wherever it begins: right after what only looks like one, too.
_HANDLE = re.compile(rb"(?=(orh_[A-Za-z0-9_-]{43}))")
_BA = frozenset({b"Ba", b"ba", b"BA", b"bA"})
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class _Held:
    """A handle and its token. `until`: when it ends, in seconds since 1970, unless it is given again."""

    __slots__ = ("digest", "handle", "until", "user", "verified")

    def __init__(self, verified: Verified) -> None:
        self.verified = verified
        self.user = (verified.user.issuer, verified.user.subject)
        self.handle = PREFIX + secrets.token_urlsafe(32).encode()
        self.digest = hashlib.sha256(self.handle).digest()
        self.until = 0.0


class Handles:
    """At most `limit` handles, each for `seconds` after it was last given, and never longer than its token.

    The least recently given one gives way, a user's own first where the user has more than a share: a quarter of
    the limit, and at most MOST_OF_ONE. `now`: seconds since 1970.
    """

    __slots__ = ("_by_digest", "_by_token", "_ended", "_limit", "_now", "_of_user", "_seconds", "_share")

    def __init__(
        self, *, limit: int = 16_384, seconds: float = 3600.0, now: Callable[[], float] = time.time
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._now = now
        self._share = max(1, min(MOST_OF_ONE, limit // 4))
        self._by_token: OrderedDict[bytes, _Held] = OrderedDict()
        """By the token's key, the least recently given first: hence in the order in which they end unused."""
        self._by_digest: dict[bytes, _Held] = {}
        self._of_user: dict[tuple[str, str], OrderedDict[bytes, None]] = {}
        self._ended: OrderedDict[bytes, float] = OrderedDict()
        """Hashes of handles that were, and until when that is remembered. As many as handles at most."""

    def give(self, verified: Verified) -> bytes:
        """The handle for this token: the same each time while it lives, so that agents may key sessions on it."""
        now = self._now()
        key = verified.key
        held = self._by_token.get(key)
        if held is not None and (held.until <= now or held.verified.user != verified.user):
            # The issuer's answer about the same token (RFC 7662) may change: nobody goes on with what was.
            self._end(held, now)
            held = None
        if held is None:
            held = self._make(verified, now)
        else:
            self._by_token.move_to_end(key)
            self._of_user[held.user].move_to_end(key)
        held.verified = verified
        held.until = min(now + self._seconds, verified.expires)
        return held.handle

    def find(self, value: bytes) -> Verified:
        """The token that a handle stands for. Raises TokenRefused, HANDLE_UNKNOWN or HANDLE_EXPIRED.

        HANDLE_EXPIRED is said for a while only; afterwards nobody knows that there was such a handle.
        """
        digest = hashlib.sha256(value).digest()
        held = self._by_digest.get(digest)
        if held is not None and held.until > self._now():
            return held.verified
        if held is not None or self._ended.get(digest, 0.0) > self._now():
            raise TokenRefused(Reason.HANDLE_EXPIRED, "the handle's time is over")
        raise TokenRefused(Reason.HANDLE_UNKNOWN, "the handle was not made here")

    def revoke(self, key: bytes) -> None:
        """The token with this key (Verified.key) counts no longer: its handle ends now, if it has one."""
        held = self._by_token.get(key)
        if held is not None:
            self._end(held, self._now())

    def clear(self) -> None:
        """No token counts any longer."""
        for held in list(self._by_token.values()):
            self._end(held, self._now())

    def __len__(self) -> int:
        return len(self._by_token)

    def _make(self, verified: Verified, now: float) -> _Held:
        self._end_unused(now)
        held = _Held(verified)
        own = self._of_user.get(held.user)
        if own is not None and len(own) >= self._share:
            self._end(self._by_token[next(iter(own))], now)
        if len(self._by_token) >= self._limit:
            self._end(next(iter(self._by_token.values())), now)
        self._by_token[verified.key] = self._by_digest[held.digest] = held
        self._of_user.setdefault(held.user, OrderedDict())[verified.key] = None
        return held

    def _end_unused(self, now: float) -> None:
        """Forget those that have ended, as far as they stand first."""
        while self._by_token:
            oldest = next(iter(self._by_token.values()))
            if oldest.until > now:
                break
            self._end(oldest, now)
        while self._ended and next(iter(self._ended.values())) <= now:
            self._ended.popitem(last=False)

    def _end(self, held: _Held, now: float) -> None:
        key = held.verified.key
        del self._by_token[key]
        del self._by_digest[held.digest]
        own = self._of_user[held.user]
        del own[key]
        if not own:
            del self._of_user[held.user]
        self._ended[held.digest] = now + self._seconds
        if len(self._ended) > self._limit:
            self._ended.popitem(last=False)


def is_handle(token: bytes) -> bool:
    """Whether it is written as a handle is: ours, which ends where it is sent, or worth nothing."""
    return len(token) == LENGTH and token.startswith(PREFIX)


def handles_in(value: bytes) -> list[bytes]:
    """Every handle in a field's value: after a scheme, in a cookie, as user or password of Basic (RFC 7617).

    Without one it costs a search for the prefix and a look at the first two letters.
    """
    if PREFIX in value:
        found: list[bytes] = _HANDLE.findall(value)
        if found:
            return found
    if value[:2] in _BA and value[:5].lower() == b"basic" and value[5:6] in (b" ", b"\t"):
        return _HANDLE.findall(_decoded(value[6:].strip()))
    return []


def _decoded(encoded: bytes) -> bytes:
    """In either alphabet and with any padding, as lenient servers read it; b"" for what is no base64."""
    encoded = encoded.rstrip(b"=").translate(_URL_SAFE)
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        return b""
