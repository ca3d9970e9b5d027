"""Sidecars that SPIRE attests by their binary: each has a Python of its own, so each is another workload.

All run as one user. What tells them apart is `unix:path`, the program that the kernel says the process runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from e2e.processes import environment
from e2e.spire.daemon import WAIT_SECONDS, Daemon, free_port

ASK_SECONDS = 5


def own_python(folder: Path) -> Path:
    """A copy of this Python in `folder`, with the packages of the running one."""
    command = [sys.executable, "-m", "venv", "--copies", "--without-pip", folder]
    subprocess.run([str(part) for part in command], check=True, timeout=60)
    return folder / "bin" / Path(sys.executable).name


def with_packages() -> dict[str, str]:
    """The environment in which such a copy finds the packages of the running Python."""
    found = environment()
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    found["PYTHONPATH"] = os.pathsep.join([found["PYTHONPATH"], *sorted(packages)])
    return found


def selectors(python: Path) -> tuple[str, ...]:
    """What the agent's unix attestor finds out about a process of this Python."""
    return f"unix:uid:{os.getuid()}", f"unix:path:{python.resolve()}"


class Sidecar(Daemon):
    """`python -m sidecar` of one workload, with identity from the Workload API at `endpoint`."""

    def __init__(
        self, folder: Path, python: Path, endpoint: str, documents: list[Any], **settings: Any
    ) -> None:
        folder.mkdir(parents=True)
        (folder / "policies.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
        self.telemetry = free_port()
        configuration = {
            "agent": {"namespace": "agents", "name": folder.name},
            "identity": {"provider": "workload-api", "socket": endpoint},
            "policies": ["policies.yaml"],
            "log": {"decisions": "refused"},
            **settings,
        }
        configuration["listen"] = {
            "forward": None,
            "inbound": None,
            **settings.get("listen", {}),
            "telemetry": f"127.0.0.1:{self.telemetry}",
        }
        file = folder / "sidecar.yaml"
        file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        command = [python, "-m", "sidecar", "--config", file]
        super().__init__(command, folder / "sidecar.log", with_packages())

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one kind, so far."""
        found = []
        for line in self.text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                value = json.loads(line)
                if value.get("event") == event:
                    found.append(value)
        return found

    def address(self, listener: str, seconds: float = WAIT_SECONDS) -> str:
        """Where it listens; waits until the sidecar says that it is ready."""
        ready = self.until(lambda: next(iter(self.lines("ready")), None), "not ready", seconds)
        return str(ready[listener])

    def ready(self) -> tuple[int, list[str]]:
        """The status of /readyz and the codes of its reasons."""
        status, body = self._ask("/readyz")
        return status, [reason["code"] for reason in json.loads(body)["reasons"]]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of a metric that have these labels."""
        total = 0.0
        for line in self._ask("/metrics")[1].splitlines():
            sample, _, value = line.rpartition(" ")
            family, _, rest = sample.partition("{")
            if family == name and all(f'{key}="{want}"' in rest for key, want in labels.items()):
                total += float(value)
        return total

    def rotations(self) -> int:
        """How many identities it has been given."""
        return int(self.metric("outrider_identity_rotations_total"))

    def _ask(self, path: str) -> tuple[int, str]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.telemetry}{path}", timeout=ASK_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
