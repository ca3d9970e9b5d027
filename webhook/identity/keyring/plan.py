"""What the leader does next about the mesh's keys: a pure function of what there is, of wishes, and of the time.

nothing there        root, issuer and token key, in use at once: nobody trusts anything yet
half a root's life   a new root is published, with an issuer below it that begins `ahead` later; the old one says
                     until when it stays: until the last SVID under it has expired
half an issuer's     a new one below the same root, in use at once: issuers travel with what they sign
half a token key's   a new one is published, and begins `ahead` later
an operator asks     `rotate`: root and token key as above, now. `replace`: in use at once, and all others
                     withdrawn, for keys that leaked: peers refuse each other until they have the new bundle
what is over         is withdrawn; keys that sign no more are dropped as soon as that is so
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from mesh.identity.ca import Authority, make_authority, make_bridge, make_intermediate
from mesh.identity.jwt_svid import make_jwt_key
from webhook.identity.keyring.values import Issuer, Keyring, Root, Times, TokenKey, half

MOST_BRIDGES = 4


class Act(StrEnum):
    """What to do; all but REST change the keyring."""

    FOUND = "found"
    REPLACE = "replace"
    ANNOUNCE_ROOT = "announce_root"
    ANNOUNCE_TOKEN_KEY = "announce_token_key"  # noqa: S105 - an act
    RENEW_ISSUER = "renew_issuer"
    WITHDRAW = "withdraw"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Asked:
    """What operators ask for: any new value of either is a new wish. "" asks for nothing."""

    rotate: str = ""
    replace: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One act, why, and for REST until when at most."""

    act: Act
    why: str = ""
    until: datetime | None = None


def next_step(keyring: Keyring | None, asked: Asked, now: datetime, times: Times) -> Step:
    """What to do next."""
    if keyring is None:
        return Step(Act.FOUND, "there is no CA yet")
    if asked.replace not in ("", keyring.replaced):
        return Step(Act.REPLACE, "an operator asks for it")
    root = keyring.root(now)
    if now >= root.certificate.not_valid_after_utc or root.key is None:
        return Step(Act.REPLACE, "no root can sign any more")
    if _outdated(keyring, now) != keyring:
        return Step(Act.WITHDRAW, "what it signed has expired, or it signs no more")
    if not _pending(keyring.roots, now):
        if asked.rotate not in ("", keyring.rotated):
            return Step(Act.ANNOUNCE_ROOT, "an operator asks for it")
        if now >= root.half:
            return Step(Act.ANNOUNCE_ROOT, "half of the root's life has passed")
    if now >= half(keyring.issuer(now).authority.certificate):
        return Step(Act.RENEW_ISSUER, "half of the issuer's life has passed")
    if not _pending(keyring.token_keys, now) and now >= _token_half(keyring.token_key(now), times):
        return Step(Act.ANNOUNCE_TOKEN_KEY, "half of the token key's life has passed")
    return Step(Act.REST, until=min(_dates(keyring, now, times)))


def perform(
    step: Step, keyring: Keyring | None, trust_domain: str, asked: Asked, now: datetime, times: Times
) -> Keyring:
    """The keyring that a step of `next_step` leads to."""
    if keyring is None:
        return _founded(trust_domain, asked, now, times)
    match step.act:
        case Act.REPLACE:
            return _replaced(keyring, asked, now, times)
        case Act.ANNOUNCE_ROOT:
            announced = _with_root(keyring, now, times)
            if _pending(announced.token_keys, now):
                return replace(announced, rotated=asked.rotate)
            return replace(_with_token_key(announced, now, times), rotated=asked.rotate)
        case Act.RENEW_ISSUER:
            return _with_issuer(keyring, now, times)
        case Act.ANNOUNCE_TOKEN_KEY:
            return _with_token_key(keyring, now, times)
        case Act.WITHDRAW:
            return _outdated(keyring, now)
    return keyring


def _founded(trust_domain: str, asked: Asked, now: datetime, times: Times) -> Keyring:
    authority = make_authority(trust_domain, now, times.root)
    issuer = make_intermediate(authority, now, times.issuer)
    return Keyring(
        trust_domain,
        (Root(authority.certificate, now, authority.key),),
        (Issuer(issuer, now),),
        (_token_key(now),),
        int(now.timestamp()),
        rotated=asked.rotate,
        replaced=asked.replace,
    )


def _replaced(keyring: Keyring, asked: Asked, now: datetime, times: Times) -> Keyring:
    founded = _founded(keyring.trust_domain, asked, now, times)
    last = keyring.root(now)
    return replace(
        founded,
        bridges=_bridges(keyring, last, founded.roots[0], now, times),
        sequence=_following(keyring, now),
    )


