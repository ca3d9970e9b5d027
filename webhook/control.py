"""The control port, put together: identity and configuration for sidecars, and what the leader does about both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from webhook.admission.identity_settings import IdentityProvider
from webhook.admission.run import Background, Listener
from webhook.admission.server import AdmissionServer
from webhook.admission.serving_tls import ServingCertificate
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import SettingsFile
from webhook.distribution.hub import MOST_HANDSHAKES
from webhook.distribution.offers import Domains
from webhook.distribution.plane import Distribution, Place, distribution
from webhook.identity.application import control_runner
from webhook.identity.federation.endpoint import follow_files
from webhook.identity.mesh_identity import Cluster, IdentityOptions, MeshIdentity, mesh_identity
from webhook.leadership import Candidate
from webhook.plane import Plane

_SPREAD = 0.8
"""Of the time to drain, in which sidecars are asked to leave."""
_MOST_FEDERATED = 64
_MOST_UNPROVED = 2 * MOST_HANDSHAKES
"""Connections of which it is not proved yet who has them. Each costs memory, most of which is for streams."""
_MOST_UNPROVED_EACH = 128
"""Of one address: it may be a node, whose pods all come at once."""


@dataclass(frozen=True, slots=True)
class ControlPorts:
    """Where to listen; 0: nowhere. `web` are certificate and key by which bundles are served to https_web."""

    control: int
    federation: int = 0
    web: tuple[Path, Path] | None = None


@dataclass(slots=True)
class ControlPlane:
    """What serves sidecars; nothing runs yet."""

    identity: MeshIdentity
    distribution: Distribution
    listeners: Sequence[Listener]
    drain: float
    more: Sequence[Background] = ()

    @property
    def tasks(self) -> list[Background]:
        """What runs beside the listeners."""
        return [*self.identity.tasks, *self.distribution.tasks, *self.more]

    def problems(self) -> list[str]:
        """Why sidecars could not be served, for readiness; empty where they could."""
        return [*self.identity.problems(), *self.distribution.problems()]

    async def leave(self) -> None:
        """Ask sidecars to connect elsewhere."""
        self.distribution.hub.drain(self.drain * _SPREAD)


def control_plane(
    plane: Plane,
    server: AdmissionServer,
    settings: SettingsFile,
    place: Place,
    trust_domain: str,
    ports: ControlPorts,
    candidate: Candidate,
    drain: float,
) -> ControlPlane:
    """Put the parts together; raises CertificateUnusable."""
    injection = settings.injection

    def roots_changed(roots: str) -> None:
        server.use(server.settings.with_roots(roots))

    made = distribution(
        plane.client,
        place,
        Domains(trust_domain, injection.cluster_domain),
        plane.metrics,
        plane.log,
        plane.pace,
        plane.troubles,
        lambda: candidate.leading,
    )
    identity = mesh_identity(
        Cluster(plane.client, plane.pace, plane.troubles, plane.log, plane.now),
        _identity_options(injection, place, trust_domain),
        leading=lambda: candidate.leading,
        roots_changed=roots_changed,
        peers=settings.federation,
        runs=made.runs,
    )
    plane.led.append(identity.wake)
    made.streams.add_to(identity.application)
    web = ServingCertificate(*ports.web) if ports.web else None
    more = [lambda: follow_files(web, plane.log)] if web else []
    return ControlPlane(identity, made, _listeners(identity, ports, web), drain, more)


def _identity_options(injection: InjectionSettings, place: Place, trust_domain: str) -> IdentityOptions:
    host = urlsplit(injection.control_plane.url).hostname
    return IdentityOptions(
        trust_domain,
        place.namespace,
        injection.cluster_domain,
        issues=injection.identity.chosen is IdentityProvider.BUILTIN,
        audience=injection.control_plane.audience,
        issuer=injection.control_plane.issuer,
        names=(host,) if host else (),
    )


def _listeners(identity: MeshIdentity, ports: ControlPorts, web: ServingCertificate | None) -> list[Listener]:
    context = identity.certificate.context
    runner = control_runner(identity.application)
    listeners = [Listener("control", runner, ports.control, context, _MOST_UNPROVED, _MOST_UNPROVED_EACH)]
    if ports.federation:
        federation, shown = control_runner(identity.federation), web.context if web else context
        listeners.append(Listener("federation", federation, ports.federation, shown, _MOST_FEDERATED))
    return listeners
