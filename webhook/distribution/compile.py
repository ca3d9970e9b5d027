"""What one cohort's sidecars are given: a pure function of the world, with the topics that it was made from.

AgentPolicies     of its namespace that select it
Backends          every one of its namespace, XBackends resolved among them, because one that no rule grants must
                  be refused, and not pass as a destination that nobody has declared; of other namespaces those
                  that its AgentPolicies name (namespace/name), and those for which an accepted XAccessPolicy
                  has a rule that its identity could match
XAccessPolicies   that are about one of these, about what it stands behind, or about a Gateway of class
                  `outrider` in the namespace of either; of what it only calls, without the rules for others
Standing          what it stands behind: Services that select it, Backends and XBackends that lead to these, and
                  the Gateways of its namespace
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mesh.distribution.digest import version_of
from mesh.policy.access.documents import CORE_GROUP, TargetRef
from mesh.policy.documents import OutboundRule
from webhook.distribution.cohorts import Cohort
from webhook.distribution.entries import Entry
from webhook.distribution.kinds import GATEWAY, STANDING, Key
from webhook.distribution.objects import Document, Labels, Meta, document
from webhook.distribution.offers import Offer
from webhook.distribution.shelves import Claims
from webhook.distribution.tailored import tailored
from webhook.distribution.world import Topic, World

_STANDING_NAME = "standing"


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A configuration: its documents in their one order, the pod's labels, and the version, a digest of both.

    Compared by identity, because it is counted by.
    """

    version: str
    documents: tuple[Document, ...]
    labels: Labels


def compile_cohort(cohort: Cohort, world: World) -> tuple[Compiled, frozenset[Topic]]:
    """What the pods of a cohort are given, and the topics that decided it. The world must be settled."""
    work = _Work(cohort, world)
    policies = work.policies()
    offers = work.offers()
    standing = work.standing()
    access = work.access(offers, standing)
    chosen = [*(one.document for one in offers), *policies, *access]
    ordered = sorted(chosen, key=_order)
    if standing:
        ordered.append(_standing(cohort.namespace, standing))
    return _compiled(tuple(ordered), cohort.labels), frozenset(work.topics)


