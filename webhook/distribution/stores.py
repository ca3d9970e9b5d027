"""Watches of the API server into the world: stores for `cluster.watching.follow`.

A list that is taken anew says nothing new of most objects, and the world is told only of those that differ: what
is gone is what was known and is not listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from webhook.cluster.client import decode
from webhook.cluster.failures import ApiFailed, Log
from webhook.cluster.watching import Following, Store
from webhook.distribution.kinds import INJECTED_SELECTOR, KINDS, PODS, SERVICES, Kind
from webhook.distribution.objects import read_pod, read_resource, read_service, trim_pod, trim_service
from webhook.distribution.world import World

Place = tuple[str, str]
Count = Callable[[str], object]
Put = Callable[[bytes], Place]
Remove = Callable[[str, str], object]


class _Meta(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class _Placed(msgspec.Struct):
    metadata: _Meta


class _Store:
    """Brings one kind into the world. `put` gives the place of what it took in.

    An object that cannot be read is left out, told once, and hinders nobody else.
    """

    def __init__(
        self,
        subject: str,
        put: Callable[[bytes], Place],
        remove: Callable[[str, str], object],
        log: Log,
        count: Count,
    ) -> None:
        self.listed = False
        self.subject = subject
        self._put = put
        self._remove = remove
        self._log = log
        self._count = count
        self._known: set[Place] = set()

    def replace(self, items: tuple[bytes, ...]) -> None:
        """See watching.Store, as for all below."""
        there = {place for item in items if (place := self._take(item)) is not None}
        for place in self._known - there:
            self._remove(*place)
        self._known = there
        self.listed = True

    def put(self, item: bytes) -> None:
        place = self._take(item)
        if place is not None:
            self._known.add(place)

    def remove(self, item: bytes) -> None:
        metadata = decode(item, _Placed).metadata
        place = (metadata.namespace, metadata.name)
        self._known.discard(place)
        self._remove(*place)
        self._count(self.subject)

    def live(self, live: bool) -> None:
        """No matter: what was seen last holds until something else is seen."""

    def _take(self, item: bytes) -> Place | None:
        try:
            place = self._put(item)
        except ApiFailed as error:
            self._log({"event": "object_unreadable", "subject": self.subject, "error": error.detail})
            return None
        self._count(self.subject)
        return place


class Stores:
    """A store for each kind that the world is made of, and whether all have been listed."""

    def __init__(self, world: World, log: Log, count: Count = lambda _subject: None) -> None:
        self._world = world
        self._log = log
        self._count = count
        self._stores: list[_Store] = []

    def followings(self) -> Iterator[Following]:
        """What to follow."""
        world = self._world
        pods = self._store("pods", self._pod, world.remove_pod)
        yield Following("pods", PODS, pods, labels=INJECTED_SELECTOR, trim=trim_pod)
        services = self._store("services", self._service, world.remove_service)
        yield Following("services", SERVICES, services, trim=trim_service)
        for kind in KINDS:
            yield Following(
                kind.plural + "." + kind.group, kind.collection, self._of_kind(kind), optional=True
            )

    def missing(self) -> list[str]:
        """The subjects that have not been listed yet."""
        return [store.subject for store in self._stores if not store.listed]

    def _store(self, subject: str, put: Put, remove: Remove) -> Store:
        store = _Store(subject, put, remove, self._log, self._count)
        self._stores.append(store)
        return store

    def _of_kind(self, kind: Kind) -> Store:
        world = self._world

        def put(item: bytes) -> Place:
            resource = read_resource(item)
            world.put(kind, resource)
            return resource.metadata.namespace, resource.metadata.name

        def remove(namespace: str, name: str) -> None:
            world.remove(kind, namespace, name)

        return self._store(f"{kind.plural}.{kind.group}", put, remove)

    def _pod(self, item: bytes) -> Place:
        pod = read_pod(item)
        self._world.put_pod(pod)
        return pod.namespace, pod.name

    def _service(self, item: bytes) -> Place:
        service = read_service(item)
        self._world.put_service(service)
        return service.namespace, service.name
