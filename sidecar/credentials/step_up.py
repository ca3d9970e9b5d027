"""Which more scopes a server asks for, and whether the Backend's credential may be issued with them.

A server names them in a 403 (RFC 6750, section 3.1; MCP, Authorization, Scope Challenge Handling). Nothing else of
its challenge is followed: `resource_metadata` is a URL of the server's choosing, and who issues credentials for it
is for the policy to say. What was issued with more scopes is what the next request gets too, else each would pay
for its 403 first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from mesh.policy.credentials import ClientCredentials, Credential, Exchange, JwtBearer
from mesh.protocol.http1.heads import ResponseHead, all_values
from mesh.protocol.oauth.challenge import parse_challenges
from sidecar.credentials.issued import Issued

FORBIDDEN = 403

K = TypeVar("K", bound=Hashable)


class _More(NamedTuple):
    scopes: frozenset[str]
    ends: float
    """In seconds since 1970."""


_NONE = _More(frozenset(), float("-inf"))


class Wider(Generic[K]):
    """The scopes that each of at most `limit` keys was issued beyond the credential's own, together.

    They count until what was issued with them ends. `now`: seconds since 1970.
    """

    __slots__ = ("_known", "_limit", "_now")

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._known: OrderedDict[K, _More] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, key: K) -> frozenset[str]:
        """What to ask for besides the credential's own scopes."""
        more = self._known.get(key, _NONE)
        if more.scopes and more.ends <= self._now():
            del self._known[key]
            return _NONE.scopes
        return more.scopes

    def remember(self, key: K, scopes: frozenset[str], issued: Issued, until: float) -> None:
        """`issued` was asked for with these; `until`: when the user's token ends, in seconds since 1970.

        A server that gives less says so in its answer (RFC 6749, section 5.1), and then nothing is remembered.
        """
        if not scopes or (issued.scopes and not scopes <= issued.scopes):
            return
        together = scopes | self.of(key)
        self._known.pop(key, None)
        if len(self._known) >= self._limit:
            self._known.popitem(last=False)
        self._known[key] = _More(together, min(issued.expires, until))

    def forget(self, key: K) -> None:
        """They are not issued any more."""
        self._known.pop(key, None)

    def forget_where(self, gone: Callable[[K], bool]) -> None:
        """Let go of these keys."""
        for key in [key for key in self._known if gone(key)]:
            del self._known[key]


def challenged(head: ResponseHead) -> frozenset[str]:
    """The scopes of an `insufficient_scope` challenge; empty where there is none."""
    if head.status != FORBIDDEN:
        return frozenset()
    scopes: set[str] = set()
    for challenge in parse_challenges(all_values(head.headers, b"www-authenticate")):
        if challenge.scheme.lower() == "bearer" and challenge.params.get("error") == "insufficient_scope":
            scopes.update(challenge.params.get("scope", "").split())
    return frozenset(scopes)


def more_scopes(
    credential: Credential | None, asked: frozenset[str], head: ResponseHead
) -> frozenset[str] | None:
    """What to ask for beyond the credential's own scopes: `asked`, which was so far, and what the challenge adds.

    None where it adds nothing, or a scope that is not among the credential's `stepUp`.
    """
    if not isinstance(credential, Exchange | ClientCredentials | JwtBearer):
        return None
    new = challenged(head).difference(credential.scopes, asked)
    if not new or not new <= frozenset(credential.step_up):
        return None
    return asked | new
