"""Pods as the mesh makes them: redirection, a sidecar of its own user, and programs that know of neither.

The programs run as another user, with no proxy variable, and address each other by name. Names come from the
pod's own hosts file, for the sidecar as for them: whom it dials is decided by the name and not by the address that
was dialled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from e2e.authority import TrustDomain
from e2e.namespaces import Pod
from e2e.plugs import APPLICATION, SIDECAR
from e2e.processes import announced_port, end
from e2e.sidecars import VERSION

WAIT_SECONDS = 20.0
POLL_SECONDS = 0.01
T = TypeVar("T")


class Late(Exception):
    """Something did not happen in time; carries what there was instead."""


def until(find: Callable[[], T | None], what: Callable[[], str], seconds: float = WAIT_SECONDS) -> T:
    """What `find` gives once it gives something. Raises Late."""
    deadline = time.monotonic() + seconds
    while True:
        found = find()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise Late(what())
        time.sleep(POLL_SECONDS)


def document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """A policy document."""
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def redirect(pod: Pod, **settings: str) -> None:
    """Run the init step in a pod."""
    variables = {f"OUTRIDER_REDIRECT_{name.upper()}": value for name, value in settings.items()}
    done = pod.run([sys.executable, "-m", "sidecar.redirect", "install"], env=variables)
    assert done.returncode == 0, done.stderr


@dataclass(slots=True)
class PodSidecar:
    """The sidecar of one pod, which may be killed and started again."""

    pod: Pod
    folder: Path
    authority: TrustDomain
    workload: str
    documents: list[dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    @property
    def id(self) -> str:
        return str(self.authority.id(self.workload))

    @property
    def socket(self) -> Path:
        return self.folder / "agent.sock"

    @property
    def log(self) -> Path:
        return self.folder / "sidecar.log"

    @property
    def trust(self) -> Path:
        """The folder with what makes programs trust the interception CA."""
        return self.folder / "trust"

    def write(self) -> None:
        """Write its files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.trust.mkdir(exist_ok=True)
        os.chown(self.trust, SIDECAR, SIDECAR)
        (self.folder / "policies.yaml").write_text(yaml.safe_dump_all(self.documents), encoding="utf-8")
        configuration = {
            "agent": {"namespace": "agents", "name": self.pod.name},
            "identity": {"provider": "workload-api", "socket": f"unix://{self.socket}"},
            "listen": {
                "forward": "127.0.0.1:15002",
                "redirectOutbound": "*:15001",
                "redirectInbound": "*:15006",
                "inbound": "*:15443",
                "telemetry": "*:15020",
            },
            "application": {"host": "127.0.0.1", "ports": [9000]},
            "policies": ["policies.yaml"],
            "log": {"decisions": "all"},
            **self.settings,
        }
        (self.folder / "sidecar.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")

    def provide(self) -> None:
        """Serve its identity."""
        self.authority.serve(self.socket, self.workload, SIDECAR)

    def start(self, *, ready: bool = True) -> None:
        """Start it; with `ready`, wait until it says that it serves."""
        command = [sys.executable, "-m", "sidecar", "--config", self.folder / "sidecar.yaml"]
        before = len(self.lines("ready"))
        with self.log.open("ab") as log:
            self.process = self.pod.start(command, uid=SIDECAR, gid=SIDECAR, stderr=log)
        if ready:
            until(lambda: self.lines("ready")[before:] or self._ended() or None, self.text)
            assert self._ended() is None, self.text()

    def _ended(self) -> int | None:
        return None if self.process is None else self.process.poll()

    def kill(self) -> None:
        """SIGKILL: it has no chance to end anything."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, in an orderly way."""
        assert self.process is not None
        end(self.process)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def lines(self, event: str, **values: Any) -> list[dict[str, Any]]:
        """The log's lines of one kind that have these values."""
        found = []
        for text in self.text().splitlines(keepends=True):
            if text.startswith("{") and text.endswith("}\n"):
                line = json.loads(text)
                if line["event"] == event and all(line.get(key) == want for key, want in values.items()):
                    found.append(line)
        return found

    def said(self, event: str, after: int = 0, **values: Any) -> dict[str, Any]:
        """The next line of its log of this kind, `after` so many. Raises Late."""
        lines = until(lambda: self.lines(event, **values)[after:] or None, self.text)
        return lines[0]

    def ready(self) -> tuple[int, str]:
        """Status and text of /readyz, as the kubelet would get it."""
        return self._ask("/readyz")

    def metric(self, name: str) -> float:
        """The sum of all samples of a metric."""
        samples = [line.split(" ") for line in self._ask("/metrics")[1].splitlines() if line[:1] != "#"]
        return sum(float(value) for series, value in samples if series.partition("{")[0] == name)

    def _ask(self, path: str) -> tuple[int, str]:
        def ask() -> tuple[int, str]:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with opener.open(f"http://{self.pod.ipv4}:15020{path}", timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        return self.pod.inside(ask)


class Agent:
    """A program with an SDK client inside a pod, which calls what it is told to."""

    def __init__(self, pod: Pod, python: Path, module: str, **env: str) -> None:
        self._process = pod.start(
            [python, "-m", module], uid=APPLICATION, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )

    def calls(self, url: str, *calls: tuple[str, str], mode: str = "auto") -> dict[str, Any]:
        """List the tools at `url`, then call some with words; what came of it, with `error` where it failed."""
        asked = {"key": url, "url": url, "mode": mode, "calls": [[name, {"words": w}] for name, w in calls]}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


class BackwardsServer:
    """`e2e.servers.backwards` in a pod, on every address, as the application's user."""

    def __init__(
        self,
        pod: Pod,
        python: Path,
        folder: Path,
        port: int = 9000,
        *,
        certificate: Path | None = None,
        uid: int = APPLICATION,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, APPLICATION, APPLICATION)
        self._executed = folder / "executed"
        command = [python, "-m", "e2e.servers.backwards", "--executed", self._executed, "--port", str(port)]
        self._command: list[str | Path] = [*command, "--host", "0.0.0.0", "--host", "::"]
        if certificate is not None:
            self._command += ["--certificate", certificate]
        self._pod = pod
        self._uid = uid
        self.start()

    def start(self) -> None:
        self._process = self._pod.start(self._command, uid=self._uid, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        assert announced_port(self._process.stdout.readline()) is not None

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def executed(self) -> list[str]:
        """The tools that ran, with their words."""
        return self._executed.read_text(encoding="utf-8").splitlines() if self._executed.exists() else []


@contextlib.contextmanager
def running(sidecar: PodSidecar) -> Iterator[PodSidecar]:
    """Files, identity and process of a sidecar, until the block ends."""
    sidecar.write()
    sidecar.provide()
    sidecar.start()
    try:
        yield sidecar
    finally:
        sidecar.stop()


@contextlib.contextmanager
def configured(sidecar: PodSidecar, documents: list[dict[str, Any]], **settings: Any) -> Iterator[PodSidecar]:
    """A sidecar that runs is started anew with other documents and settings, and put back at the end."""
    before = sidecar.documents, sidecar.settings
    sidecar.documents, sidecar.settings = documents, {**sidecar.settings, **settings}
    _restart(sidecar)
    try:
        yield sidecar
    finally:
        sidecar.documents, sidecar.settings = before
        _restart(sidecar)


def _restart(sidecar: PodSidecar) -> None:
    sidecar.stop()
    sidecar.write()
    sidecar.start()
