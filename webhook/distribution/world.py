"""Everything that configurations are made of, and whom a change concerns.

Three layers, each told of changes in the one before: objects as stored, what they come to (destinations resolved
and arranged, policies judged), and the configurations of cohorts. What the last are made of is written down as
topics while they are made; a change names topics, and whoever is connected and has asked about one is made anew.
Selectors are not asked as topics, because a policy of a large namespace mostly concerns few of its pods: whom they
select is looked up, before the change and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from webhook.distribution.access import AccessPolicies, Judge
from webhook.distribution.cohorts import Cohort, Cohorts
from webhook.distribution.entries import Entry, Read, enter, revived
from webhook.distribution.kinds import ACCESS_POLICY, AGENT_POLICY, BACKEND_KINDS, GATEWAY, Key, Kind
from webhook.distribution.objects import Document, Labels, Pod, Resource, Service
from webhook.distribution.offers import Domains, Offer, Unoffered, offer
from webhook.distribution.references import References
from webhook.distribution.selectors import Selectors
from webhook.distribution.shelves import Shelf, arrange

Topic = object
Kept = dict[tuple[Key, str], Document]


class World:
    """See the module.

    `dirty` are cohorts with streams whose configuration may be another, `stirred` objects whose status may be,
    both after `settle`. `changed` is called after each change, `pod_changed` is told what a pod was and is. `kept`
    are last valid versions, by key and uid, that were written down before this process began.
    """

    def __init__(
        self,
        domains: Domains,
        read: Read,
        judge: Judge,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self.domains = domains
        self.read = read
        self.changed = changed
        self.cohorts = Cohorts()
        self.entries: dict[Key, Entry] = {}
        self.policies: Selectors[Key] = Selectors()
        self.services: Selectors[tuple[str, str]] = Selectors()
        self.access = AccessPolicies(judge, domains)
        self.kept: Kept = {}
        self.dirty: set[Cohort] = set()
        self.stirred: set[Key] = set()
        self.pod_changed: Callable[[Pod, Pod | None], object] = lambda _before, _after: None
        self._services: dict[tuple[str, str], Service] = {}
        self._offered: dict[str, dict[Key, Offer | Unoffered]] = {}
        self._shelves: dict[str, Shelf] = {}
        self._by_service: dict[tuple[str, str], dict[Key, None]] = {}
        self._gateways: dict[str, dict[str, None]] = {}
        self._references = References()
        self._readers: dict[Topic, dict[Cohort, None]] = {}
        self._untidy: set[str] = set()

    # What is there

    def shelf(self, namespace: str) -> Shelf:
        """The destinations of a namespace, as of the last `settle`."""
        return self._shelves.get(namespace, _EMPTY)

    def offered(self, key: Key) -> Offer | Unoffered | None:
        """What a Backend or XBackend comes to."""
        return self._offered.get(key.namespace, {}).get(key)

    def gateways(self, namespace: str) -> Iterable[str]:
        """Gateways that stand for everything in a namespace."""
        return self._gateways.get(namespace, ())

    def accounts(self, namespace: str, service: str) -> frozenset[str] | None:
        """See offers.Accounts."""
        found = self._services.get((namespace, service))
        if found is None:
            return None
        if not found.selector:
            return frozenset()
        chosen = self.cohorts.select(namespace, found.selector)
        return frozenset(cohort.account for cohort in chosen if cohort.running)

    def services_of(self, cohort: Cohort) -> Iterator[str]:
        """The Services that have pods of a cohort behind them."""
        for place in self.services.matching(cohort.namespace, cohort.labels):
            yield place[1]

    # What changes

    def put_pod(self, pod: Pod) -> None:
        """A pod is new or has changed."""
        before, now = self.cohorts.put(pod)
        if before is now:
            return
        if before is not None:
            self.pod_changed(before, now)
        self._pods_changed(before, now)

    def remove_pod(self, namespace: str, name: str) -> None:
        """A pod is gone."""
        pod = self.cohorts.remove(namespace, name)
        if pod is not None:
            self.pod_changed(pod, None)
            self._pods_changed(pod, None)

    def put_service(self, service: Service) -> None:
        """A Service is new or has changed."""
        place = (service.namespace, service.name)
        if self._services.get(place) == service:
            return
        self._services[place] = service
        before = self.services.remove(place)
        if service.selector:
            self.services.put(place, service.namespace, service.selector)
        self._selection_changed(service.namespace, before, service.selector or None)
        self._resolve_service(place)
        self.changed()

    def remove_service(self, namespace: str, name: str) -> None:
        """A Service is gone."""
        place = (namespace, name)
        if self._services.pop(place, None) is None:
            return
        self._selection_changed(namespace, self.services.remove(place), None)
        self._resolve_service(place)
        self.changed()

    def put(self, kind: Kind, resource: Resource) -> None:
        """A policy object is new or has changed, or only its status."""
        key = Key(kind, resource.metadata.namespace, resource.metadata.name)
        before = self.entries.get(key)
        same = before is not None and before.meta.uid == resource.metadata.uid
        if same and before is not None and before.meta == resource.metadata:
            before.status, before.version = resource.status, resource.version
            return
        past = before if same else None
        entry = enter(
            key,
            resource,
            past,
            self.kept.get((key, resource.metadata.uid)),
            self.read,
            self.domains.trust_domain,
        )
        entry.version = resource.version
        self.entries[key] = entry
        self._entered(before, entry)
        self.stirred.add(key)
        self.changed()

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """A policy object is gone."""
        entry = self.entries.pop(Key(kind, namespace, name), None)
        if entry is not None:
            self._entered(entry, None)
            self.stirred.add(entry.key)
            self.changed()

    def restore(self, kept: Kept) -> None:
        """Last valid versions as they were written down; objects for which something closed stands in get them."""
        self.kept = kept
        for key, entry in list(self.entries.items()):
            valid = kept.get((key, entry.meta.uid))
            again = revived(entry, valid, self.read) if valid is not None else None
            if again is not None:
                again.version = entry.version
                self.entries[key] = again
                self._entered(entry, again)
                self.stirred.add(key)
        self.changed()

    def settle(self) -> None:
        """Draw the consequences that wait until several changes are in: arranging and judging a namespace."""
        for namespace in self._untidy:
            self._arrange(namespace)
        self._untidy.clear()
        self._touch(self.access.settle())

    # Whom it concerns

    def remember(self, cohort: Cohort, topics: frozenset[Topic]) -> None:
        """A configuration was made from these topics."""
        for topic in cohort.topics - topics:
            self._forget(topic, cohort)
        for topic in topics - cohort.topics:
            self._readers.setdefault(topic, {})[cohort] = None
        cohort.topics = topics

    def forget(self, cohort: Cohort) -> None:
        """Nobody is connected who has this cohort's configuration."""
        self.remember(cohort, frozenset())
        cohort.content = None
        self.dirty.discard(cohort)

    def _forget(self, topic: Topic, cohort: Cohort) -> None:
        readers = self._readers[topic]
        del readers[cohort]
        if not readers:
            del self._readers[topic]

    def _touch(self, topics: Iterable[Topic]) -> None:
        for topic in topics:
            if isinstance(topic, tuple) and topic[0] == "verdict":
                self.stirred.add(topic[1])
            self.dirty.update(self._readers.get(topic, ()))

    def _selection_changed(self, namespace: str, before: Labels | None, after: Labels | None) -> None:
        for selector in {before, after} - {None}:
            assert selector is not None  # noqa: S101 - the set above has none
            self.dirty.update(one for one in self.cohorts.select(namespace, selector) if one.streams)

    # What it comes to

    def _pods_changed(self, before: Pod | None, after: Pod | None) -> None:
        pods = [pod for pod in (before, after) if pod is not None]
        places = {
            place
            for pod in pods
            for place in self.services.matching(pod.namespace, pod.labels)
            if place in self._by_service
        }
        for place in places:
            self._resolve_service(place)
        for pod in pods:
            self.stirred.update(self.policies.matching(pod.namespace, pod.labels))
        self.changed()

    def _resolve_service(self, place: tuple[str, str]) -> None:
        for key in tuple(self._by_service.get(place, ())):
            self._resolve(self.entries[key])

    def _entered(self, before: Entry | None, after: Entry | None) -> None:
        one = after or before
        assert one is not None  # noqa: S101 - there was or is one
        key = one.key
        if key.kind is AGENT_POLICY:
            self._agent_policy(key, after)
        elif key.kind is ACCESS_POLICY:
            self._access_policy(before, after)
        elif key.kind is GATEWAY:
            self._gateway(key, after is not None and after.value)
        elif key.kind in BACKEND_KINDS:
            self._backend(key, after)
            if before is None or after is None:
                self.stirred.update(self._references.naming(key.namespace, key.name))

    def _agent_policy(self, key: Key, entry: Entry | None) -> None:
        before = self.policies.remove(key)
        self._references.put(key, entry.value if entry is not None else None)
        after = None
        if entry is not None and entry.value is not None:
            after = tuple(sorted(entry.value.match_labels))
            self.policies.put(key, key.namespace, after)
        self._selection_changed(key.namespace, before, after)

    def _access_policy(self, before: Entry | None, after: Entry | None) -> None:
        if after is not None:
            self._touch(self.access.put(before, after))
        elif before is not None:
            self._touch(self.access.remove(before))

    def _gateway(self, key: Key, ours: bool) -> None:
        names = self._gateways.setdefault(key.namespace, {})
        if ours:
            names[key.name] = None
        else:
            names.pop(key.name, None)
        if not names:
            del self._gateways[key.namespace]
        self._touch([("gateways", key.namespace)])
        self.stirred.update(entry.key for entry in self.access.at(key.target))

    def _backend(self, key: Key, entry: Entry | None) -> None:
        for keys in [self._by_service.get((key.namespace, service)) for service in self._named(key)]:
            if keys is not None:
                keys.pop(key, None)
        service = getattr(entry.value, "service", None) if entry is not None else None
        if service is not None:
            self._by_service.setdefault((key.namespace, service), {})[key] = None
        if entry is not None:
            self._resolve(entry)
        else:
            self._offered.get(key.namespace, {}).pop(key, None)
            self._untidy.add(key.namespace)

    def _named(self, key: Key) -> Iterator[str]:
        """The Service that an XBackend has named so far."""
        known = self.offered(key)
        if isinstance(known, Offer) and known.service is not None:
            yield known.service

    def _resolve(self, entry: Entry) -> None:
        key = entry.key
        known = self.offered(key)
        now = offer(entry, self.accounts, self.domains, self.read)
        if not _equal(known, now):
            self._offered.setdefault(key.namespace, {})[key] = now
            self.stirred.add(key)
            self._untidy.add(key.namespace)

    def _arrange(self, namespace: str) -> None:
        offers = [one for one in self._offered.get(namespace, {}).values() if isinstance(one, Offer)]
        before, after = self.shelf(namespace), arrange(offers)
        self._shelves[namespace] = after
        if not after.offers:
            del self._shelves[namespace]
        names = before.offers.keys() | after.offers.keys()
        other = [name for name in names if before.offers.get(name) is not after.offers.get(name)]
        self._touch([("backend", namespace, name) for name in other])
        if other:
            self._touch([("shelf", namespace)])
        conflicts = before.conflicted.items() ^ after.conflicted.items()
        self.stirred.update(key for key, _ in conflicts)


_EMPTY = Shelf()


def _equal(one: Offer | Unoffered | None, other: Offer | Unoffered) -> bool:
    if isinstance(one, Offer) and isinstance(other, Offer):
        same = one.document.digest == other.document.digest and one.created == other.created
        return same and (one.reason, one.message, one.service) == (other.reason, other.message, other.service)
    return one == other
