"""A trust domain on this machine: one SPIRE server, one node with its agent, and workloads of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from e2e.spire.agent import Agent
from e2e.spire.node import Node
from e2e.spire.server import Lifetimes, Server
from e2e.spire.workload import own_python, selectors
from mesh.identity.ca import Authority


class Domain:
    """What `running` started."""

    def __init__(self, name: str, folder: Path, server: Server, agent: Agent, node: Node) -> None:
        self.name = name
        self.folder = folder
        self.server = server
        self.agent = agent
        self.node = node

    def workload(self, name: str, *, registered: bool = True, federated: tuple[str, ...] = ()) -> Path:
        """A Python of its own, whose processes are the workload `name`."""
        python = own_python(self.folder / f"python-{name}")
        if registered:
            self.register(name, python, federated=federated)
        return python

    def register(self, name: str, python: Path, *, federated: tuple[str, ...] = ()) -> None:
        """Let the processes of `python` be the workload `name`."""
        self.server.register(self.id(name), self.node, *selectors(python), federated=federated)

    def id(self, name: str) -> str:
        """The SPIFFE ID of the workload `name`."""
        return f"spiffe://{self.name}/ns/agents/sa/{name}"


@contextlib.contextmanager
def running(
    name: str, folder: Path, lifetimes: Lifetimes | None = None, root: Authority | None = None
) -> Iterator[Domain]:
    """Start a server and an agent for the trust domain `name`. Raises Unavailable or DidNotStart."""
    folder = folder / name
    node = Node(folder / "node")
    server = Server(folder / "server", name, node, lifetimes or Lifetimes(), root)
    with server:
        with Agent(folder / "agent", server, node) as agent:
            yield Domain(name, folder, server, agent, node)
