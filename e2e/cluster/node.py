"""A stand-in for scheduler, kubelet and kube-proxy: one node, on which pods are processes of this machine."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from e2e.cluster import services
from e2e.cluster.api import MERGE, STRATEGIC, Api, ApiError
from e2e.cluster.container import Container, now
from e2e.cluster.control_plane import ADMINISTRATORS, ControlPlane
from e2e.cluster.images import OUTRIDER, Images
from e2e.cluster.informer import Informer
from e2e.cluster.kubelet_server import KubeletServer
from e2e.cluster.network import ClusterNetwork
from e2e.cluster.pod_worker import PodWorker
from e2e.cluster.volumes import Csi
from e2e.namespaces import Failed

NAME: Final = "node-1"
CAPACITY: Final = {"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "500Gi"}
EVENT_SECONDS: Final = 30.0
LABELS: Final = {
    "kubernetes.io/hostname": NAME,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": "amd64",
    "topology.kubernetes.io/zone": "zone-1",
}
WATCHED: Final = {
    "Secret": "/api/v1/secrets",
    "ConfigMap": "/api/v1/configmaps",
    "Service": "/api/v1/services",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices",
    "Pod": "/api/v1/pods",
}


class Node:
    """The node and everything that runs on it."""

    def __init__(self, plane: ControlPlane, network: ClusterNetwork, folder: Path) -> None:
        self.network = network
        self.folder = folder
        self.images = Images(OUTRIDER)
        self.csi: dict[str, Csi] = {}
        self.address = network.addresses.machine[0]
        self.version = f"v{plane.version}"
        pair = plane.authority.issue(f"system:node:{NAME}", [ADMINISTRATORS, "system:nodes"], [self.address])
        self.api, self._watches = (
            Api(plane.server, plane.authority.file, certificate=pair.certificate, key=pair.key)
            for _ in range(2)
        )
        self._informers = {
            kind: Informer(self._watches, path, getattr(self, f"_{kind.lower()}"))
            for kind, path in WATCHED.items()
        }
        self._server = KubeletServer(self.address, pair, plane.authority.file, self._container)
        self._workers: dict[str, PodWorker] = {}
        self._lock = threading.Lock()
        self._binders = ThreadPoolExecutor(4, "binder")
        self._said: dict[tuple[str, str, str], float] = {}
        self._services_changed = threading.Event()
        self._closed = threading.Event()
        self._names: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._proxy = threading.Thread(target=self._follow_services, name="services", daemon=True)

    # --- what tests use

    def worker(self, namespace: str, pod: str) -> PodWorker:
        """The pod on this node: its network namespace, its containers, its folder. Raises KeyError."""
        with self._lock:
            for worker in self._workers.values():
                if (worker.namespace, worker.name) == (namespace, pod):
                    return worker
        raise KeyError(f"{namespace}/{pod} does not run here")

    def workers(self) -> list[PodWorker]:
        with self._lock:
            return list(self._workers.values())

    def report_version(self, version: str) -> None:
        """Say that the kubelet is of another version, such as "v1.28.9"."""
        self.version = version
        self._write_status()

    def exec(
        self, namespace: str, pod: str, container: str, command: list[str], seconds: float = 10
    ) -> tuple[int, str]:
        """Run a command in a container as its user, as kubectl exec; its code and what it printed."""
        worker = self.worker(namespace, pod)
        inside = worker.container(container)
        return inside.run(command, worker.environment(inside), seconds)

    def logs(self, namespace: str) -> Iterator[tuple[str, Path]]:
        """Every container's log of a namespace, also of pods that are gone."""
        for folder in sorted((self.folder / "pods").glob(f"{namespace}_*")):
            for log in sorted(folder.glob("*.log")):
                yield f"{folder.name}/{log.name}", log

    # --- its life

    def start(self) -> None:
        """Register the node and take pods."""
        self._server.start()
        self._register()
        self._proxy.start()
        for kind in WATCHED:
            self._informers[kind].start()
            self._informers[kind].wait_synced()

    def close(self) -> None:
        """End every process and every thread; the API server still answers."""
        self._closed.set()
        self._services_changed.set()
        closing = threading.Thread(target=self._close_informers)
        closing.start()
        for worker in self.workers():
            worker.close()
        for worker in self.workers():
            worker.join()
        closing.join()
        self._binders.shutdown(wait=True, cancel_futures=True)
        self._proxy.join(10)
        self._server.close()
        self.api.close()

    def _close_informers(self) -> None:
        for informer in self._informers.values():
            informer.stop()
        self._watches.close()
        for informer in self._informers.values():
            informer.close()

    def _register(self) -> None:
        with contextlib.suppress(ApiError):
            body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME, "labels": LABELS}}
            self.api.post("/api/v1/nodes", body)
        self._write_status()
        # The API server taints new nodes as not ready, and the controller that would take it back does not run.
        self.api.patch(f"/api/v1/nodes/{NAME}", {"spec": {"taints": None}}, MERGE)

    def _write_status(self) -> None:
        condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        info = {
            "kubeletVersion": self.version,
            "kubeProxyVersion": "",
            "architecture": "amd64",
            "operatingSystem": "linux",
            "osImage": "outrider-e2e",
            "kernelVersion": "",
            "containerRuntimeVersion": "process://1",
            "machineID": NAME,
            "systemUUID": NAME,
            "bootID": NAME,
        }
        written = {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "conditions": [{**condition, "lastHeartbeatTime": now(), "lastTransitionTime": now()}],
            "addresses": [
                {"type": "InternalIP", "address": self.address},
                {"type": "Hostname", "address": NAME},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.port}},
            "nodeInfo": info,
        }
        self.api.patch(f"/api/v1/nodes/{NAME}/status", {"status": written}, STRATEGIC)

    # --- what the watches say

    def _pod(self, pod: dict[str, Any], gone: bool) -> None:
        if self._closed.is_set():
            return
        uid, spec = pod["metadata"]["uid"], pod["spec"]
        with self._lock:
            worker = self._workers.get(uid)
        if worker is not None:
            worker.update(pod, gone=gone)
        elif gone or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return
        elif not spec.get("nodeName"):
            if not spec.get("schedulingGates"):
                self._binders.submit(self._bind, pod)
        elif spec["nodeName"] == NAME:
            worker = PodWorker(self, pod)
            with self._lock:
                self._workers[uid] = worker
            worker.start()

    def _bind(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        selector = pod["spec"].get("nodeSelector") or {}
        if selector.items() - LABELS.items():
            self.event(pod, "Warning", "FailedScheduling", f"no node matches the node selector {selector}")
            return
        target = {"apiVersion": "v1", "kind": "Node", "name": NAME}
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"], "uid": meta["uid"]},
            "target": target,
        }
        # Refused: it is gone, or bound already.
        with contextlib.suppress(ApiError):
            self.api.post(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/binding", body)

    def _secret(self, item: dict[str, Any], gone: bool) -> None:
        self._source("Secret", item, gone)

    def _configmap(self, item: dict[str, Any], gone: bool) -> None:
        self._source("ConfigMap", item, gone)

    def _source(self, kind: str, item: dict[str, Any], gone: bool) -> None:
        if gone:
            return
        for worker in self.workers():
            if worker.namespace == item["metadata"]["namespace"]:
                worker.source_changed(kind, item["metadata"]["name"])

    def _service(self, item: dict[str, Any], gone: bool) -> None:
        self._services_changed.set()

    _endpointslice = _service

    def _follow_services(self) -> None:
        """Write rules and names after each change; several changes at once are one."""
        while not self._closed.is_set():
            self._services_changed.wait()
            if self._closed.is_set():
                return
            self._services_changed.clear()
            listed, slices = (self._informers[kind].all() for kind in ("Service", "EndpointSlice"))
            try:
                self.network.rules(services.rules(listed, slices))
            except Failed as error:
                print(f"services: {error}")
            self._names = services.names(listed, slices)
            for worker in self.workers():
                worker.hosts_changed()

    # --- what pods ask for

    def hosts(self, namespace: str) -> str:
        """Names of Services, for the hosts file of a pod."""
        return services.hosts(self._names, namespace)

    def service_variables(self) -> dict[str, str]:
        """How a program in a pod finds the API server."""
        address = self.network.addresses.api_service
        return {
            "KUBERNETES_SERVICE_HOST": address,
            "KUBERNETES_SERVICE_PORT": "443",
            "KUBERNETES_SERVICE_PORT_HTTPS": "443",
            "KUBERNETES_PORT": f"tcp://{address}:443",
        }

    def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """A Secret or ConfigMap, from the cache or else from the API server."""
        known = self._informers[kind].get(namespace, name)
        if known is not None:
            return known
        try:
            return self.api.get(f"/api/v1/namespaces/{namespace}/{kind.lower()}s/{name}")
        except ApiError:
            return None

    def _container(self, namespace: str, pod: str, name: str) -> Container | None:
        try:
            return self.worker(namespace, pod).container(name)
        except (KeyError, StopIteration):
            return None

    def forget(self, worker: PodWorker) -> None:
        with self._lock:
            self._workers.pop(worker.uid, None)

    def event(self, pod: dict[str, Any], kind: str, reason: str, message: str) -> None:
        """Write an event about a pod, but not the same one all the time."""
        meta, moment = pod["metadata"], time.monotonic()
        key = meta["uid"], reason, message
        if self._closed.is_set() or moment - self._said.get(key, -EVENT_SECONDS) < EVENT_SECONDS:
            return
        self._said[key] = moment
        involved = {name: meta[name] for name in ("name", "namespace", "uid")}
        body = {
            "metadata": {
                "name": f"{meta['name'][:200]}.{secrets.token_hex(6)}",
                "namespace": meta["namespace"],
            },
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", **involved},
            "type": kind,
            "reason": reason,
            "message": message[:1000],
            "source": {"component": "kubelet", "host": NAME},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        with contextlib.suppress(ApiError):  # its namespace may be on its way out
            self.api.post(f"/api/v1/namespaces/{meta['namespace']}/events", body)


@contextlib.contextmanager
def running(plane: ControlPlane, network: ClusterNetwork, folder: Path) -> Iterator[Node]:
    """A node until the block ends, with every process that it started."""
    node = Node(plane, network, folder)
    try:
        node.start()
        yield node
    finally:
        node.close()