class _Work:
    """One compilation: asks the world, and notes each topic that it asks about."""

    __slots__ = ("_cohort", "_named", "_selected", "_world", "topics")

    def __init__(self, cohort: Cohort, world: World) -> None:
        self._cohort = cohort
        self._world = world
        self._named: set[tuple[str, str]] = set()
        self._selected = False
        self.topics: set[Topic] = set()

    def policies(self) -> list[Document]:
        """AgentPolicies that select the cohort. Whom they select is no topic, see world."""
        found: list[Document] = []
        for key in self._world.policies.matching(self._cohort.namespace, self._cohort.labels):
            self._selected = True
            entry = self._world.entries[key]
            if entry.document is not None:
                found.append(entry.document)
                self._named.update(_foreign(entry.value.outbound, key.namespace))
        return found

    def offers(self) -> list[Offer]:
        """Destinations: its own namespace's, then named ones, then granted ones. Who comes first has the claim."""
        own = self._cohort.namespace
        self.topics.add(("shelf", own))
        claims = Claims()
        chosen = [one for one in self._world.shelf(own).offers.values() if claims.take(one) is None]
        foreign = [self._offer(*place) for place in sorted(self._named)]
        granted = [] if self._selected else sorted(self._granted(), key=lambda one: _order(one.document))
        seen = {one.key for one in chosen}
        for one in [*filter(None, foreign), *granted]:
            if one.key not in seen and claims.take(one) is None:
                seen.add(one.key)
                chosen.append(one)
        return chosen

    def standing(self) -> list[TargetRef]:
        """What the cohort stands behind, sorted."""
        own, world = self._cohort.namespace, self._world
        services = sorted(world.services_of(self._cohort))
        hosts = {host for service in services for host in world.domains.service_hosts(own, service)}
        targets = [TargetRef(CORE_GROUP, "Service", own, service) for service in services]
        for one in world.shelf(own).offers.values():
            if one.host in hosts:
                targets.append(one.key.target)
        targets += self._gateways(own)
        return sorted(targets, key=_target_order)

    def access(self, offers: list[Offer], standing: list[TargetRef]) -> list[Document]:
        """XAccessPolicies about destinations, and about what the cohort stands behind."""
        targets = dict.fromkeys(standing)
        stood = frozenset(standing)
        for one in offers:
            targets[one.key.target] = None
            targets.update(dict.fromkeys(self._gateways(one.key.namespace)))
        found: dict[Key, Document] = {}
        for target in targets:
            self.topics.add(("target", target))
            for entry in self._world.access.at(target):
                made = None if entry.key in found else self._tailored(entry, stood)
                if made is not None:
                    found[entry.key] = made
        return list(found.values())

    def _tailored(self, entry: Entry, stood: frozenset[TargetRef]) -> Document | None:
        world, cohort = self._world, self._cohort
        caller = None
        if stood.isdisjoint(entry.value.targets):
            caller = world.domains.spiffe_id(cohort.namespace, cohort.account)
        names = [one.name for one in self._gateways(entry.key.namespace)]
        return tailored(entry, names, caller, world.access, world.domains)

    def _offer(self, namespace: str, name: str) -> Offer | None:
        self.topics.add(("backend", namespace, name))
        return self._world.shelf(namespace).offers.get(name)

    def _granted(self) -> Iterator[Offer]:
        """Destinations elsewhere whose accepted XAccessPolicies might let this cohort in."""
        cohort, world = self._cohort, self._world
        identity = world.domains.spiffe_id(cohort.namespace, cohort.account)
        self.topics |= {("grants", identity), ("grants", "*")}
        for entry in world.access.granting(identity):
            for target, verdict in world.access.verdicts(entry.key).items():
                if verdict.accepted and entry.key.namespace != cohort.namespace:
                    yield from filter(_of_its_own, self._at(target, entry.key.namespace))

    def _at(self, target: TargetRef, namespace: str) -> Iterator[Offer]:
        if target.kind == GATEWAY.name:
            if target in self._gateways(namespace):
                self.topics.add(("shelf", namespace))
                yield from self._world.shelf(namespace).offers.values()
            return
        found = self._offer(namespace, target.name)
        if found is not None and found.key.target == target:
            yield found

    def _gateways(self, namespace: str) -> list[TargetRef]:
        self.topics.add(("gateways", namespace))
        names = self._world.gateways(namespace)
        return [TargetRef(GATEWAY.group, GATEWAY.name, namespace, name) for name in names]


def _foreign(outbound: Iterable[OutboundRule], namespace: str) -> Iterator[tuple[str, str]]:
    """Backends of other namespaces that rules name."""
    for rule in outbound:
        place, slash, name = rule.backend.partition("/")
        if slash and place != namespace:
            yield place, name


def _of_its_own(one: Offer) -> bool:
    """Does it lead to a Service of the namespace that it is in?"""
    labels = one.host.split(".")
    return labels[1:3] == [one.key.namespace, "svc"]


def _standing(namespace: str, targets: list[TargetRef]) -> Document:
    listed = [
        {"group": one.group, "kind": one.kind, "namespace": one.namespace, "name": one.name}
        for one in targets
    ]
    key = Key(STANDING, namespace, _STANDING_NAME)
    return document(key, Meta(_STANDING_NAME, namespace), {"targets": listed})


def _compiled(documents: tuple[Document, ...], labels: Labels) -> Compiled:
    return Compiled(version_of(labels, (one.digest for one in documents)), documents, labels)


def _order(one: Document) -> tuple[str, str, str, str]:
    key = one.key
    return key.kind.name, key.namespace, key.name, key.kind.group


def _target_order(one: TargetRef) -> tuple[str, str, str]:
    return one.group, one.kind, one.name
