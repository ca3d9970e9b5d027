"""A chain of agents with their sidecars: user -> orchestrator -> worker -> crm, and an authorization server.

    user --token--> [sidecar] orchestrator --handle--> [sidecar] ==mTLS== [sidecar] worker --handle--> [sidecar]
                                                                                         ==mTLS== [sidecar] crm

Everything is on loopback: agents reach their sidecar through HTTP_PROXY, sidecars find each other by `connect`,
and the trust domain's Workload API is in the test's own process. The agents are programs of the MCP SDK and hold
nothing; `crm` is one that verifies the tokens that it gets.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e import environments, sidecars
from e2e.authority import TrustDomain, trust_domain
from e2e.oauth.agent import Forward
from e2e.oauth.chain_documents import GATEWAY, PORT, SCOPES, Place, clients, documents, places, resource
from e2e.oauth.mesh_client import mesh_context
from e2e.oauth.ready import inbound_port
from e2e.oauth.running import OAuthServer, WebAuthority, oauth_server, web_authority
from e2e.pods import until
from e2e.processes import announced_port, environment, spawn
from e2e.sidecars import NAMESPACE, Sidecar
from mesh.identity.bundle_document import write_jwks

DOMAIN = "mesh.test"


@dataclass(slots=True)
class Workload:
    """One place in the chain: its sidecar, and the application's process id where it is an agent."""

    name: str
    sidecar: Sidecar
    inbound: int
    pid: int | None = None

    @property
    def url(self) -> str:
        """Where somebody without a sidecar reaches it by mutual TLS."""
        return f"https://127.0.0.1:{self.inbound}/mcp"

    def decisions(self, direction: str) -> list[dict[str, Any]]:
        """The audit lines of one direction, so far."""
        return self._lines(event="decision", direction=direction)

    def said(self, **values: str) -> dict[str, Any]:
        """The last line of its log with these values; lines are on their way for a moment. Raises Late."""
        lines = until(
            lambda: self._lines(**values) or None, lambda: self.sidecar.log.read_text(encoding="utf-8")
        )
        return lines[-1]

    def _lines(self, **values: str) -> list[dict[str, Any]]:
        return [line for line in self.sidecar.lines() if values.items() <= line.items()]


@dataclass(slots=True)
class Chain:
    """Everything that runs. `workloads` by name."""

    oauth: OAuthServer
    domain: TrustDomain
    authority: WebAuthority
    folder: Path
    workloads: dict[str, Workload] = field(default_factory=dict)

    def sign_in(self, subject: str = "alice", **wanted: Any) -> str:
        """A user's token for the orchestrator."""
        usual = {"aud": resource("orchestrator"), "scope": " ".join(SCOPES), "client_id": "web"}
        return self.oauth.sign_in(**{"sub": subject, **usual, **wanted})

    def spiffe_id(self, name: str) -> str:
        return str(self.domain.id(f"ns/{NAMESPACE}/sa/{name}"))

    def gateway(self) -> ssl.SSLContext:
        """For the users' client."""
        return mesh_context(self.domain, f"ns/{NAMESPACE}/sa/{GATEWAY}", self.folder)

    def agents(self) -> dict[str, int]:
        """The process ids of those that must hold no token."""
        return {name: each.pid for name, each in self.workloads.items() if each.pid is not None}


