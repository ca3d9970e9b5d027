"""What the claims of a user's token have to say before anybody is believed to be behind it.

The same holds for the claims of a JWT (RFC 7519, section 4.1; RFC 9068) and for what an issuer answers about a
token (RFC 7662, section 2.2). Nothing here proves a signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mesh.policy.principal import User
from mesh.policy.user_auth import Issuer
from mesh.reasons import Reason

MOST_SUBJECT = 1024
MOST_AUDIENCES = 256
MOST_SCOPES = 512
MOST_ACTORS = 16
_MOST_NAME = 1024
_MOST_TOLD = 128

_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_KINDS = ("typ", "token_use", "token_type")
_NO_ACCESS = frozenset({"refresh", "offline", "refresh_token", "logout", "logout_token"})
"""As Keycloak (`typ`), Ory Hydra (`token_use`) and others (`token_type`) call them."""
_BOUND = frozenset({"dpop", "pop", "mac"})
_SCOPE = re.compile(r"[!#-\[\]-~]{1,256}")  # RFC 6749, section 3.3
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


class TokenInvalid(Exception):
    """The token is not one to accept; whoever presents it is at fault.

    `detail` holds nothing of the token but names, kinds, dates, and who made it for whom. `accepted` is what would
    have been accepted instead, which is no business of whoever brings tokens.
    """

    def __init__(self, reason: Reason, detail: str, accepted: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.accepted = accepted


def quoted(claim: str) -> str:
    """A claim as it may be told: on one line, in ASCII, and not without end."""
    return ascii(claim if len(claim) <= _MOST_TOLD else claim[:_MOST_TOLD] + "...")


def malformed(detail: str) -> TokenInvalid:
    """The token is none, or none of this kind."""
    return TokenInvalid(Reason.TOKEN_MALFORMED, detail)


def check_audience(claims: Mapping[str, Any], issuer: Issuer) -> None:
    """One of the audiences has to be one of ours (RFC 7519, section 4.1.3)."""
    audience = claims.get("aud")
    members = [audience] if isinstance(audience, str) else audience
    if members is None:
        raise TokenInvalid(Reason.TOKEN_AUDIENCE, "aud is missing")
    if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
        raise malformed("aud is neither a text nor a list of texts")
    if len(members) > MOST_AUDIENCES:
        raise malformed(f"aud has {len(members)} members, at most {MOST_AUDIENCES} are read")
    if not set(members) & set(issuer.audiences):
        said = quoted(", ".join(members))
        accepted = ", ".join(issuer.audiences)
        raise TokenInvalid(Reason.TOKEN_AUDIENCE, f"aud is {said}, and none of it ours", accepted)


def check_binding(claims: Mapping[str, Any]) -> None:
    """Who presents a token that is bound to a key would have to prove that key (RFC 7800; RFC 9449; RFC 8705)."""
    if "cnf" in claims:
        raise TokenInvalid(Reason.TOKEN_BOUND, "the token has cnf")


def check_kind(claims: Mapping[str, Any]) -> None:
    """Servers say in claims of their own which tokens are none to gain access with (RFC 8725, section 3.12)."""
    for name in _KINDS:
        kind = claims.get(name)
        if isinstance(kind, str) and kind.lower() in _NO_ACCESS:
            raise malformed(f"{name} says that it is no access token")
    kind = claims.get("token_type")
    if isinstance(kind, str) and kind.lower() in _BOUND:
        raise TokenInvalid(Reason.TOKEN_BOUND, "token_type is one that is bound to a key")


def expiry_of(claims: Mapping[str, Any], now: float, skew: float) -> float:
    """`exp` in seconds since 1970, after the dates were checked with `skew` seconds of leeway; it is required."""
    if claims.get("exp") is None:
        raise malformed("exp is missing")
    expires = _date(claims, "exp")
    if now >= expires + skew:
        raise TokenInvalid(Reason.TOKEN_EXPIRED, f"the token expired at {_spelt(expires)}")
    check_start(claims, now, skew)
    return expires


def check_start(claims: Mapping[str, Any], now: float, skew: float) -> None:
    """Neither `nbf` nor `iat` may be ahead of our clock."""
    for name in ("nbf", "iat"):
        if claims.get(name) is not None and (start := _date(claims, name)) > now + skew:
            raise TokenInvalid(Reason.TOKEN_NOT_YET_VALID, f"{name} is {_spelt(start)}")


def user_of(claims: Mapping[str, Any], issuer: str) -> User:
    """On whose behalf the bearer asks. Raises TokenInvalid(TOKEN_MALFORMED)."""
    subject = _name(claims, "sub")
    if subject is None:
        raise malformed("sub is missing")
    client = _name(claims, "azp") or _name(claims, "client_id")
    return User(issuer, subject, scopes_of(claims), client, actors_of(claims))


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scope` and `scp`, each words of a text or a list. What is no scope (RFC 6749) grants nothing."""
    words: list[object] = []
    for name in ("scope", "scp"):
        value = claims.get(name)
        if isinstance(value, str):
            words += value.split(" ")
        elif isinstance(value, list):
            # A member is one scope, even if it holds a space: then it is none.
            words += value
        elif value is not None:
            raise malformed(f"{name} is neither a text nor a list")
    if len(words) > MOST_SCOPES:
        raise malformed(f"the token has {len(words)} scopes, at most {MOST_SCOPES} are read")
    return frozenset(word for word in words if isinstance(word, str) and _SCOPE.fullmatch(word))


def actors_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Who acts for the user, the one that acts now first (RFC 8693, section 4.1)."""
    actors: list[str] = []
    act = claims.get("act")
    while act is not None:
        if not isinstance(act, dict):
            raise malformed("act is no object")
        if len(actors) == MOST_ACTORS:
            raise malformed(f"act names more than {MOST_ACTORS} actors")
        name = _name(act, "sub") or _name(act, "client_id") or _name(act, "azp")
        if name is None:
            raise malformed("act names no actor")
        actors.append(name)
        act = act.get("act")
    return tuple(actors)


def _name(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_NAME or _UNPRINTABLE.search(value):
        raise malformed(f"{name} is no name")
    return value


def _date(claims: Mapping[str, Any], name: str) -> float:
    """Seconds since 1970 (RFC 7519, NumericDate), which may have a fraction."""
    value = claims[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LATEST:
        raise malformed(f"{name} is no date")
    return float(value)


def _spelt(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
