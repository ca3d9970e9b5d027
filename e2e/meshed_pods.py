"""Three pods: a client and a server with sidecars, and an attacker with nothing. Made once for a run.

The client's names for the server hold the IP version that they resolve to. `own` is a Service of the client's pod,
`elsewhere` a name that leads to the server although somebody else is meant, and `hijacked` leads to the attacker.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.authority import TrustDomain, trust_domain
from e2e.namespaces import Network, network
from e2e.pods import Agent, BackwardsServer, PodSidecar, document, redirect, running

VERSIONS = ("ipv4", "ipv6")
SERVICE = {"ipv4": "10.96.0.20", "ipv6": "fd96::20"}
CLIENT_ID, SERVER_ID, STRANGER_ID = "ns/agents/sa/client", "ns/tools/sa/server", "ns/tools/sa/stranger"
LOOP_PORTS = (15001, 15002, 15006, 15443, 15020, 7777)
HASTY = {"limits": {"connectSeconds": 0.5}}
_markers = itertools.count(1)


def marker(what: str) -> str:
    """Words that are nowhere else."""
    return f"{what}-{next(_markers):06d}-is-not-for-everyone"


def tools(*names: str) -> dict[str, list[str]]:
    return {"allow": list(names)}


def client_documents(authority: TrustDomain) -> list[dict[str, Any]]:
    """The client may use the server, and itself through its own Service."""

    def backend(name: str, host: str, port: int, identity: str) -> dict[str, Any]:
        tls = {"mode": "Mesh", "identity": str(authority.id(identity))}
        return document("Backend", name, protocol="MCP", host=host, port=port, path="/mcp", tls=tls)

    wanted = [
        *(backend(f"server-{v}", f"server.{v}.test", 9000, SERVER_ID) for v in VERSIONS),
        *(backend(f"own-{v}", f"own.{v}.test", 80, CLIENT_ID) for v in VERSIONS),
        backend("elsewhere", "elsewhere.test", 9000, STRANGER_ID),
        backend("hijacked", "hijacked.test", 9000, SERVER_ID),
        *_loops(str(authority.id(CLIENT_ID))),
    ]
    names = [one["metadata"]["name"] for one in wanted]
    outbound = [{"backend": name, "tools": tools("granted", "forbidden_here")} for name in names]
    caller = {"from": [str(authority.id(CLIENT_ID))], "mcp": {"tools": tools("granted")}}
    return [*wanted, document("AgentPolicy", "client", outbound=outbound, inbound=[caller])]


def _loops(identity: str) -> list[dict[str, Any]]:
    """Backends that are the client's own pod, with ports of its sidecar and with one of nobody."""
    modes = {"mesh": {"mode": "Mesh", "identity": identity}, "none": {"mode": "None"}}
    return [
        document(
            "Backend",
            f"loop-{mode}-{v}-{port}",
            protocol="MCP",
            host=f"loop-{mode}.{v}.test",
            port=port,
            path="/mcp",
            tls=tls,
        )
        for mode, tls in modes.items()
        for v in VERSIONS
        for port in LOOP_PORTS
    ]


def server_documents(authority: TrustDomain) -> list[dict[str, Any]]:
    """The client may call the server, and nobody else."""
    caller = {
        "from": [str(authority.id(CLIENT_ID))],
        "mcp": {"tools": tools("granted", "forbidden_there")},
    }
    return [document("AgentPolicy", "server", inbound=[caller])]


@dataclass(slots=True)
class MeshedPods:
    """Everything that runs."""

    net: Network
    authority: TrustDomain
    client: PodSidecar
    server: PodSidecar
    application: BackwardsServer
    own: BackwardsServer
    folder: Path
    python_v1: Path
    python_v2: Path
    names: dict[str, tuple[str, ...]]
    _agents: dict[tuple[str, str], Agent] = field(default_factory=dict)

    def agent(self, pod: str = "client", era: str = "auto") -> Agent:
        """An SDK client in a pod, of the 1.x line for the era of 1.x; started when it is first asked for."""
        line = "v1" if era == "v1" else "v2"
        if (pod, line) not in self._agents:
            python = self.python_v1 if line == "v1" else self.python_v2
            self._agents[pod, line] = Agent(self.net[pod], python, f"e2e.clients.sdk_{line}")
        return self._agents[pod, line]

    def call(
        self, words: str, tool: str = "granted", *, version: str = "ipv4", era: str = "auto"
    ) -> dict[str, Any]:
        """Call the server from the client's pod."""
        return self.agent(era=era).calls(f"http://server.{version}.test:9000/mcp", (tool, words), mode=era)

    def works(self, version: str = "ipv4") -> None:
        """Assert that a granted call is answered."""
        words = marker("works")
        found = self.call(words, version=version)
        assert [call.get("text") for call in found["calls"]] == [words[::-1]], (found, self.server.text())


@contextlib.contextmanager
def meshed_pods(folder: Path, python_v1: Path, python_v2: Path) -> Iterator[MeshedPods]:
    """The three pods, with everything started."""
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(network("client", "server", "attacker"))
        authority = stack.enter_context(trust_domain("mesh.test"))
        names = _name(net)
        client = PodSidecar(
            net["client"], folder / "client", authority, CLIENT_ID, client_documents(authority), HASTY
        )
        server = PodSidecar(
            net["server"], folder / "server", authority, SERVER_ID, server_documents(authority), HASTY
        )
        for sidecar in (client, server):
            redirect(sidecar.pod)
            stack.enter_context(running(sidecar))
        application = BackwardsServer(net["server"], python_v2, folder / "application")
        own = BackwardsServer(net["client"], python_v2, folder / "own")
        yield MeshedPods(
            net, authority, client, server, application, own, folder, python_v1, python_v2, names
        )


def _name(net: Network) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {"localhost": ("127.0.0.1", "::1")}
    for name, pod in net.pods.items():
        names |= {f"{name}.{version}.test": (getattr(pod, version),) for version in VERSIONS}
        names[f"{name}.test"] = (pod.ipv4, pod.ipv6)
    for version, address in SERVICE.items():
        net.service(address, 80, net["client"], 9000)
        names[f"own.{version}.test"] = (address,)
    for version, mode in itertools.product(VERSIONS, ("mesh", "none")):
        names[f"loop-{mode}.{version}.test"] = (getattr(net["client"], version),)
    names["elsewhere.test"] = (net["server"].ipv4,)
    names["hijacked.test"] = (net["attacker"].ipv4,)
    for pod in (*net.pods.values(), net.bridge):
        pod.know(names, net.bridge.ipv4)
    return names
