"""An API server of a few objects: resourceVersions, conflicts, watches, JSON patches, and faults on demand.

Objects are kept by their path. Every request can be made to fail, or to hang, by `fault`.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonpatch
from aiohttp import web
from aiohttp.test_utils import TestServer

from webhook.cluster.client import ApiClient
from webhook.cluster.server import ApiServer

Object = dict[str, Any]
Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

SECRET = "/api/v1/namespaces/outrider-system/secrets/outrider-webhook-tls"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/outrider-system/leases/outrider-webhook"
MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/outrider-injector"
VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/outrider-validator"
AGENTS = "/api/v1/namespaces/agents"


def configuration(*entries: str) -> Object:
    """A webhook configuration with these entries, as the chart makes it: without caBundle."""
    service = {"name": "outrider-webhook", "namespace": "outrider-system", "path": "/x", "port": 443}
    return {"webhooks": [{"name": entry, "clientConfig": {"service": service}} for entry in entries]}


class FakeApiServer:
    """See the module."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.version = 100
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self._events: list[tuple[int, str, str, Object]] = []
        self._oldest = 0
        self._news = asyncio.Condition()
        self._closing = False
        self.kinds = set(_COLLECTIONS)
        """Plural names that there are; others are not found."""

    def install(self) -> None:
        """What the chart installs."""
        self.put(SECRET, {"kind": "Secret", "type": "Opaque"})
        self.put(LEASE, {"kind": "Lease"})
        self.put(MUTATING, configuration("enabled.x", "required.x", "pod.x"))
        self.put(VALIDATING, configuration("ephemeral.x", "documents.x"))
        self.put(AGENTS, {"metadata": {"labels": {"outrider.dev/injection": "required"}}})

    def put(self, path: str, document: Object) -> Object:
        """Write an object, whatever was there."""
        self.version += 1
        collection, name = path.rsplit("/", 1)
        known = path in self.objects
        metadata = {**document.get("metadata", {}), "name": name, "resourceVersion": str(self.version)}
        stored = copy.deepcopy({**document, "metadata": metadata})
        self.objects[path] = stored
        self._tell("MODIFIED" if known else "ADDED", collection, stored)
        return stored

    def delete(self, path: str) -> None:
        """Take an object away."""
        self.version += 1
        collection, _ = path.rsplit("/", 1)
        gone = self.objects.pop(path)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._tell("DELETED", collection, gone)

    def compact(self) -> None:
        """Forget what happened: watches from before get 410."""
        self._oldest = self.version
        self._events.clear()

    def count(self, method: str, path: str = "") -> int:
        """How often it was asked so."""
        return sum(1 for one in self.requests if one[0] == method and one[1].startswith(path))

    def fail(self, status: int, *, method: str = "", path: str = "", **headers: str) -> Callable[[], None]:
        """Answer such requests with `status`; what it returns ends that."""

        async def fault(request: web.Request) -> web.StreamResponse | None:
            if (method and request.method != method) or not request.path.startswith(path):
                return None
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.json_response({"message": f"fault {status}"}, status=status, headers=named)

        return self._add(fault)

    def hang(self, path: str = "") -> Callable[[], None]:
        """Never answer such requests; what it returns ends that."""

        async def fault(request: web.Request) -> web.StreamResponse | None:
            if request.path.startswith(path):
                await asyncio.Event().wait()
            return None

        return self._add(fault)

    def babble(self, body: bytes, path: str = "") -> Callable[[], None]:
        """Answer such requests with these bytes; what it returns ends that."""

        async def fault(request: web.Request) -> web.StreamResponse | None:
            return web.Response(body=body) if request.path.startswith(path) else None

        return self._add(fault)

    def _add(self, fault: Fault) -> Callable[[], None]:
        self.faults.append(fault)
        return lambda: self.faults.remove(fault)

    def _tell(self, kind: str, collection: str, document: Object) -> None:
        self._events.append((self.version, kind, collection, copy.deepcopy(document)))
        self.notify()

    def notify(self) -> None:
        """Wake the watches."""

        async def wake() -> None:
            async with self._news:
                self._news.notify_all()

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._waking = loop.create_task(wake())

    def open(self) -> None:
        """Watches last again."""
        self._closing = False

    async def close(self) -> None:
        """End the watches."""
        self._closing = True
        async with self._news:
            self._news.notify_all()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        self.requests.append((request.method, request.path))
        for fault in tuple(self.faults):
            answer = await fault(request)
            if answer is not None:
                return answer
        path = request.path
        if request.method == "PUT":
            return self._replace(path, await request.json())
        if request.method == "PATCH":
            if request.content_type == "application/merge-patch+json":
                return self._merge(path, await request.json())
            return self._patch(path, await request.json())
        if path in self.objects:
            return web.json_response(self.objects[path])
        if path == "/version":
            return web.json_response({"gitVersion": "v1.31.2"})
        if path == "/api/v1/nodes":
            return web.json_response(self.nodes())
        if path.rsplit("/", 1)[-1] not in self.kinds and path not in self.kinds:
            return web.json_response({"message": f"{path} not found"}, status=404)
        if request.query.get("watch"):
            return await self._watch(request)
        items = self._selected(
            path, request.query.get("fieldSelector", ""), request.query.get("labelSelector", "")
        )
        return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})

    kubelets: tuple[str, ...] = ("v1.31.2", "v1.30.0")

    def nodes(self) -> Object:
        """The table of nodes."""
        columns = [{"name": "Name"}, {"name": "Version"}]
        rows = [{"cells": [f"node-{place}", kubelet]} for place, kubelet in enumerate(self.kubelets)]
        return {"kind": "Table", "columnDefinitions": columns, "rows": rows}

    def _selected(self, path: str, selector: str, labels: str = "") -> list[Object]:
        name = selector.removeprefix("metadata.name=")
        return [
            document
            for place, document in self.objects.items()
            if _within(path, place.rsplit("/", 1)[0])
            and name in ("", document["metadata"]["name"])
            and _labelled(document, labels)
        ]

    def _merge(self, path: str, change: Object) -> web.Response:
        """RFC 7386, of an object or its status."""
        path, status, _ = path.partition("/status")
        stored = self.objects.get(path)
        if stored is None:
            return web.json_response({"message": "not found"}, status=404)
        version = (change.get("metadata") or {}).get("resourceVersion")
        if version not in (None, stored["metadata"]["resourceVersion"]):
            return web.json_response({"message": "the object has been modified"}, status=409)
        kept = {"status": change.get("status")} if status else change
        return web.json_response(self.put(path, _merged(copy.deepcopy(stored), kept)))

    def _replace(self, path: str, document: Object) -> web.Response:
        if path not in self.objects:
            return web.json_response({"message": "not found"}, status=404)
        if document["metadata"].get("resourceVersion") != self.objects[path]["metadata"]["resourceVersion"]:
            return web.json_response({"message": "the object has been modified"}, status=409)
        return web.json_response(self.put(path, document))

    def _patch(self, path: str, operations: list[Object]) -> web.Response:
        try:
            patched = jsonpatch.apply_patch(self.objects[path], operations)
        except (jsonpatch.JsonPatchException, KeyError) as error:
            return web.json_response({"message": str(error)}, status=422)
        return web.json_response(self.put(path, patched))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        if since < self._oldest:
            await response.write(_line("ERROR", {"code": 410, "message": "too old"}))
            return response
        name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        while not self._closing:
            until = self.version
            for version, kind, collection, document in tuple(self._events):
                wanted = _within(request.path, collection) and name in ("", document["metadata"]["name"])
                wanted = wanted and _labelled(document, request.query.get("labelSelector", ""))
                if version > since and wanted:
                    await response.write(_line(kind, document))
            since = max(since, until)
            async with self._news:
                if self.version == since and not self._closing:
                    await self._news.wait()
        return response


