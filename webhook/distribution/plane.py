"""Distribution in a cluster, put together: what is watched, who is served, what is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mesh.policy.load import read_object_alone
from mesh.settings.installation import APPLIED
from webhook.admission import metrics as series
from webhook.admission.metrics import AdmissionMetrics
from webhook.admission.run import Background
from webhook.cluster.client import ApiClient, Collection
from webhook.cluster.failures import Log, Troubles
from webhook.cluster.pace import Pace
from webhook.cluster.watching import Following, follow
from webhook.distribution.hub import Hub, Limits
from webhook.distribution.judging import judge
from webhook.distribution.offers import Domains
from webhook.distribution.status_writer import Said, StatusWriter
from webhook.distribution.stores import Stores
from webhook.distribution.stream import ConfigurationStreams
from webhook.distribution.world import World

_APPLIED = "applied"


@dataclass(frozen=True, slots=True)
class Place:
    """Where this replica runs, and what it is called."""

    namespace: str
    replica: str


@dataclass(slots=True)
class Distribution:
    """What serves sidecars; nothing runs yet."""

    world: World
    hub: Hub
    streams: ConfigurationStreams
    tasks: tuple[Background, ...]
    problems: Callable[[], list[str]]
    runs: Callable[[str, str], bool | None]
    """Does a pod of a namespace and ServiceAccount run? None before all pods have been listed."""


def distribution(
    client: ApiClient,
    place: Place,
    domains: Domains,
    metrics: AdmissionMetrics,
    log: Log,
    pace: Pace,
    troubles: Callable[[], Troubles],
    leading: Callable[[], bool],
    limits: Limits | None = None,
) -> Distribution:
    """Put the parts together."""
    world = World(domains, read_object_alone, judge)
    stores = Stores(world, log, lambda subject: _count(metrics, world, subject))
    said = Said(world, pace.clock)
    applied = Following(_APPLIED, Collection("/api/v1", "configmaps", place.namespace), said, APPLIED)
    followings = [*stores.followings(), applied]

    def missing() -> list[str]:
        return [*stores.missing(), *([] if said.listed else [_APPLIED])]

    hub = Hub(world, metrics, lambda: not missing(), limits, pace.clock)
    writer = StatusWriter(
        client,
        hub,
        said,
        place.namespace,
        place.replica,
        leading,
        pace,
        troubles(),
        lambda: not missing(),
        log,
    )

    def problems() -> list[str]:
        return [f"{subject} have not been listed yet" for subject in missing()]

    def runs(namespace: str, account: str) -> bool | None:
        return world.cohorts.runs(namespace, account) if "pods" not in stores.missing() else None

    followers = tuple(_follower(client, one, pace, troubles) for one in followings)
    streams = ConfigurationStreams(hub, log)
    return Distribution(world, hub, streams, (*followers, hub.run, writer.run), problems, runs)


def _follower(
    client: ApiClient, following: Following, pace: Pace, troubles: Callable[[], Troubles]
) -> Background:
    return lambda: follow(client, following, pace, troubles())


def _count(metrics: AdmissionMetrics, world: World, subject: str) -> None:
    metrics.add(series.CHANGES, subject)
    metrics.set(series.CONTROL_PODS, len(world.cohorts.pods))
    metrics.set(series.DOCUMENTS, len(world.entries))
