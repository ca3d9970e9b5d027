"""Whether this sidecar can serve, in what state its parts are, and what stands in the way: what /readyz says.

A sidecar whose SVID has expired is alive and may be given a new one at any moment, so it is unready and not dead:
no traffic should come to it, and restarting it would help nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from mesh.identity.certificate import load_certificate
from mesh.identity.svid import X509Svid
from mesh.reasons import Reason
from sidecar.settings import ListenSettings

# Every issuer that we know of renews at half of an SVID's life or at two thirds: a quarter left is late.
EXPIRING_SHARE = 0.25


class IdentityState(StrEnum):
    """`none`: none is configured; `waiting`: for the first SVID; `expiring`: valid, but its renewal is late."""

    NONE = "none"
    WAITING = "waiting"
    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"


class IdentityHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """Our own SVID. `seconds_to_expiry` is negative once it has expired."""

    state: IdentityState
    spiffe_id: str | None = None
    not_after: datetime | None = None
    seconds_to_expiry: float | None = None


class Source(StrEnum):
    """Where the policy in force comes from. `saved`: what the control plane last gave before this start."""

    NONE = "none"
    FILES = "files"
    SAVED = "saved"
    STREAM = "stream"


class Refusal(msgspec.Struct, frozen=True):
    """A configuration that did not come in force."""

    version: str
    reason: Reason
    detail: str
    at: datetime


class ConfigurationHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is in force, and what is known of the control plane; only `source` where there is none.

    `since`: when the control plane was connected to, or was lost; None if it never was there. `problem`: why it is
    not there. `refusal`: what it sent last, if that did not come in force.
    """

    source: Source
    version: str = ""
    applied: datetime | None = None
    connected: bool | None = None
    since: datetime | None = None
    problem: str = ""
    refusal: Refusal | None = None


FROM_FILES = ConfigurationHealth(Source.FILES)


class Obstacle(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason why the sidecar is not ready: the code and its sentence, and what is known of this case."""

    code: Reason
    sentence: str
    detail: str = ""
    since: datetime | None = None


class Readiness(msgspec.Struct, frozen=True):
    """The states of the parts, and every reason why the sidecar cannot serve; ready where there is none."""

    ready: bool
    identity: IdentityHealth
    listeners: Mapping[str, str | None]
    """Each that is wanted, with the address that it is bound to; None as long as it is not."""
    policies: tuple[str, ...]
    """Those that select this agent."""
    interception: tuple[str, ...] | None
    """The hosts whose TLS is ended here; None where it is off."""
    draining: bool
    reasons: tuple[Obstacle, ...]
    configuration: ConfigurationHealth = FROM_FILES


def identity_health(svid: X509Svid | None, now: datetime, *, wanted: bool) -> IdentityHealth:
    """The state of our SVID at `now` (aware). `wanted`: whether there is a source of identity at all."""
    if svid is None:
        return IdentityHealth(IdentityState.WAITING if wanted else IdentityState.NONE)
    left = svid.not_after - now
    return IdentityHealth(
        _state(svid, left), str(svid.spiffe_id), svid.not_after, round(left.total_seconds(), 3)
    )


def _state(svid: X509Svid, left: timedelta) -> IdentityState:
    if left <= timedelta():
        return IdentityState.EXPIRED
    lifetime = svid.not_after - load_certificate(svid.chain_der[0]).not_valid_before_utc
    return IdentityState.EXPIRING if left < EXPIRING_SHARE * lifetime else IdentityState.VALID


def bound(listen: ListenSettings, addresses: Mapping[str, str]) -> dict[str, str | None]:
    """Each listener that is wanted, with its address of `addresses`."""
    wanted = {
        "telemetry": listen.telemetry,
        "forward": listen.forward,
        "redirectOutbound": listen.redirect_outbound,
        "inbound": listen.inbound,
        "redirectInbound": listen.redirect_inbound,
    }
    return {name: addresses.get(name) for name, address in wanted.items() if address is not None}


def assess(
    identity: IdentityHealth,
    listeners: Mapping[str, str | None],
    *,
    policies: tuple[str, ...],
    interception: tuple[str, ...] | None,
    draining: bool,
    trouble: str,
    configuration: ConfigurationHealth = FROM_FILES,
) -> Readiness:
    """Put the states together. `trouble` is what the source of identity last complained of, if it does."""
    reasons = tuple(_obstacles(identity, configuration, listeners, draining=draining, trouble=trouble))
    return Readiness(
        not reasons, identity, listeners, policies, interception, draining, reasons, configuration
    )


def _obstacles(
    identity: IdentityHealth,
    configuration: ConfigurationHealth,
    listeners: Mapping[str, str | None],
    *,
    draining: bool,
    trouble: str,
) -> Iterator[Obstacle]:
    if identity.state is IdentityState.WAITING:
        yield _obstacle(Reason.NO_SVID, trouble)
    if identity.state is IdentityState.EXPIRED:
        yield _obstacle(Reason.SVID_EXPIRED, trouble, identity.not_after)
    if configuration.source is Source.NONE:
        yield _obstacle(Reason.NO_CONFIGURATION, configuration.problem)
    for name, address in listeners.items():
        if address is None:
            yield _obstacle(Reason.LISTENER_NOT_BOUND, f"listen.{name}")
    if draining:
        yield _obstacle(Reason.DRAINING)


def _obstacle(code: Reason, detail: str = "", since: datetime | None = None) -> Obstacle:
    return Obstacle(code, code.sentence, detail, since)
