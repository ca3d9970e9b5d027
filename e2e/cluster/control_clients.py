"""Many sidecars' ends of the configuration stream in one process: their real code, with no traffic behind it.

Each stands for a pod that exists and that no node runs, and proves itself by a ServiceAccount token bound to it.
They share one event loop in a thread of its own, as hundreds of processes would cost more than what they measure.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from e2e.cluster.api import Json
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from mesh.policy.compile import compile_policy
from mesh.policy.decide import Policy
from mesh.policy.documents import Documents
from mesh.policy.principal import Principal
from mesh.protocol.http1.target import Target
from mesh.settings import installation as names
from sidecar.control.failed import Cause
from sidecar.control.plane import ControlPlane
from sidecar.identity.holder import IdentityHolder
from sidecar.settings import AgentSettings, ControlSettings
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.names import CONTROL_FAILURES

NOWHERE: Final = {"e2e.outrider.dev/node": "none"}
"""A nodeSelector that no node has."""
THREADS: Final = 8
CALL_SECONDS: Final = 60.0
TOKEN_SECONDS: Final = 3600
T = TypeVar("T")


def control_host(outrider: Installation) -> str:
    """The name that sidecars dial, and that the certificate of the control port has."""
    return f"{names.CONTROL}.{outrider.namespace}.svc"


def control_address(outrider: Installation) -> str:
    """The address of the Service of the control port."""
    found: str = outrider.kube.the("Service", names.CONTROL, outrider.namespace)["spec"]["clusterIP"]
    return found


def roots(outrider: Installation) -> str:
    """The published roots, PEM."""
    found = outrider.kube.the("ConfigMap", names.ROOTS, outrider.namespace)
    return str((found.get("data") or {}).get(names.ROOTS_KEY, ""))


def token_of(
    kube: Kube,
    namespace: str,
    account: str = "default",
    *,
    bound: Json | None = None,
    audience: str = names.CONTROL_AUDIENCE,
    seconds: int = TOKEN_SECONDS,
) -> str:
    """A token of an account, bound to the pod `bound`."""
    spec: Json = {"audiences": [audience], "expirationSeconds": seconds}
    if bound is not None:
        meta = bound["metadata"]
        spec["boundObjectRef"] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta["name"],
            "uid": meta["uid"],
        }
    where = f"{kube.path('ServiceAccount', namespace, account)}/token"
    token: str = kube.api.post(where, {"spec": spec})["status"]["token"]
    return token


def unscheduled_pods(kube: Kube, namespace: str, count: int, **spec: Any) -> list[Json]:
    """Pods of an injected namespace that stay Pending; each has a label of its own, `app`."""

    def make(number: int) -> Json:
        return kube.create(pod(f"agent-{number}", nodeSelector=NOWHERE, **spec), namespace=namespace)

    return in_threads(kube, make, range(count))


def in_threads(kube: Kube, work: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
    """`work` for each item, several at once."""
    with ThreadPoolExecutor(THREADS) as pool:
        done = list(pool.map(work, items))
        # As many as there are threads, so that none keeps its connection to the API server.
        barrier = threading.Barrier(len(pool._threads))

        def forget(_number: int) -> None:
            barrier.wait(CALL_SECONDS)
            kube.api.forget()

        list(pool.map(forget, range(len(pool._threads))))
    return done


@dataclass(slots=True)
class Client:
    """One pod's sidecar. `applied`: when each policy came in force (monotonic seconds), the last one in force."""

    name: str
    principal: Principal
    plane: ControlPlane
    applied: list[tuple[float, Policy]] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def connected(self) -> bool:
        return bool(self.plane.health().connected)

    @property
    def failures(self) -> dict[str, int]:
        """How many connections failed or were lost, by cause. Being asked to go elsewhere is none."""
        counted = {str(cause): self.metrics.value(CONTROL_FAILURES, (cause,)) for cause in Cause}
        return {cause: count for cause, count in counted.items() if count}

    @property
    def version(self) -> str:
        """Of the configuration in force; "" before the first."""
        return self.plane.health().version

    def granted(self, tool: str) -> float | None:
        """When the policy in force began to grant a tool; None while it does not."""
        at = None
        for moment, policy in reversed(self.applied):
            if not self.grants(policy, tool):
                break
            at = moment
        return at

    def grants(self, policy: Policy, tool: str) -> bool:
        """Whether `policy` grants a tool of its only backend."""
        if not policy.backends:
            return False
        return policy.decide(self.principal, policy.backends[0], "tools/call", tool).allowed


