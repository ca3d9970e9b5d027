"""What the control plane would give each agent: its own compilation, over the objects of files or of a cluster.

So an answer here is that of the sidecar: XBackends resolved, access policies judged, what nobody may see left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import msgspec

from cli.analyze.inventory import Item
from cli.policy.agents import Agent
from cli.workloads import texts
from mesh.policy import AccessPolicy, AgentPolicy, Backend, Documents, load_objects, read_object_alone
from mesh.policy.access.documents import XBackend
from mesh.settings.table import POD_INJECTED
from webhook.cluster.failures import ApiFailed
from webhook.distribution.compile import compile_cohort
from webhook.distribution.entries import Entry, Force
from webhook.distribution.judging import judge
from webhook.distribution.kinds import KINDS, Kind
from webhook.distribution.objects import Pod, Service, pairs, read_resource
from webhook.distribution.offers import Domains
from webhook.distribution.world import World as Distributed

CLUSTER_DOMAIN = "cluster.local"
_SERVED = {(kind.group, kind.name): kind for kind in KINDS}
_OLDER = "v0alpha0"


class Plane:
    """The objects as the control plane keeps them, and one pod for each agent.

    `running` says whether agents count as pods behind Services, as workloads of manifests do; pods of a cluster do
    where they have a sidecar.
    """

    def __init__(
        self, items: Iterable[Item], agents: Iterable[Agent], trust_domain: str, default: str
    ) -> None:
        self._world = Distributed(Domains(trust_domain, CLUSTER_DOMAIN), read_object_alone, judge)
        self._configured: dict[str, Documents] = {}
        self._default = default
        for item in items:
            self._put(item)
        for agent in agents:
            self._world.put_pod(pod_of(agent))
        self._world.settle()

    def configured(self, agent: Agent) -> Documents:
        """The documents that the sidecar of an agent is sent."""
        known = self._configured.get(agent.title)
        if known is None:
            cohort = self._world.cohorts.of(pod_of(agent))
            compiled, _ = compile_cohort(cohort, self._world)
            known = load_objects(json.loads(one.body) for one in compiled.documents)
            self._configured[agent.title] = known
        return known

    @property
    def documents(self) -> Documents:
        """Everything that is in force somewhere."""
        values = [entry.value for entry in self._world.entries.values()]
        return Documents(
            backends=tuple(value for value in values if isinstance(value, Backend)),
            policies=tuple(value for value in values if isinstance(value, AgentPolicy)),
            access_policies=tuple(value for value in values if isinstance(value, AccessPolicy)),
            xbackends=tuple(value for value in values if isinstance(value, XBackend)),
        )

    def remarks(self) -> Iterator[str]:
        """What is not in force as it is written, and why: unreadable, not accepted, conflicting."""
        for key, entry in self._world.entries.items():
            if entry.faults:
                told = "the last valid version is" if entry.force is Force.LAST_VALID else "a closed one is"
                yield f"{key.kind.name} {key.namespace}/{key.name}: {told} in force: {'; '.join(entry.faults)}"
            yield from self._judged(entry)
        for namespace in sorted({key.namespace for key in self._world.entries}):
            for key, taken in self._world.shelf(namespace).conflicted.items():
                where = f"{key.kind.name} {key.namespace}/{key.name}"
                yield f"{where}: Conflicted: {taken.kind.name} {taken.name} has its name or destination already"

    def _judged(self, entry: Entry) -> Iterator[str]:
        key = entry.key
        where = f"{key.kind.name} {key.namespace}/{key.name}"
        for target, verdict in self._world.access.verdicts(key).items():
            if not verdict.accepted:
                yield f"{where}: not accepted at {target}: {verdict.reason}: {verdict.message}"
        offered = self._world.offered(key)
        if offered is not None and offered.reason and not entry.faults:
            yield f"{where}: closed: {offered.reason}: {offered.message}"

    def _put(self, item: Item) -> None:
        value = item.value
        metadata = {**item.section("metadata"), "namespace": item.namespace(self._default)}
        kind = _kind(value.get("apiVersion"), value.get("kind"))
        if kind is not None:
            body = msgspec.json.encode({**value, "metadata": metadata}, enc_hook=str)
            try:
                self._world.put(kind, read_resource(body))
            except ApiFailed:
                return  # no name, or none that is text: nothing that an API server would store
        elif value.get("kind") == "Service" and value.get("apiVersion") == "v1":
            selector = texts(item.section("spec").get("selector"))
            self._world.put_service(Service(metadata["namespace"], item.name, pairs(selector)))


def pod_of(agent: Agent) -> Pod:
    """An agent as a pod. One that options describe runs nowhere, and stands behind no Service."""
    labels = pairs(agent.labels)
    running = agent.pod is not None and agent.pod.get("kind") != "Pod"
    if agent.pod is not None and agent.pod.get("kind") == "Pod":
        phase = (agent.pod.get("status") or {}).get("phase")
        running = phase not in ("Succeeded", "Failed")
        if "status" in agent.pod:
            running = running and agent.labels.get(POD_INJECTED.name) == "true"
    return Pod(agent.namespace, agent.name, f"uid-{agent.title}", agent.service_account, labels, running)


def _kind(version: object, kind: object) -> Kind | None:
    """XAccessPolicies of the older version are the same kind, which reads both."""
    group, _, number = str(version).partition("/")
    found = _SERVED.get((group, str(kind)))
    return found if found is not None and number in (found.version, _OLDER) else None
