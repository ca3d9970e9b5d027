"""Starts the sidecar as an agent's pod would have it: a process with a plain configuration file.

The policy is written here as the documents that a user writes, so that these tests are also a test of those.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.processes import spawn

VERSION = "outrider.dev/v1alpha1"
NAMESPACE = "agents"
LABELS = {"app": "e2e"}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar: its forward proxy and its log of one JSON object per line."""

    forward: tuple[str, int]
    log: Path

    @property
    def proxy(self) -> str:
        """What HTTP_PROXY is set to."""
        return f"http://{self.forward[0]}:{self.forward[1]}"

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; lines that are no JSON objects are left out."""
        found = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                value = json.loads(line)
                if isinstance(value, dict):
                    found.append(value)
        return found


def missing() -> str | None:
    """Why the sidecar cannot be started here, or None."""
    return None if importlib.util.find_spec("sidecar.__main__") else "the sidecar has no __main__"


def backend(
    name: str, port: int, path: str = "/mcp", *, protocol: str = "MCP", host: str = "localhost"
) -> Any:
    """A Backend document for a server on this machine."""
    spec = {"protocol": protocol, "host": host, "port": port, "path": path, "tls": {"mode": "None"}}
    return {"apiVersion": VERSION, "kind": "Backend", "metadata": _metadata(name), "spec": spec}


def policy(*outbound: Mapping[str, Any], egress: str = "deny", mode: str = "enforce") -> Any:
    """An AgentPolicy document for the agent of these tests."""
    spec = {
        "selector": {"matchLabels": LABELS},
        "mode": mode,
        "egress": egress,
        "outbound": [dict(rule) for rule in outbound],
    }
    return {"apiVersion": VERSION, "kind": "AgentPolicy", "metadata": _metadata("e2e"), "spec": spec}


def allow_all(name: str) -> dict[str, Any]:
    """An outbound rule that grants an MCP Backend whole, methods of later revisions and extensions included."""
    everything = {kind: {"allow": ["*"]} for kind in ("tools", "prompts", "resources")}
    return {"backend": name, **everything, "unknownMethods": "allow"}


def _metadata(name: str) -> dict[str, str]:
    return {"name": name, "namespace": NAMESPACE}


@contextlib.contextmanager
def running(
    folder: Path,
    documents: list[Any],
    *,
    enter: Callable[[list[str | Path]], Sequence[str | Path]] = list,
    **settings: Any,
) -> Iterator[Sidecar]:
    """Start `python -m sidecar` with these policy documents; `settings` replace parts of the configuration.

    `enter`: what runs a command elsewhere, such as in a pod.
    Raises DidNotStart with what it printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policies.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    configuration = {
        "agent": {"namespace": NAMESPACE, "name": "e2e", "labels": LABELS},
        "identity": {"provider": "none"},
        "listen": {"forward": "127.0.0.1:0", "inbound": None, "telemetry": None},
        "policies": ["policies.yaml"],
        "log": {"decisions": "refused"},
        **settings,
    }
    file = folder / "sidecar.yaml"
    file.write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")
    log = folder / "sidecar.log"
    command = [sys.executable, "-m", "sidecar", "--config", file]
    with spawn(enter(command), _ready, on="stderr", log=log) as forward:
        yield Sidecar(forward, log)


def _ready(line: str) -> tuple[str, int] | None:
    """The forward address in the line whose event is "ready"."""
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return None
    if not isinstance(value, dict) or value.get("event") != "ready":
        return None
    host, _, port = value["forward"].rpartition(":")
    return host, int(port)