def _with_root(keyring: Keyring, now: datetime, times: Times) -> Keyring:
    begins = now + times.ahead
    authority = make_authority(keyring.trust_domain, now, times.root)
    # It lives longer by what it waits, so that half of its life in use is as long as any other's.
    issuer = make_intermediate(authority, now, times.issuer + times.ahead)
    new, last = Root(authority.certificate, begins, authority.key), keyring.root(now)
    until = begins + times.svid + times.margin
    old = tuple(one if one.until else replace(one, until=until) for one in keyring.roots)
    return replace(
        keyring,
        roots=(new, *old),
        issuers=(Issuer(issuer, begins), *keyring.issuers),
        bridges=_bridges(keyring, last, new, now, times),
        sequence=_following(keyring, now),
    )


def _with_issuer(keyring: Keyring, now: datetime, times: Times) -> Keyring:
    root = keyring.root(now)
    issuer = make_intermediate(_signer(keyring.trust_domain, root), now, _within(root, now, times))
    return replace(keyring, issuers=(Issuer(issuer, now), *keyring.issuers))


def _with_token_key(keyring: Keyring, now: datetime, times: Times) -> Keyring:
    new = _token_key(now + times.ahead)
    until = new.begins + times.jwt_svid + times.margin
    old = tuple(one if one.until else replace(one, until=until) for one in keyring.token_keys)
    return replace(keyring, token_keys=(new, *old), sequence=_following(keyring, now))


def _outdated(keyring: Keyring, now: datetime) -> Keyring:
    """Without what has had its time, and without the keys of what signs no more."""
    root, token_key, issuer = keyring.root(now), keyring.token_key(now), keyring.issuer(now)
    roots = tuple(
        one if one.begins >= root.begins else replace(one, key=None)
        for one in keyring.roots
        if one.until is None or now < one.until
    )
    token_keys = tuple(
        one if one.begins >= token_key.begins else replace(one, key=None)
        for one in keyring.token_keys
        if one.until is None or now < one.until
    )
    issuers = tuple(one for one in keyring.issuers if one.begins >= issuer.begins)
    withdrawn = len(roots) < len(keyring.roots) or len(token_keys) < len(keyring.token_keys)
    sequence = _following(keyring, now) if withdrawn else keyring.sequence
    return replace(keyring, roots=roots, issuers=issuers, token_keys=token_keys, sequence=sequence)


def _bridges(keyring: Keyring, last: Root, new: Root, now: datetime, times: Times) -> tuple[bytes, ...]:
    if last.key is None or now >= last.certificate.not_valid_after_utc:
        return ()
    before = _signer(keyring.trust_domain, last)
    bridge = make_bridge(before, _signer(keyring.trust_domain, new), now, times.bridge)
    return (bridge, *keyring.bridges)[:MOST_BRIDGES]


def _signer(trust_domain: str, root: Root) -> Authority:
    assert root.key is not None  # noqa: S101 - next_step has looked
    return Authority(trust_domain, root.certificate, root.key)


def _within(root: Root, now: datetime, times: Times) -> timedelta:
    """How long an issuer may live that does not outlive its root."""
    return min(times.issuer, root.certificate.not_valid_after_utc - now)


def _token_key(begins: datetime) -> TokenKey:
    made = make_jwt_key()
    return TokenKey(made.key_id, made.public, begins, made)


def _token_half(one: TokenKey, times: Times) -> datetime:
    return one.begins + times.token_key / 2


def _pending(ones: tuple[Root, ...] | tuple[TokenKey, ...], now: datetime) -> bool:
    return any(one.begins > now for one in ones)


def _following(keyring: Keyring, now: datetime) -> int:
    """Grows even where the Secret was lost and made anew meanwhile (SPIFFE Trust Domain and Bundle, 4.1.1)."""
    return max(keyring.sequence + 1, int(now.timestamp()))


def _dates(keyring: Keyring, now: datetime, times: Times) -> Iterator[datetime]:
    """When there may be something to do, all after `now`."""
    dates = [keyring.root(now).half, half(keyring.issuer(now).authority.certificate)]
    dates.append(_token_half(keyring.token_key(now), times))
    spans = [(one.begins, one.until) for one in keyring.roots]
    spans += [(one.begins, one.until) for one in keyring.token_keys]
    dates += [date for span in spans for date in span if date is not None]
    yield now + times.margin
    yield from (date for date in dates if date > now)
