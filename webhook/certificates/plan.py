"""What the leader does next about the webhook's certificates: a pure function of what is there, and of the time.

    nothing usable         an authority and a serving certificate are made at once
    serving certificate    renewed by the same authority when a third of its life is left
    authority              when a third of its life is left, its successor is made and published beside it; once
                           every entry of both configurations has held both for a while, the successor signs a new
                           serving certificate; the old one stays published, without a key, until the last
                           certificate that it signed has expired

The last step is where others ask each replica what it serves. No replica can be asked here without more
permissions, and one that hangs would not answer; but whatever it still serves has expired by then, so that nobody
can be refused on account of the withdrawal. The price is that an authority whose key no longer exists is trusted
for at most a serving certificate's life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509

from webhook.certificates.issue import CLOCK_SKEW, Lifetimes, make_authority, make_leaf
from webhook.certificates.material import Found, Material, Pair, Retired

_ADOPTED = 4


class Act(StrEnum):
    """What to do. All but PUBLISH and REST change the Secret."""

    RESTORE = "restore"
    FOUND = "found"
    ISSUE = "issue"
    ANNOUNCE = "announce"
    SWITCH = "switch"
    WITHDRAW = "withdraw"
    CLEAN = "clean"
    PUBLISH = "publish"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Step:
    """One act, why, and for REST until when at most."""

    act: Act
    why: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What the leader sees.

    `found` is the Secret, `remembered` what was last served from it. `published_since` is since when every entry
    has held exactly what is to be trusted, None while some entry does not. `adopted` are authorities that the
    entries hold now, for a Secret that has lost its own.
    """

    found: Found
    remembered: Material | None
    published_since: datetime | None
    adopted: tuple[x509.Certificate, ...]
    names: Sequence[str]
    now: datetime


def next_step(scene: Scene, lifetimes: Lifetimes) -> Step:
    """What to do next."""
    material, now = scene.found.material, scene.now
    if scene.found.faults and _whole(scene.remembered, scene):
        return Step(Act.RESTORE, _told(scene.found))
    if scene.found.empty and _whole(scene.remembered, scene):
        return Step(Act.RESTORE, "the Secret has been emptied")
    authority, leaf = material.authority, material.leaf
    if authority is None and _whole(scene.remembered, scene):
        return Step(Act.RESTORE, _lost(scene))
    if authority is None or not _valid(authority.certificate, now):
        return Step(Act.FOUND, _lost(scene))
    if leaf is None or not _valid(leaf.certificate, now):
        return Step(Act.ISSUE, _told(scene.found) or "there is no serving certificate that is valid now")
    if not set(scene.names) <= names_of(leaf.certificate):
        return Step(Act.ISSUE, f"the serving certificate is not for {', '.join(scene.names)}")
    if now >= renewal(leaf.certificate) and not _bounded(leaf, authority):
        return Step(Act.ISSUE, "a third of the serving certificate's life is left")
    if scene.found.faults:
        return Step(Act.CLEAN, _told(scene.found))
    if material.successor is None and (material.rotate or now >= renewal(authority.certificate)):
        why = "an operator asks for it" if material.rotate else "a third of the authority's life is left"
        return Step(Act.ANNOUNCE, why)
    if material.retired is not None and now >= material.retired.until:
        return Step(Act.WITHDRAW, "all that it signed has expired")
    if scene.published_since is None:
        return Step(Act.PUBLISH)
    if material.successor is not None and now >= scene.published_since + lifetimes.announced:
        return Step(Act.SWITCH, "the authority that follows is published everywhere")
    return Step(Act.REST, until=_next_date(material, scene, lifetimes))


def perform(step: Step, scene: Scene, lifetimes: Lifetimes) -> Material:
    """The material that a step of `next_step` leads to; for steps that change the Secret."""
    material, now = scene.found.material, scene.now
    match step.act:
        case Act.RESTORE if scene.remembered is not None:
            return scene.remembered
        case Act.FOUND:
            return _founded(scene, lifetimes)
        case Act.ISSUE if material.authority is not None:
            return replace(material, leaf=make_leaf(material.authority, scene.names, now, lifetimes.leaf))
        case Act.ANNOUNCE:
            return replace(material, successor=make_authority(now, lifetimes.authority), rotate=False)
        case Act.SWITCH if material.successor is not None:
            return _switched(scene, material.successor, lifetimes)
        case Act.WITHDRAW:
            return replace(material, retired=None)
    return material


def renewal(certificate: x509.Certificate) -> datetime:
    """When a certificate is due: a third of its life is left."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return end - (end - begin) / 3


def names_of(certificate: x509.Certificate) -> set[str]:
    """The DNS names that it is valid for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    return set(names.get_values_for_type(x509.DNSName))


def adoptable(certificates: Sequence[x509.Certificate], now: datetime) -> tuple[x509.Certificate, ...]:
    """Of what the entries hold, what may go on being trusted for a while."""
    return tuple(dict.fromkeys(one for one in certificates if _valid(one, now)))[:_ADOPTED]


def _valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now + CLOCK_SKEW and now < certificate.not_valid_after_utc


def _whole(material: Material | None, scene: Scene) -> bool:
    """Can it take the place of a broken Secret?"""
    pairs = () if material is None else (material.authority, material.leaf)
    return bool(pairs) and all(pair is not None and _valid(pair.certificate, scene.now) for pair in pairs)


def _bounded(leaf: Pair, authority: Pair) -> bool:
    """A leaf that ends with its authority cannot be had any longer: the successor is what helps."""
    return leaf.certificate.not_valid_after_utc >= authority.certificate.not_valid_after_utc


def _told(found: Found) -> str:
    return "; ".join(found.faults)


def _lost(scene: Scene) -> str:
    if scene.found.faults:
        return _told(scene.found)
    if scene.found.material.authority is None:
        return "the Secret holds no authority"
    return "the authority is not valid now"


def _founded(scene: Scene, lifetimes: Lifetimes) -> Material:
    now = scene.now
    authority = make_authority(now, lifetimes.authority)
    leaf = make_leaf(authority, scene.names, now, lifetimes.leaf)
    retired = Retired(scene.adopted, now + lifetimes.leaf) if scene.adopted else None
    return Material(authority, leaf, retired=retired)


def _switched(scene: Scene, successor: Pair, lifetimes: Lifetimes) -> Material:
    material, now = scene.found.material, scene.now
    ends = [pair.certificate.not_valid_after_utc for pair in (material.leaf,) if pair is not None]
    before = material.retired
    if before is not None:
        ends.append(before.until)
    old = (material.authority.certificate,) if material.authority is not None else ()
    retired = Retired((*old, *(before.certificates if before else ())), max(ends, default=now) + CLOCK_SKEW)
    return Material(successor, make_leaf(successor, scene.names, now, lifetimes.leaf), retired=retired)


def _next_date(material: Material, scene: Scene, lifetimes: Lifetimes) -> datetime:
    dates = [scene.now + timedelta(hours=1)]
    for pair in (material.authority, material.leaf):
        if pair is not None:
            dates.append(renewal(pair.certificate))
    if material.retired is not None:
        dates.append(material.retired.until)
    if material.successor is not None and scene.published_since is not None:
        dates.append(scene.published_since + lifetimes.announced)
    return min(date for date in dates if date > scene.now)