@contextlib.contextmanager
def chain(
    folder: Path,
    *,
    forward: Forward = Forward.AUTHORIZATION,
    changed: dict[str, dict[str, Any]] | None = None,
    a2a: bool = False,
) -> Iterator[Chain]:
    """Run all of it.

    `forward`: what agents send on. `changed`: per workload, members of `users`, or `credential`, instead of ours.
    `a2a`: the agents speak that to each other.
    Raises Unavailable or DidNotStart.
    """
    authority = web_authority(folder)
    # Applications start while the next sidecar does; the stack ends what was started, so the pool is done first.
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        domain = stack.enter_context(trust_domain(DOMAIN))
        bundle = folder / "bundle.json"
        bundle.write_bytes(write_jwks({key.key_id: key.public for key in domain.registry.jwt_keys}))
        known = clients(lambda name: str(domain.id(f"ns/{NAMESPACE}/sa/{name}")))
        described = {"clients": known, "bundles": {DOMAIN: str(bundle)}}
        oauth = stack.enter_context(oauth_server(folder / "oauth", authority, **described))
        made = Chain(oauth, domain, authority, folder)
        starting = []
        for place in places(a2a=a2a):
            port = _free_port()
            sidecar = stack.enter_context(_sidecar(made, place, port, (changed or {}).get(place.name, {})))
            made.workloads[place.name] = Workload(place.name, sidecar, inbound_port(sidecar))
            application = _application(made, place, port, forward)
            starting.append((place.name, pool.submit(stack.enter_context, application)))
        for name, started in starting:
            made.workloads[name].pid = started.result()
        yield made


def agent(place: Place, next_one: str, forward: Forward) -> list[str | Path]:
    """The program of an agent."""
    options = ["--name", place.name, "--next", next_one, "--tool", place.tool, "--forward", forward.value]
    if not (place.serves_a2a or place.calls_a2a):
        return [environments.python_with_mcp_v2(), "-m", "e2e.oauth.agent", *options]
    role = [
        "--role",
        "server" if place.serves_a2a else "client",
        "--own-url",
        f"http://{place.name}.test:{PORT}",
    ]
    return [environments.python_with_a2a(), "-m", "e2e.oauth.a2a_agent", *options, *role]


def _crm(made: Chain) -> list[str | Path]:
    options = ["--resource", resource("crm"), "--issuer", made.oauth.issuer, "--jwks", made.oauth.jwks_uri]
    python = environments.python_with_mcp_v2()
    return [python, "-m", "e2e.oauth.whoami_server", *options, "--roots", made.authority.roots]


@contextlib.contextmanager
def _application(made: Chain, place: Place, port: int, forward: Forward) -> Iterator[int | None]:
    """After its sidecar, because an agent has to know that when it starts. Yields the process id of an agent."""
    listen = ["--port", str(port)]
    if place.next_one is None:
        with spawn([*_crm(made), *listen], announced_port):
            yield None
    else:
        command = agent(place, resource(place.next_one), forward)
        env = environment(HTTP_PROXY=made.workloads[place.name].sidecar.proxy)
        with spawn([*command, *listen], _agent_ready(), env=env) as (pid, _):
            yield pid


@contextlib.contextmanager
def _sidecar(made: Chain, place: Place, port: int, changed: dict[str, Any]) -> Iterator[Sidecar]:
    folder = made.folder / place.name
    folder.mkdir()
    endpoint = folder / "agent.sock"
    made.domain.serve(endpoint, f"ns/{NAMESPACE}/sa/{place.name}", os.getuid())
    connect = {f"{name}.test:{PORT}": f"127.0.0.1:{each.inbound}" for name, each in made.workloads.items()}
    with sidecars.running(
        folder,
        documents(place, made.oauth.issuer, made.spiffe_id, changed),
        agent={"namespace": NAMESPACE, "name": place.name, "labels": {"app": place.name}},
        identity={"provider": "workload-api", "socket": f"unix://{endpoint}"},
        listen={"forward": "127.0.0.1:0", "inbound": "127.0.0.1:0", "telemetry": None},
        application={"host": "127.0.0.1", "ports": [port]},
        authorities=str(made.authority.roots),
        connect=connect,
        log={"decisions": "all"},
    ) as sidecar:
        yield sidecar


def _agent_ready() -> Callable[[str], tuple[int, int] | None]:
    """Of the two lines of an agent, its process id and its port."""
    pids: list[int] = []

    def ready(line: str) -> tuple[int, int] | None:
        with contextlib.suppress(json.JSONDecodeError):
            value = json.loads(line)
            if isinstance(value, dict) and "pid" in value:
                pids.append(value["pid"])
        port = announced_port(line)
        return None if port is None else (pids[0], port)

    return ready


def _free_port() -> int:
    """A port that was free a moment ago, and that no ephemeral connection gets: below their range."""
    while True:
        port = random.randint(20000, 30000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
