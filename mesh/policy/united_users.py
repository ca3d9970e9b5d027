"""What several policies say about the tokens of users, together: the `users` of a Policy.

Whose tokens are accepted is a union, as grants are. What is wanted of a token, and how it is checked, is the
strictest of all. A policy in mode observe refuses nobody, so that what it says about the door does not count
beside one that enforces; its issuers do, else its rules about users could not be tried. Where all of them observe,
what they say of the door is what would be refused, and the application gets tokens as they come: observing changes
nothing. A policy that annotations leave out still binds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mesh.policy.user_auth import Given, Introspection, Issuer, UserAuth

_STRICTEST = (Given.NOTHING, Given.HANDLE, Given.TOKEN)


def united(sections: Iterable[tuple[bool, UserAuth | None]]) -> UserAuth | None:
    """The (enforce, section) of every selecting policy as one; None where no policy speaks of users."""
    said = [(enforce, auth) for enforce, auth in sections if auth is not None]
    if not said:
        return None
    every = [auth for _, auth in said]
    enforcing = [auth for enforce, auth in said if enforce]
    door = enforcing or every
    return UserAuth(
        issuers=_issuers(every),
        required=any(auth.required for auth in door),
        scopes=frozenset().union(*(auth.scopes for auth in door)),
        bypass=_bypass([auth.bypass for auth in door]),
        resource=next((auth.resource for auth in every if auth.resource is not None), None),
        given=min((auth.given for auth in every), key=_STRICTEST.index) if enforcing else Given.TOKEN,
        correlation=frozenset.intersection(*(auth.correlation for auth in every)),
        enforced=bool(enforcing),
    )


def _issuers(sections: Sequence[UserAuth]) -> tuple[Issuer, ...]:
    by_name: dict[str, list[Issuer]] = {}
    for auth in sections:
        for issuer in auth.issuers:
            by_name.setdefault(issuer.issuer, []).append(issuer)
    return tuple(one for same in by_name.values() if (one := _issuer(same)) is not None)


def _issuer(same: list[Issuer]) -> Issuer | None:
    """One issuer as several policies have it. None where they name different keys: whoever could name others would
    make tokens of everybody."""
    if len({one.jwks_uri for one in same} - {None}) > 1:
        return None
    asked = [one.introspection for one in same if one.introspection is not None]
    return Issuer(
        issuer=same[0].issuer,
        audiences=tuple(dict.fromkeys(audience for one in same for audience in one.audiences)),
        jwks_uri=next((one.jwks_uri for one in same if one.jwks_uri is not None), None),
        algorithms=tuple(name for name in same[0].algorithms if all(name in one.algorithms for one in same)),
        skew_seconds=min(one.skew_seconds for one in same),
        introspection=_introspection(asked),
    )


def _introspection(asked: list[Introspection]) -> Introspection | None:
    """Where several policies have it: the first one's, and an answer counts for the shortest time."""
    if not asked:
        return None
    return replace(asked[0], seconds=min(one.seconds for one in asked))


def _bypass(lists: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The paths that every list bypasses."""
    common, *others = lists
    for other in others:
        common = _both(common, other)
    return tuple(dict.fromkeys(common))


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    met = (_narrower(first, second) for first in one for second in other)
    return tuple(entry for entry in met if entry is not None)


def _narrower(one: str, other: str) -> str | None:
    """The entry that lies within the other; None where neither does."""
    if _within(one, other):
        return one
    return other if _within(other, one) else None


def _within(one: str, other: str) -> bool:
    return one == other or (other.endswith("/*") and one.startswith(other[:-1]))
