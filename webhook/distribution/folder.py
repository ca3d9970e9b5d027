"""A cluster in a folder: YAML files of objects in place of an API server, looked at now and then.

For one machine and for tests. Files hold policy objects, Services, and Pods where labels matter; a pod that no
file describes is taken from its first hello, its label `app` being the name of its account. What a file said last
stays in force while it cannot be read.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from webhook.cluster.failures import ApiFailed, Log
from webhook.distribution.hub import Hub
from webhook.distribution.kinds import KINDS, Key, Kind
from webhook.distribution.objects import Pod, Resource, pairs, read_pod, read_resource, read_service
from webhook.distribution.world import World
from webhook.identity.callers import Proven

INTERVAL_SECONDS = 0.5
SUFFIXES = frozenset({".yaml", ".yml"})
NAMESPACE = "default"
_Stamp = tuple[int, int, int]
_Name = tuple[str, str, str]
_KINDS = {(kind.api_version, kind.name): kind for kind in KINDS}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Folder:
    """The objects of a folder, put into `world`."""

    def __init__(self, folder: Path, world: World, log: Log) -> None:
        self._folder = folder
        self._world = world
        self._log = log
        self._stamps: dict[Path, _Stamp] = {}
        self._objects: dict[Path, dict[_Name, bytes]] = {}
        self._labels: dict[tuple[str, str], Pod] = {}

    def look(self) -> bool:
        """Take in what has changed; True where something has."""
        stamps = dict(self._files())
        if stamps == self._stamps:
            return False
        before = self._all()
        for path in self._objects.keys() - stamps.keys():
            del self._objects[path]
        for path, stamp in stamps.items():
            if self._stamps.get(path) != stamp:
                self._read(path)
        self._stamps = stamps
        self._tell(before, self._all())
        return True

    async def run(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Look now and then, until cancelled."""
        while True:
            self.look()
            await sleep(INTERVAL_SECONDS)

    def introduce(self, namespace: str, name: str, uid: str, proven: Proven) -> None:
        """A sidecar says hello: from now on its pod is there."""
        described = self._labels.get((namespace, name))
        labels = described.labels if described is not None else pairs({"app": proven.service_account})
        self._world.put_pod(Pod(namespace, name, uid, proven.service_account, labels, True))

    def serve(self, hub: Hub) -> None:
        """Have a hub take pods from their hello."""
        hub.introduce = self.introduce

    def _files(self) -> Iterator[tuple[Path, _Stamp]]:
        for path in sorted(self._folder.iterdir()):
            if path.suffix in SUFFIXES and path.is_file():
                found = path.stat()
                yield path, (found.st_mtime_ns, found.st_size, found.st_ino)

    def _all(self) -> dict[_Name, bytes]:
        merged: dict[_Name, bytes] = {}
        for path in sorted(self._objects):
            merged |= self._objects[path]
        return merged

    def _read(self, path: Path) -> None:
        try:
            documents = [one for one in yaml.load_all(path.read_bytes(), _LOADER) if one is not None]
            self._objects[path] = dict(_named(documents))
        except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            self._log({"event": "documents_unreadable", "file": str(path), "error": str(error)})

    def _tell(self, before: dict[_Name, bytes], after: dict[_Name, bytes]) -> None:
        for name in before.keys() - after.keys():
            self._remove(*name)
        for name, body in after.items():
            if before.get(name) != body:
                try:
                    self._put(name, body)
                except ApiFailed as error:
                    self._log({"event": "object_unreadable", "object": "/".join(name), "error": error.detail})

    def _put(self, name: _Name, body: bytes) -> None:
        kind, namespace, called = name
        if kind == "Pod":
            pod = read_pod(body)
            self._labels[namespace, called] = pod
            known = self._world.cohorts.pods.get((namespace, called))
            if known is not None:
                self._world.put_pod(msgspec.structs.replace(known, labels=pod.labels))
        elif kind == "Service":
            self._world.put_service(read_service(body))
        else:
            resource = read_resource(body)
            meta = msgspec.structs.replace(resource.metadata, generation=_generation(body))
            self._world.put(_kind(kind), Resource(meta, resource.spec, resource.status))
            self._tell_faults(Key(_kind(kind), namespace, called))

    def _tell_faults(self, key: Key) -> None:
        """What is wrong with an object, and what is in force of it; a cluster has status for that."""
        entry = self._world.entries[key]
        if entry.faults:
            self._log(
                {
                    "event": "object_refused",
                    "object": f"{key.kind.name} {key.namespace}/{key.name}",
                    "errors": list(entry.faults),
                    "in_force": entry.force.value,
                }
            )

    def _remove(self, kind: str, namespace: str, name: str) -> None:
        if kind == "Pod":
            self._labels.pop((namespace, name), None)
        elif kind == "Service":
            self._world.remove_service(namespace, name)
        else:
            self._world.remove(_kind(kind), namespace, name)


def _named(documents: Iterable[Any]) -> Iterator[tuple[_Name, bytes]]:
    """Objects by kind, namespace and name, as JSON; raises ValueError for what is none."""
    for one in documents:
        metadata = one.get("metadata") if isinstance(one, dict) else None
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            raise ValueError("an object needs apiVersion, kind and metadata.name")
        version, kind = one.get("apiVersion"), one.get("kind")
        if (version, kind) not in _KINDS and (version, kind) not in (("v1", "Pod"), ("v1", "Service")):
            raise ValueError(f"{version} {kind} is not known here")
        placed = {"namespace": NAMESPACE, **metadata}
        name = (f"{kind}" if version == "v1" else f"{version} {kind}", placed["namespace"], placed["name"])
        yield name, msgspec.json.encode({**one, "metadata": placed})


def _generation(body: bytes) -> int:
    """A number that differs where the content does, and is the same after a restart, as are versions then."""
    return int.from_bytes(hashlib.sha256(body).digest()[:6], "big")


def _kind(name: str) -> Kind:
    version, _, kind = name.partition(" ")
    return _KINDS[version, kind]
