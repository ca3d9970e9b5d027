"""What the control plane gives the sidecar of one pod: its own compilation, over what the cluster holds.

So what is told of a pod's rights is what its sidecar enforces: XBackends resolved, XAccessPolicies judged. Only
the last valid version of what cannot be read is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from cli.check.objects import inner, labels_of, name_of
from cli.cluster.answers import Obj, Reading
from cli.cluster.parts import Part, read_list
from mesh.policy import Documents, load_objects, read_object_alone
from mesh.policy.access.documents import AccessPolicy
from webhook.cluster.failures import ApiFailed
from webhook.distribution.compile import compile_cohort
from webhook.distribution.entries import Entry, Force
from webhook.distribution.judging import judge
from webhook.distribution.kinds import BACKEND_KINDS, INJECTED_SELECTOR, KINDS, Key, Kind
from webhook.distribution.objects import Pod, Service, pairs, read_resource
from webhook.distribution.offers import Domains
from webhook.distribution.world import World

_SERVED = {(kind.group, kind.name): kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What configurations are made of. `pods` are those with a sidecar, as many as may be seen; `unread` says what
    could not be read."""

    objects: tuple[Obj, ...] = ()
    services: tuple[Obj, ...] = ()
    pods: tuple[Obj, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """`documents` as the sidecar gets them; `remarks` say what of them is not in force as it is written."""

    documents: Documents
    remarks: tuple[str, ...] = ()
    verdicts: dict[str, str] = field(default_factory=dict)
    """By label of an XAccessPolicy: why it is not accepted."""


def read_surroundings(api: Reading, space: str) -> Surroundings:
    """Of every namespace where that may be read, else of this one. Raises ClusterUnavailable."""
    unread: list[str] = []

    def listed(prefix: str, plural: str, **query: str) -> tuple[Obj, ...]:
        part = read_list(lambda: api.items(f"{prefix}/{plural}", **query))
        if part.unread:
            unread.append(f"{plural} of other namespaces cannot be listed: {part.unread}")
            part = read_list(lambda: api.items(f"{prefix}/namespaces/{space}/{plural}", **query))
        return _known(part, unread, plural)

    objects: list[Obj] = []
    for kind in KINDS:
        objects += listed(f"/apis/{kind.group}/{kind.version}", kind.plural)
    services = listed("/api/v1", "services")
    pods = listed("/api/v1", "pods", labelSelector=INJECTED_SELECTOR)
    return Surroundings(tuple(objects), services, pods, tuple(unread))


def given(pod: Obj, around: Surroundings, trust_domain: str, cluster_domain: str) -> Given:
    """The configuration of a pod's sidecar."""
    own = _pod(pod)
    world = world_of(around, trust_domain, cluster_domain, own)
    compiled, _ = compile_cohort(world.cohorts.of(own), world)
    documents = load_objects(json.loads(one.body) for one in compiled.documents)
    keys = {one.key for one in compiled.documents}
    entries = [world.entries[key] for key in keys if key in world.entries]
    told = [remark for entry in entries for remark in _remarks(world, entry)]
    return Given(documents, tuple(sorted(told)), _verdicts(world, documents))


def world_of(around: Surroundings, trust_domain: str, cluster_domain: str, *more: Pod) -> World:
    """Objects as the control plane keeps them, with what they come to."""
    world = World(Domains(trust_domain, cluster_domain), read_object_alone, judge)
    _fill(world, around)
    for pod in more:
        world.put_pod(pod)
    world.settle()
    return world


def _known(part: Part, unread: list[str], plural: str) -> tuple[Obj, ...]:
    if part.unread:
        unread[-1] = f"{plural} cannot be listed: {part.unread}"
    return part.items


def _fill(world: World, around: Surroundings) -> None:
    for item in around.objects:
        group = str(item.get("apiVersion")).rpartition("/")[0]
        kind = _SERVED.get((group, str(item.get("kind"))))
        if kind is not None:
            _put(world, kind, item)
    for item in around.services:
        selector = inner(item, "spec", "selector") or {}
        space = str(inner(item, "metadata", "namespace"))
        world.put_service(Service(space, name_of(item), pairs(selector)))
    for item in around.pods:
        world.put_pod(_pod(item))


def _put(world: World, kind: Kind, item: Obj) -> None:
    try:
        world.put(kind, read_resource(msgspec.json.encode(item)))
    except ApiFailed:
        return  # no name, or none that is text: nothing that an API server would have stored


def _pod(item: Obj) -> Pod:
    metadata, phase = item.get("metadata") or {}, inner(item, "status", "phase")
    return Pod(
        str(metadata.get("namespace")),
        name_of(item),
        str(metadata.get("uid") or ""),
        str(inner(item, "spec", "serviceAccountName") or "default"),
        pairs(labels_of(item)),
        not metadata.get("deletionTimestamp") and phase not in ("Succeeded", "Failed"),
    )


def _remarks(world: World, entry: Entry) -> Iterable[str]:
    where = _called(entry.key)
    if entry.force is not Force.STORED:
        yield f"{where} cannot be read, and what stands in for it is closed: {'; '.join(entry.faults)}"
    elif entry.key.kind in BACKEND_KINDS:
        offered = world.offered(entry.key)
        if offered is not None and offered.reason:
            yield f"{where} is closed ({offered.reason}): {offered.message}"


def _verdicts(world: World, documents: Documents) -> dict[str, str]:
    found: dict[str, str] = {}
    by_place = {(key.namespace, key.name): key for key in world.entries if key.kind.name == "XAccessPolicy"}
    for policy in documents.access_policies:
        key = by_place.get((policy.namespace or "", policy.name))
        for target, verdict in world.access.verdicts(key).items() if key else ():
            if not verdict.accepted:
                found[policy.label] = f"not accepted at {target}: {verdict.reason}: {verdict.message}"
    return found


def about(policy: AccessPolicy) -> str:
    """What it is about, in words."""
    return ", ".join(f"{one.kind} {one.name}" for one in policy.targets)


def _called(key: Key) -> str:
    return f"{key.kind.name} {key.namespace}/{key.name}"
