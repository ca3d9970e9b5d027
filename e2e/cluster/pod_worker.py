"""The life of one pod on the node: set up, init containers in order, containers, the end, and every report.

One thread for each pod decides; it sleeps until something wakes it. The order of things is a kubelet's: a native
sidecar is started in its place among the init containers and not waited for longer than until it has started; it
is ended after the containers, the last first.
"""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from e2e.cluster import etc_files, images, status
from e2e.cluster.api import STRATEGIC, ApiError
from e2e.cluster.container import Container, Kind, now, privileges
from e2e.cluster.ending import Ending
from e2e.cluster.probes import Asked, Prober, ask
from e2e.cluster.variables import NotConfigured, Variables, expand
from e2e.cluster.volumes import NotMounted, Volumes
from e2e.namespaces import NAMESPACES, Failed, Pod

if TYPE_CHECKING:
    from e2e.cluster.node import Node

RETRY_SECONDS: Final = 0.5
IDLE_SECONDS: Final = 5.0
Json = dict[str, Any]


class PodWorker:
    """A pod that was bound to the node."""

    def __init__(self, node: Node, pod: Json) -> None:
        self.node = node
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.namespace: str = pod["metadata"]["namespace"]
        self.name: str = pod["metadata"]["name"]
        self.folder: Path = node.folder / "pods" / f"{self.namespace}_{self.name}_{self.uid[:8]}"
        self.containers: list[Container] = []
        self.network: Pod | None = None
        self.volumes = Volumes(pod, self.folder / "volumes", node.api, node.find, node.csi, time.time)
        self._since = now()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._gone = False
        self._refresh = False
        self._set_up = False
        self._initialized = False
        self._failed_init = False
        self._over = False
        self._reported: Json = {}
        self._next = IDLE_SECONDS
        self._thread = threading.Thread(target=self._run, name=f"pod {self.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def update(self, pod: Json, *, gone: bool) -> None:
        """The pod has changed, or is no more."""
        self.pod = pod
        self.volumes.pod = pod
        self._gone = self._gone or gone
        self.woken()

    def source_changed(self, kind: str, name: str) -> None:
        """A Secret or ConfigMap of its namespace has changed."""
        if not self._set_up or self.volumes.depends_on(kind, name):
            self.refresh()

    def refresh(self) -> None:
        """Bring the volumes up to date soon."""
        self._refresh = True
        self.woken()

    def woken(self) -> None:
        self._wake.set()

    def close(self) -> None:
        """End everything at once, without a word to the API server."""
        self._closed.set()
        self._wake.set()
        for container in self.containers:
            container.kill()

    def join(self) -> None:
        self._thread.join(20)

    def container(self, name: str) -> Container:
        return next(one for one in self.containers if one.name == name)

    # --- the thread

    def _run(self) -> None:
        try:
            while not self._closed.is_set() and not self._tick():
                self._wake.wait(self._next)
                self._wake.clear()
        finally:
            self._clean_up()
            self.node.api.forget()
            self.node.forget(self)

    def _tick(self) -> bool:
        """Do what is to be done now; whether nothing ever is again."""
        self._next = IDLE_SECONDS
        if self._gone:
            return True
        if self.pod["metadata"].get("deletionTimestamp"):
            return self._finish()
        try:
            if not self._set_up:
                self._begin()
            if self._refresh or self.volumes.tokens_due():
                self._refresh = False
                self.volumes.refresh(self._variables())
            self._add_ephemeral()
            if not self._over:
                self._drive()
        except (NotMounted, NotConfigured) as error:
            self.event("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")
            self._soon(RETRY_SECONDS)
        except Failed as error:
            self.event("Warning", "FailedCreatePodSandBox", str(error))
            self._soon(RETRY_SECONDS)
        self._report()
        return False

    def _soon(self, seconds: float) -> None:
        self._next = min(self._next, max(0.01, seconds))

    def _begin(self) -> None:
        """Network, volumes, names. Raises NotMounted and Failed, and goes on from there the next time."""
        spec = self.pod["spec"]
        if not self.containers:
            self.folder.mkdir(parents=True)
            for one in spec.get("initContainers") or []:
                kind = Kind.SIDECAR if one.get("restartPolicy") == "Always" else Kind.INIT
                self.containers.append(self._container(one, kind))
            self.containers += [self._container(one, Kind.MAIN) for one in spec["containers"]]
            if not spec.get("initContainers"):
                for container in self.containers:
                    container.wait_for("ContainerCreating")
        if self.network is None:
            self.network = self.node.network.join(self.name)
        self.volumes.make(self._variables())
        self.write_hosts()
        self._set_up = True

    def _container(self, spec: Json, kind: Kind) -> Container:
        return Container(spec, kind, self.node.images.find(spec["image"]), self.folder, self.woken)

    def _add_ephemeral(self) -> None:
        known = {one.name for one in self.containers}
        for spec in self.pod["spec"].get("ephemeralContainers") or []:
            if spec["name"] not in known:
                self.containers.append(self._container(spec, Kind.EPHEMERAL))

    def _drive(self) -> None:
        """One step towards what should run now."""
        if not self._initialized:
            self._initialized = self._initialize()
        else:
            for sidecar in self._of(Kind.SIDECAR):
                self._keep(sidecar, restart=True)
        if self._failed_init:
            self._all_over()
            return
        if not self._initialized:
            return
        policy = self.pod["spec"].get("restartPolicy", "Always")
        mains = self._of(Kind.MAIN)
        for container in mains:
            self._keep(
                container, restart=policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)
            )
        for container in self._of(Kind.EPHEMERAL):
            self._keep(container, restart=False)
        if all("terminated" in one.state and not self._again(one, policy) for one in mains):
            self._all_over()

    @staticmethod
    def _again(container: Container, policy: str) -> bool:
        return policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)

    def _all_over(self) -> None:
        self._report()
        self._ending().end(self.containers, self._grace())
        self._over = True

    def _initialize(self) -> bool:
        """Init containers and native sidecars in order; whether all are done."""
        never = self.pod["spec"].get("restartPolicy") == "Never"
        for container in self.containers:
            if container.kind is Kind.SIDECAR:
                self._keep(container, restart=True)
                if not (container.running and container.started):
                    return False
            elif container.kind is Kind.INIT:
                if "terminated" in container.state and container.exit_code == 0:
                    container.ready = True
                    continue
                if never and "terminated" in container.state:
                    self._failed_init = True
                    return False
                self._keep(container, restart=True)
                return False
        for container in self._of(Kind.MAIN):
            container.wait_for("ContainerCreating")
        return True

    def _keep(self, container: Container, *, restart: bool) -> None:
        """Start it, start it again, or let it be."""
        if container.running:
            return
        if container.ever_started and "terminated" in container.state:
            if not restart:
                return
            wait = container.back_off()
            if wait:
                container.last = container.state
                text = f"back-off {wait:g}s restarting failed container={container.name} pod={self.name}"
                container.wait_for("CrashLoopBackOff", text)
                container.next_start = time.monotonic() + wait
                self.event("Warning", "BackOff", f"Back-off restarting failed container {container.name}")
        left = container.next_start - time.monotonic()
        if left > 0:
            self._soon(left)
            return
        self._start(container)

    def _start(self, container: Container) -> None:
        try:
            if container.image.missing:
                raise NotConfigured(f'failed to pull image "{container.spec["image"]}": not found')
            launch, env = self._launch(container)
        except (NotConfigured, PermissionError) as error:
            reason = "ErrImagePull" if container.image.missing else "CreateContainerConfigError"
            container.wait_for(reason, str(error))
            container.next_start = time.monotonic() + RETRY_SECONDS
            self._soon(RETRY_SECONDS)
            self.event("Warning", "Failed", f"Error: {reason}: {error}")
            return
        container.start(launch)
        self.event("Normal", "Started", f"Started container {container.name}")
        Prober(container, self._address(), env, self._grace(), self.event, self.woken, self._closed).start()

    def _launch(self, container: Container) -> tuple[Json, dict[str, str]]:
        spec = container.spec
        base = images.variables() | self.node.service_variables() | {"HOSTNAME": etc_files.hostname(self.pod)}
        env = self._variables().of(spec, base)
        expanded = [[expand(part, env) for part in spec.get(key) or []] for key in ("command", "args")]
        assert self.network is not None
        launch = {
            **privileges(self.pod, spec, container.image),
            "network": str(NAMESPACES / self.network.namespace),
            "hostname": etc_files.hostname(self.pod),
            "argv": images.command(container.image, expanded),
            "env": env,
            "workingDir": spec.get("workingDir") or "/",
            "binds": [*self._binds(spec, env), *etc_files.binds(self.folder)],
        }
        return launch, env

    def environment(self, container: Container) -> dict[str, str]:
        """What the container's program was given."""
        return self._launch(container)[1]

    def _binds(self, spec: Json, env: dict[str, str]) -> list[Json]:
        binds = []
        for mount in spec.get("volumeMounts") or []:
            source = self.volumes.paths[mount["name"]]
            inside = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
            if inside:
                source = (source / inside).resolve()
                if not source.exists():
                    source.mkdir(parents=True)
            refreshed = (self.volumes.folder / mount["name"] / "..data").exists()
            read_only = bool(mount.get("readOnly")) or refreshed
            binds.append({"source": str(source), "target": mount["mountPath"], "readOnly": read_only})
        return sorted(binds, key=lambda bind: bind["target"].count("/"))

    def write_hosts(self) -> None:
        assert self.network is not None
        nameserver = self.node.network.addresses.router[0]
        etc_files.write(self.folder, self.pod, self.network, self.node.hosts(self.namespace), nameserver)

    def hosts_changed(self) -> None:
        if self._set_up:
            self.write_hosts()

    def _variables(self) -> Variables:
        known = {"status.hostIP": self.node.address, "status.hostIPs": self.node.address}
        if self.network is not None:
            both = f"{self.network.ipv4},{self.network.ipv6}"
            known |= {"status.podIP": self.network.ipv4, "status.podIPs": both}
        return Variables(self.pod, self.node.find, known)

    def _address(self) -> str:
        assert self.network is not None
        return self.network.ipv4

    def _of(self, kind: Kind) -> list[Container]:
        return [container for container in self.containers if container.kind is kind]

    def _grace(self) -> float:
        meta, spec = self.pod["metadata"], self.pod["spec"]
        if meta.get("deletionGracePeriodSeconds") is not None:
            return float(meta["deletionGracePeriodSeconds"])
        seconds = spec.get("terminationGracePeriodSeconds")
        return 30.0 if seconds is None else float(seconds)

    # --- the end

    def _finish(self) -> bool:
        """SIGTERM, grace, SIGKILL, the last report, and the pod's object may go."""
        self._ending().end(self.containers, self._grace())
        self._over = True
        self._report()
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        try:
            self.node.api.delete(self._path(), body)
        except ApiError as error:
            if error.status not in (404, 409):
                self._soon(RETRY_SECONDS)
                return False
        return True

    def _ending(self) -> Ending:
        return Ending(self._pod_now, self._nobody_cares, self._hook, self.event)

    def _pod_now(self) -> Json:
        return self.pod

    def _nobody_cares(self) -> bool:
        return self._gone or self._closed.is_set()

    def _hook(self, container: Container, hook: Json, seconds: float) -> Asked:
        env = self.environment(container)
        return ask({**hook, "timeoutSeconds": seconds}, container, self._address(), env)

    def _clean_up(self) -> None:
        for container in self.containers:
            container.kill()
        for container in self.containers:
            container.wait(10)
        if self.network is not None:
            self.node.network.leave(self.network)
        self.volumes.remove()
        for inside in self.folder.glob("*/root"):
            shutil.rmtree(inside, ignore_errors=True)

    # --- what is said

    def event(self, kind: str, reason: str, message: str) -> None:
        self.node.event(self.pod, kind, reason, message)

    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    def _report(self) -> None:
        """Write the status, if it has changed."""
        found = self._status()
        if found == self._reported:
            return
        body = {"metadata": {"uid": self.uid}, "status": found}
        try:
            self.node.api.patch(f"{self._path()}/status", body, STRATEGIC)
            self._reported = found
        except ApiError as error:
            if error.status in (404, 409):
                return
            self._soon(RETRY_SECONDS)

    def _status(self) -> Json:
        phase = status.phase(
            self.containers, initialized=self._initialized, over=self._over, failed_init=self._failed_init
        )
        found: Json = {
            "phase": phase,
            "startTime": self._since,
            "hostIP": self.node.address,
            "hostIPs": [{"ip": self.node.address}],
            "conditions": status.conditions(
                self.pod,
                self.containers,
                self._reported.get("conditions", []),
                has_network=self.network is not None,
                initialized=self._initialized,
                phase=phase,
            ),
            **status.statuses(self.containers),
        }
        if self.network is not None:
            found["podIP"] = self.network.ipv4
            found["podIPs"] = [{"ip": self.network.ipv4}, {"ip": self.network.ipv6}]
        return found
