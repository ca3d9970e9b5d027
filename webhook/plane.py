"""What the webhook does in a cluster besides answering: watch namespaces and versions, keep certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from webhook.admission import metrics as series
from webhook.admission.metrics import AdmissionMetrics
from webhook.admission.namespaces import NAMESPACES, Namespaces, api_fetch
from webhook.admission.native_sidecars import follow_versions
from webhook.admission.run import Background
from webhook.admission.server import AdmissionServer
from webhook.admission.serving_tls import SwitchedCertificate
from webhook.admission.settings import InjectionSettings, NativeSidecars
from webhook.certificates.issue import Lifetimes, dns_names
from webhook.certificates.keeper import MUTATING, VALIDATING, Keeper, Places
from webhook.certificates.observed import Observed
from webhook.cluster.client import ApiClient
from webhook.cluster.failures import Failure, Log, Troubles
from webhook.cluster.pace import Pace
from webhook.cluster.watching import Following, follow
from webhook.leadership import Candidate, Election, Terms


@dataclass(frozen=True, slots=True)
class Names:
    """What the objects of this installation are called, and who we are."""

    namespace: str
    service: str
    secret: str
    lease: str
    mutating: str
    validating: str
    identity: str


@dataclass(slots=True)
class Plane:
    """Everything that deals with one cluster."""

    client: ApiClient
    metrics: AdmissionMetrics
    log: Log
    pace: Pace = field(default_factory=Pace)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    led: list[Callable[[], None]] = field(default_factory=list)
    """Called whenever this replica may have begun or ceased to lead."""

    def tell_who_leads(self, candidate: Candidate) -> None:
        """This replica may have begun or ceased to lead."""
        self.metrics.set(series.LEADER, candidate.leading)
        for tell in self.led:
            tell()

    def troubles(self) -> Troubles:
        """Counts failures of calls, and logs each change."""

        def count(subject: str, failure: Failure) -> None:
            self.metrics.add(series.API_ERRORS, subject, str(failure))

        return Troubles(self.log, count)

    def namespaces(self) -> tuple[Namespaces, Background]:
        """Namespaces by name, and the task that watches them."""
        known = Namespaces(
            api_fetch(self.client), self.pace.clock, lambda how: self.metrics.add(series.LOOKUPS, how)
        )
        following = Following("namespaces", NAMESPACES, known)
        return known, lambda: follow(self.client, following, self.pace, self.troubles())

    def versions(self, server: AdmissionServer) -> tuple[Callable[[], list[str]], Background]:
        """What `nativeSidecars: auto` comes to: readiness waits for the first answer, or failure."""
        asked = asyncio.Event()
        settings: InjectionSettings = server.settings

        def resolved(native: bool | None) -> None:
            asked.set()
            if native is not None:
                resolved_settings = settings.for_cluster(native_sidecars=native)
                server.use(replace(resolved_settings, control_plane=server.settings.control_plane))
                self.log({"event": "native_sidecars", "native": native})
            self.metrics.set(series.NATIVE, server.settings.native)

        def problems() -> list[str]:
            return [] if asked.is_set() else ["the versions of the cluster have not been asked for yet"]

        if settings.native_sidecars is not NativeSidecars.AUTO:
            resolved(None)
            return problems, _nothing
        return problems, lambda: follow_versions(self.client, self.pace, self.troubles(), resolved)


async def _nothing() -> None:
    return None


@dataclass(slots=True)
class SelfCertificates:
    """The webhook's own authority: what this replica serves with, and the leader's work where it leads."""

    observed: Observed
    keeper: Keeper
    candidate: Candidate
    tasks: tuple[Background, ...]


def self_certificates(
    plane: Plane,
    names: Names,
    serving: SwitchedCertificate,
    cluster_domain: str,
    lifetimes: Lifetimes,
    terms: Terms | None = None,
) -> SelfCertificates:
    """Put the parts together; nothing runs yet."""
    metrics = plane.metrics
    places = Places(names.namespace, names.secret, {names.mutating: MUTATING, names.validating: VALIDATING})
    wake = asyncio.Event()

    def changed() -> None:
        metrics.set(series.CERTIFICATE_EXPIRY, serving.not_after)
        authority = observed.found.material.authority
        expiry = 0.0 if authority is None else authority.certificate.not_valid_after_utc.timestamp()
        metrics.set(series.AUTHORITY_EXPIRY, expiry)
        wake.set()
        plane.tell_who_leads(candidate)

    def faulty(entry: dict[str, object]) -> None:
        if "error" in entry or "faults" in entry:
            metrics.add(series.CERTIFICATE_ERRORS)
        plane.log(entry)

    observed = Observed(
        serving,
        dns_names(names.service, names.namespace, cluster_domain),
        tuple(places.configurations),
        plane.now,
        faulty,
        changed,
    )
    candidate = _candidate(plane, names, terms, changed)
    keeper = Keeper(
        plane.client,
        places,
        observed,
        lambda: candidate.leading,
        lifetimes,
        plane.pace,
        plane.troubles(),
        plane.log,
        plane.now,
        lambda act: metrics.add(series.CERTIFICATE_ACTS, str(act)),
        wake,
    )
    return SelfCertificates(observed, keeper, candidate, _tasks(plane, places, observed, keeper, candidate))


def lone_candidate(plane: Plane, names: Names, terms: Terms | None = None) -> Candidate:
    """Who leads, where the webhook has no authority of its own to look after."""
    candidate = _candidate(plane, names, terms, lambda: plane.tell_who_leads(candidate))
    return candidate


def _candidate(plane: Plane, names: Names, terms: Terms | None, changed: Callable[[], None]) -> Candidate:
    terms = terms or Terms()
    return Candidate(
        plane.client,
        names.namespace,
        names.lease,
        Election(names.identity, terms),
        terms,
        plane.pace,
        plane.troubles(),
        plane.log,
        plane.now,
        changed,
    )


def _tasks(
    plane: Plane, places: Places, observed: Observed, keeper: Keeper, candidate: Candidate
) -> tuple[Background, ...]:
    secret = Following("secret", places.secrets, observed.secret_store(), places.secret)
    configurations = [
        Following(name, collection, observed.configuration_store(name), name)
        for name, collection in places.configurations.items()
    ]
    followers = [_follower(plane, following) for following in (secret, *configurations)]
    return (*followers, keeper.run, candidate.campaign)


def _follower(plane: Plane, following: Following) -> Background:
    return lambda: follow(plane.client, following, plane.pace, plane.troubles())
