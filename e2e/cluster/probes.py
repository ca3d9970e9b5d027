"""Startup, liveness and readiness of one started container, asked from the machine's side as a kubelet does."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from e2e.cluster.container import Container

SHORTEST_SECONDS, LONGEST_SECONDS = 0.01, 0.5
Asked = tuple[bool, str]
Say = Callable[[str, str, str], None]
"""(type, reason, message) of an event."""


@dataclass(slots=True)
class Probe:
    """One probe's settings and what came of it so far."""

    spec: dict[str, Any]
    due: float
    successes: int = 0
    failures: int = 0
    message: str = ""

    def seconds(self, name: str, default: float) -> float:
        return float(self.spec.get(name) or default)

    def ask(self, container: Container, address: str, env: dict[str, str]) -> bool | None:
        """True and False once their thresholds are reached, else None."""
        good, self.message = ask(self.spec, container, address, env)
        self.due = time.monotonic() + self.seconds("periodSeconds", 10)
        self.successes = self.successes + 1 if good else 0
        self.failures = 0 if good else self.failures + 1
        if good:
            return True if self.successes >= self.seconds("successThreshold", 1) else None
        return False if self.failures >= self.seconds("failureThreshold", 3) else None


@dataclass(slots=True)
class Prober:
    """Asks about one start of a container until that is over."""

    container: Container
    address: str
    env: dict[str, str]
    grace: float
    say: Say
    woken: Callable[[], None]
    closed: threading.Event
    _probes: dict[str, Probe] = field(default_factory=dict)

    def start(self) -> None:
        """Set what is known without asking, and ask about the rest in a thread."""
        spec, container = self.container.spec, self.container
        began = time.monotonic()
        for kind in ("startup", "liveness", "readiness"):
            if probe := spec.get(f"{kind}Probe"):
                self._probes[kind] = Probe(probe, began + float(probe.get("initialDelaySeconds") or 0))
        container.started = "startup" not in self._probes
        container.ready = container.started and "readiness" not in self._probes
        if self._probes:
            name = f"prober {container.name}"
            threading.Thread(target=self._run, args=(container.id,), name=name, daemon=True).start()

    def _run(self, start: str) -> None:
        def alive() -> bool:
            return self.container.running and self.container.id == start and not self.closed.is_set()

        while alive():
            for kind in self._asked_now():
                probe = self._probes[kind]
                said = probe.ask(self.container, self.address, self.env)
                if not alive():
                    return
                if probe.failures:
                    self.say("Warning", "Unhealthy", f"{kind.capitalize()} probe failed: {probe.message}")
                if said is not None and self._decided(kind, said):
                    return
            due = min((self._probes[kind].due for kind in self._kinds()), default=time.monotonic() + 3600)
            self.closed.wait(min(LONGEST_SECONDS, max(SHORTEST_SECONDS, due - time.monotonic())))

    def _kinds(self) -> list[str]:
        """What is asked about at this stage."""
        if "startup" in self._probes and not self.container.started:
            return ["startup"]
        return [kind for kind in ("liveness", "readiness") if kind in self._probes]

    def _asked_now(self) -> list[str]:
        now = time.monotonic()
        return [kind for kind in self._kinds() if self._probes[kind].due <= now]

    def _decided(self, kind: str, good: bool) -> bool:
        """Take a verdict in; whether the container is ended for it."""
        container = self.container
        if kind == "readiness":
            changed, container.ready = container.ready != good, good
        elif good:
            changed, container.started = not container.started, True
            container.ready = container.ready or "readiness" not in self._probes
        else:
            self.say(
                "Normal", "Killing", f"Container {container.name} failed {kind} probe, will be restarted"
            )
            container.end(self._probes[kind].seconds("terminationGracePeriodSeconds", self.grace))
            return True
        if changed:
            self.woken()
        return False


def ask(spec: dict[str, Any], container: Container, address: str, env: dict[str, str]) -> Asked:
    """Do what a probe or a lifecycle handler says, once."""
    seconds = float(spec.get("timeoutSeconds") or 1)
    if http_get := spec.get("httpGet"):
        return _http(http_get, container, address, seconds)
    if tcp := spec.get("tcpSocket"):
        return _tcp(tcp.get("host") or address, port_of(tcp["port"], container), seconds)
    if grpc := spec.get("grpc"):
        return _tcp(address, int(grpc["port"]), seconds)
    if command := spec.get("exec"):
        code, said = container.run(command["command"], env, seconds)
        return code == 0, said.strip()[-300:]
    return False, f"a handler that this node does not know: {sorted(spec)}"


def port_of(port: int | str, container: Container) -> int:
    """A port by number or by its name in the container."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for known in container.spec.get("ports") or []:
        if known.get("name") == port:
            return int(known["containerPort"])
    return 0


def _http(spec: dict[str, Any], container: Container, address: str, seconds: float) -> Asked:
    host, port = spec.get("host") or address, port_of(spec["port"], container)
    secure = (spec.get("scheme") or "HTTP").upper() == "HTTPS"
    if secure:
        context = ssl._create_unverified_context()  # noqa: S323 - probes verify nothing
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
    headers = {header["name"]: header["value"] for header in spec.get("httpHeaders") or []}
    with contextlib.closing(connection):
        try:
            connection.request(
                "GET", spec.get("path") or "/", headers={"User-Agent": "kube-probe/1", **headers}
            )
            answer = connection.getresponse()
            body = answer.read(300).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            return False, f"Get {spec.get('path') or '/'} on port {port}: {error!r}"
        return 200 <= answer.status < 400, f"HTTP probe failed with statuscode: {answer.status} {body}"


def _tcp(host: str, port: int, seconds: float) -> Asked:
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        return False, f"dial {host}:{port}: {error}"
    return True, ""