_COLLECTIONS = frozenset(
    {
        "secrets",
        "configmaps",
        "leases",
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "namespaces",
    }
)


def _within(path: str, collection: str) -> bool:
    """Is an object of `collection` one of those at `path`, which may be those of all namespaces?"""
    if path == collection:
        return True
    prefix, _, plural = path.rpartition("/")
    middle = collection.removeprefix(f"{prefix}/namespaces/")
    return middle != collection and middle.partition("/")[2] == plural


def _labelled(document: Object, labels: str) -> bool:
    name, _, value = labels.partition("=")
    return not labels or (document["metadata"].get("labels") or {}).get(name) == value


def _merged(document: Object, change: Object) -> Object:
    for name, value in change.items():
        if value is None:
            document.pop(name, None)
        elif isinstance(value, dict):
            document[name] = _merged(document[name] if isinstance(document.get(name), dict) else {}, value)
        else:
            document[name] = value
    return document


def _line(kind: str, document: Object) -> bytes:
    return json.dumps({"type": kind, "object": document}).encode() + b"\n"


@asynccontextmanager
async def serving(fake: FakeApiServer, folder: Path, seconds: float = 5.0) -> AsyncIterator[ApiClient]:
    """Run it, and give a client of it."""
    fake.open()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", fake.handle)
    (folder / "token").write_text("secret\n")
    async with TestServer(application, shutdown_timeout=0.1) as running:
        api_server = ApiServer(str(running.make_url("")).rstrip("/"), folder / "token", None)
        async with api_server.session() as session:
            yield ApiClient(session, api_server, seconds)
        await fake.close()