class _Loop(asyncio.SelectorEventLoop):
    """Resolves one name, which this machine's resolver does not know."""

    known: tuple[str, str] = ("", "")

    async def getaddrinfo(self, host: Any, port: Any, **how: Any) -> Any:
        name, address = self.known
        if host != name:
            raise OSError(f"nobody should look for {host}")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))]


class Fleet:
    """Clients for pods, connected until it is closed."""

    def __init__(self, outrider: Installation, folder: Path) -> None:
        self.outrider = outrider
        self.clients: list[Client] = []
        self._folder = folder
        self._host = control_host(outrider)
        self._roots = roots(outrider)
        self._loop = _Loop()
        self._loop.known = (self._host, control_address(outrider))
        self._thread = threading.Thread(target=self._loop.run_forever, name="control clients", daemon=True)
        self._thread.start()
        self._sink = os.open(os.devnull, os.O_WRONLY)
        self._log = Log(self._sink)

    def add(self, pods: Sequence[Json]) -> None:
        """Connect the sidecars of these pods."""
        kube = self.outrider.kube

        def token(one: Json) -> Path:
            meta = one["metadata"]
            path = self._folder / str(meta["uid"])
            account = one["spec"].get("serviceAccountName", "default")
            path.write_text(token_of(kube, meta["namespace"], account, bound=one), encoding="ascii")
            return path

        tokens = in_threads(kube, token, pods)
        made = [self._client(one, path) for one, path in zip(pods, tokens, strict=True)]
        self.clients += made
        self._run(_all(client.plane.start for client in made))

    def _client(self, of: Json, token: Path) -> Client:
        meta, account = of["metadata"], of["spec"].get("serviceAccountName", "default")
        target = Target("https", self._host, names.CONTROL_PORT, b"/")
        agent = AgentSettings(meta["namespace"], meta["name"], meta["labels"], account, None, meta["uid"])
        applied: list[tuple[float, Policy]] = []
        empty = compile_policy(Documents(), labels={}, namespace=meta["namespace"])

        def compiled(documents: Documents, labels: Any) -> Policy:
            return compile_policy(documents, labels=labels, namespace=meta["namespace"])

        metrics = Metrics()
        plane = ControlPlane(
            ControlSettings(target, self._roots, token),
            agent,
            IdentityHolder(),
            own_ca=False,
            log=self._log,
            metrics=metrics,
            compile=compiled,
            current=lambda: applied[-1][1] if applied else empty,
            use=lambda policy: applied.append((time.monotonic(), policy)),
            clock=time.monotonic,
        )
        identity = f"spiffe://cluster.local/ns/{meta['namespace']}/sa/{account}"
        return Client(meta["name"], Principal(identity), plane, applied, metrics)

    def until_connected(self, seconds: float = 30.0) -> float:
        """Wait until everybody is; returns after how many seconds that was so."""
        began = time.monotonic()

        def look() -> bool:
            return all(one.connected and one.version for one in self.clients)

        self.outrider.kube.until(look, self._missing(), self.outrider.namespace, seconds)
        return time.monotonic() - began

    def until_granted(self, tool: str, seconds: float = 30.0) -> list[float]:
        """Wait until a tool is granted everywhere; when that came in force at each client, in order."""

        def look() -> list[float] | None:
            found = [one.granted(tool) for one in self.clients]
            return sorted(at for at in found if at is not None) if None not in found else None

        what = f"{tool} is granted everywhere"
        return self.outrider.kube.until(look, what, self.outrider.namespace, seconds)

    def _missing(self) -> str:
        problems = {one.plane.health().problem for one in self.clients if not one.connected}
        return f"all clients are connected: {sorted(problems)[:3]}"

    def close(self) -> None:
        """End them all."""
        self._run(_all(one.plane.stop for one in self.clients))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._run_here(self._loop.shutdown_default_executor())
        self._loop.close()
        self._log.close()
        os.close(self._sink)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def _run_here(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop.run_until_complete(work)


async def _all(works: Iterator[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    await asyncio.gather(*(work() for work in works))


@contextlib.contextmanager
def fleet(outrider: Installation, folder: Path, pods: Sequence[Json]) -> Iterator[Fleet]:
    """Connected clients for these pods."""
    made = Fleet(outrider, folder)
    try:
        made.add(pods)
        made.until_connected()
        yield made
    finally:
        made.close()
