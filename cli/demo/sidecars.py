"""The sidecars of the demo: the file that each reads, and what its log tells.

A sidecar beside an agent listens as the agent's HTTP proxy (`forward`); one beside a server listens for mutual
TLS (`inbound`). It is one program; which of the two it does is a matter of its file.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cli.demo.cast import Workload
from cli.demo.certificates import public_root, trust_folder
from cli.demo.control import pod_uid, roots, token_file
from cli.demo.processes import Part, PartFailed, Parts, Record

READY_SECONDS = 5.0
LOG_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Role:
    """What one sidecar is for. `forward` and `inbound` are loopback ports; None switches a listener off."""

    workload: Workload
    forward: int | None = None
    inbound: int | None = None
    application: int | None = None
    """The port of the server that inbound traffic is for."""
    looks_into_https: bool = False
    """Whether it ends the TLS of its agent to declared hosts, and makes its own with their servers."""
    hidden: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Variables of the agent that hold placeholders, by placeholder; in a pod admission writes them."""
    connect: dict[str, int] = field(default_factory=dict)
    """Loopback ports that stand for `host:port` names, in place of the cluster's DNS."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where sidecars get what they need: the URL of the control plane, and the folder of the identity sockets."""

    control: str
    sockets: Path


def socket_of(sockets: Path, workload: Workload) -> Path:
    """Where the identity server answers one workload, and nobody else."""
    return sockets / f"{workload.name}.sock"


def configuration(role: Role, folder: Path, sources: Sources) -> dict[str, Any]:
    """The sidecar's file; in a pod the same keys come from variables that admission sets."""
    workload = role.workload
    told: dict[str, Any] = {
        "agent": {
            "namespace": workload.namespace,
            "name": workload.name,
            "labels": {"app": workload.name},
            "uid": pod_uid(workload),
        },
        "identity": {"provider": "workload-api", "socket": f"unix://{socket_of(sources.sockets, workload)}"},
        "control": {
            "url": sources.control,
            "roots": roots(folder),
            "token": str(token_file(folder, workload)),
        },
        "listen": {
            "forward": _address(role.forward),
            "inbound": _address(role.inbound),
            "telemetry": "127.0.0.1:0",
        },
        "application": {"ports": [] if role.application is None else [role.application]},
        "connect": {name: _address(port) for name, port in role.connect.items()},
        "log": {"decisions": "all"},
    }
    if role.looks_into_https:
        told["interception"] = {"directory": str(trust_folder(folder, workload))}
        told["authorities"] = str(public_root(folder))
    if role.hidden:
        told["hiddenSecrets"] = role.hidden
    return told


def proxy_variables(port: int | None) -> dict[str, str]:
    """How a container is told of its proxy at a loopback port."""
    proxy = f"http://{_address(port)}"
    return {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}


def _address(port: int | None) -> str | None:
    return None if port is None else f"127.0.0.1:{port}"


class Sidecar:
    """A sidecar that is ready, and its log."""

    def __init__(self, role: Role, part: Part, ready: Record) -> None:
        self.role = role
        self.telemetry: str = ready["telemetry"]
        self._part = part

    @classmethod
    async def start(cls, parts: Parts, role: Role, folder: Path, sources: Sources) -> Sidecar:
        """Write its file, run it, and return when it is ready by its own word. Raises PartFailed."""
        name = f"sidecar-{role.workload.name}"
        file = folder / f"{name}.yaml"
        file.write_text(
            yaml.safe_dump(configuration(role, folder, sources), sort_keys=False), encoding="utf-8"
        )
        part = await parts.start(name, "sidecar", "--config", str(file))
        sidecar = cls(role, part, await part.find(lambda record: record.get("event") == "ready"))
        await sidecar._check_ready()
        return sidecar

    async def _check_ready(self) -> None:
        try:
            answer = str((await http_get(self.telemetry, "/readyz"))[0])
        except OSError as error:
            answer = repr(error)
        if answer != "200":
            raise PartFailed(self._part.name, f"said that it is ready, but /readyz answers {answer}", "")

    @property
    def variables(self) -> dict[str, str]:
        """How the container beside it is told of its proxy."""
        return proxy_variables(self.role.forward)

    @property
    def log(self) -> list[Record]:
        """Every line of its log so far."""
        return self._part.records

    @property
    def lines(self) -> list[str]:
        """The same as text."""
        return self._part.lines

    async def metric(self, sample: str) -> float:
        """A sample of its metrics, by name and labels as they are exposed; 0 where there is none."""
        _, text = await http_get(self.telemetry, "/metrics")
        found = [line for line in text.splitlines() if line.startswith(f"{sample} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    @property
    def identities(self) -> list[Record]:
        """The log lines of each SVID that it was given so far."""
        return [record for record in self.log if record.get("event") == "identity"]

    @property
    def configurations(self) -> list[Record]:
        """The log lines of each configuration that it has put in force so far."""
        return [record for record in self.log if record.get("event") == "configuration"]

    async def logged(self, times: int = 1, /, **fields: Any) -> Record:
        """The log line, past or to come, that has these fields for the `times`th time; empty if none comes.

        A log line may come a moment after the answer that it is about, because lines are written in batches.
        """
        try:
            return await self._part.find(lambda record: has(record, fields), within=LOG_SECONDS, number=times)
        except PartFailed:
            return {}


def has(record: Record, fields: Record) -> bool:
    """Whether `record` holds all of `fields`."""
    return all(record.get(name) == value for name, value in fields.items())


async def http_get(address: str, path: str) -> tuple[int, str]:
    """Status and body of one plain GET at `host:port`. Raises OSError, and TimeoutError when nothing answers."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(READY_SECONDS):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body
