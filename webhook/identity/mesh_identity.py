"""Everything that a replica does about identities, put together: keys, certificate, who calls, what is answered.

Nothing runs before its tasks do. The caller serves `application` on the control port with `certificate.context`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from mesh.identity.spiffe_id import SCHEME, SpiffeId
from mesh.settings.installation import CA_SECRET, CONTROL, CONTROL_AUDIENCE, CONTROL_PORT, ROOTS, WEBHOOK
from webhook.certificates.issue import dns_names
from webhook.cluster.client import ApiClient, Collection
from webhook.cluster.failures import Log, Troubles
from webhook.cluster.pace import Pace
from webhook.cluster.watching import Following, follow
from webhook.identity.answers import Audit
from webhook.identity.application import control_application
from webhook.identity.authorities import Federated
from webhook.identity.ca_server import CaServer, Runs
from webhook.identity.callers import Callers
from webhook.identity.control_tls import ControlCertificate
from webhook.identity.federation.client import Federation
from webhook.identity.federation.endpoint import federation_application
from webhook.identity.federation.peers import Peer
from webhook.identity.keyring.in_force import InForce
from webhook.identity.keyring.keeper import CaKeeper, PublishedRoots
from webhook.identity.keyring.values import Times
from webhook.identity.oidc import Discovery
from webhook.identity.proofs import Proofs
from webhook.identity.rate_limit import RateLimit
from webhook.identity.token_review import TokenReviews

Task = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class IdentityOptions:
    """What an installation decides.

    trust_domain    of every identity that is issued here
    namespace       where the control plane runs
    cluster_domain  the DNS domain of the cluster
    issues          is the identity provider `builtin`? Otherwise the CA vouches for the control port alone
    audience        of the tokens that prove sidecars
    issuer          the URL by which verifiers of OpenID Connect know us; "": that of the control port's Service
    names           further names of the control port, in DNS or addresses
    """

    trust_domain: str
    namespace: str
    cluster_domain: str
    issues: bool = True
    audience: str = CONTROL_AUDIENCE
    issuer: str = ""
    secret: str = CA_SECRET
    names: tuple[str, ...] = ()

    @property
    def spiffe_id(self) -> SpiffeId:
        """The control plane's own."""
        return SpiffeId.parse(f"{SCHEME}{self.trust_domain}/ns/{self.namespace}/sa/{WEBHOOK}")

    @property
    def issuer_url(self) -> str:
        """Without a slash at its end, as it stands in tokens."""
        return self.issuer.rstrip("/") or f"https://{CONTROL}.{self.namespace}.svc:{CONTROL_PORT}"


@dataclass(slots=True)
class Cluster:
    """What dealing with the cluster takes. `troubles` makes one counter for each dealing."""

    client: ApiClient
    pace: Pace
    troubles: Callable[[], Troubles]
    log: Log
    now: Callable[[], datetime]


@dataclass(slots=True)
class MeshIdentity:
    """The parts. Run `tasks` beside the server; `wake` whenever leadership changes.

    `federation` is for a port of its own, with `certificate.context` (https_spiffe) or one from files (https_web).
    """

    in_force: InForce
    certificate: ControlCertificate
    keeper: CaKeeper
    callers: Callers
    application: web.Application
    federation: web.Application
    tasks: Sequence[Task]
    wake: Callable[[], None]

    def problems(self) -> list[str]:
        """Why sidecars could not be served, for readiness; empty where they could."""
        return self.in_force.problems() or self.certificate.problems()


def mesh_identity(
    cluster: Cluster,
    options: IdentityOptions,
    *,
    leading: Callable[[], bool],
    roots_changed: Callable[[str], None],
    peers: Sequence[Peer] = (),
    times: Times | None = None,
    limit: RateLimit | None = None,
    runs: Runs | None = None,
) -> MeshIdentity:
    """Put the parts together; nothing runs yet. `roots_changed` gets the roots (PEM) whenever they differ.

    `runs` says whose pods run, on which it depends whether an SVID may renew itself.
    """
    now, log = cluster.now, cluster.log
    told = [""]

    def changed() -> None:
        certificate.woken.set()
        keeper.changed.set()
        if force.roots_pem not in ("", told[0]):
            told[0] = force.roots_pem
            roots_changed(force.roots_pem)

    def audit(record: Mapping[str, object]) -> None:
        log(dict(record))

    force = InForce(options.trust_domain, times or Times(), now, log, changed)
    names = dict.fromkeys((*dns_names(CONTROL, options.namespace, options.cluster_domain), *options.names))
    certificate = ControlCertificate(force, options.spiffe_id, tuple(names), now, log)
    roots = PublishedRoots()
    keeper = CaKeeper(
        cluster.client,
        options.namespace,
        options.secret,
        force,
        roots,
        leading,
        cluster.pace,
        cluster.troubles(),
        log,
        now,
    )
    reviewer = TokenReviews(cluster.client, options.audience, cluster.troubles(), now)
    callers = Proofs(force, reviewer, now)
    federation = Federation(options.trust_domain, peers, force.trusted, now, cluster.pace, log)
    application = _application(options, force, callers, audit, now, federation.bundles, limit, runs)
    followers = _followers(cluster, options, force, roots, changed)
    tasks = (*followers, keeper.run, certificate.run, federation.run)
    served = federation_application(force)
    return MeshIdentity(force, certificate, keeper, callers, application, served, tasks, changed)


def _application(
    options: IdentityOptions,
    force: InForce,
    callers: Callers,
    audit: Audit,
    now: Callable[[], datetime],
    federated: Callable[[], Federated],
    limit: RateLimit | None,
    runs: Runs | None,
) -> web.Application:
    if not options.issues:
        return control_application(callers, audit, clock=now)
    limit = limit or RateLimit(time.monotonic)
    issuer = options.issuer_url
    ca = CaServer(force, limit=limit, audit=audit, clock=now, federated=federated, issuer=issuer, runs=runs)
    return control_application(callers, audit, ca=ca, discovery=Discovery(force, issuer), clock=now)


def _followers(
    cluster: Cluster,
    options: IdentityOptions,
    force: InForce,
    roots: PublishedRoots,
    changed: Callable[[], None],
) -> list[Task]:
    secrets = Collection("/api/v1", "secrets", options.namespace)
    config_maps = Collection("/api/v1", "configmaps", options.namespace)
    followings = [
        Following("ca_secret", secrets, force.store(), options.secret),
        Following("ca_roots", config_maps, roots.store(changed), ROOTS),
    ]
    return [_follower(cluster, one) for one in followings]


def _follower(cluster: Cluster, following: Following) -> Task:
    return lambda: follow(cluster.client, following, cluster.pace, cluster.troubles())
