"""Everything that runs in the demo, started at once where nothing depends on anything else.

    agent's client --HTTP_PROXY--> its sidecar ==mutual TLS==> sidecar of notes ---> notes (MCP server)
    impostor's client ------------> its sidecar ==mutual TLS==> sidecar of notes
                  the agent's sidecar ==mutual TLS==> sidecar of fake-notes (at the address of notes-spare)
    a client beside the server ----------------------------------------------------> notes
    agent's client --HTTP_PROXY--> its sidecar -------------------------------------> tickets (MCP server)
    agent's client --HTTPS_PROXY, TLS--> its sidecar ==its own TLS==> notes.example.com (MCP server, HTTPS)
    users -> the portal's sidecar ==mutual TLS==> sidecar of helpdesk -> helpdesk (agent): see cli.demo.desk

Each sidecar takes its identity from the embedded identity server, at a Unix socket of its own, as it would from
SPIRE; and its configuration from the control plane, which serves what the policy files say.
"""

from __future__ import annotations

import contextlib
import random
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.demo.cast import (
    CODE_HOST,
    FAKE_NOTES,
    HELPDESK,
    HELPDESK_HOST,
    IMPOSTOR,
    LOGIN_HOST,
    NOTES,
    NOTES_HOST,
    PASTE_HOST,
    PORT,
    PORTAL,
    PUBLIC_HOST,
    PUBLIC_PORT,
    SPARE_HOST,
    TICKETS_HOST,
    TRIAGE,
    TRUST_DOMAIN,
    WORKLOADS,
)
from cli.demo.certificates import bundle, make_public, public_certificate, public_key, public_root
from cli.demo.control import ControlPlane
from cli.demo.desk import Desk, hidden, make_secret, start_agent
from cli.demo.documents import policy_file, policy_folder, replace_policy, write_policies
from cli.demo.issuer import Issuer
from cli.demo.outside import Witness, serve
from cli.demo.processes import Part, Parts, together
from cli.demo.sidecars import Role, Sidecar, Sources, proxy_variables, socket_of
from cli.demo.visits import Program, Visitor

Started = Callable[[str], None]
"""Told of each part that has started, in words."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports that were free a moment ago."""

    notes: int
    notes_mtls: int
    fake_mtls: int
    triage_proxy: int
    impostor_proxy: int
    public: int
    portal_proxy: int
    helpdesk_mtls: int
    helpdesk_proxy: int
    helpdesk: int
    login: int
    code: int
    paste: int
    tickets: int

    @classmethod
    def free(cls) -> Ports:
        """Taken all at once, so that no two are the same."""
        with contextlib.ExitStack() as taken:
            return cls(*(_free_port(taken) for _ in cls.__dataclass_fields__))


_CANDIDATES = range(20000, 32000)
"""Below the ports that Linux gives to outgoing connections, of which there are many until a part listens."""


def _free_port(taken: contextlib.ExitStack) -> int:
    """One that can be listened at, and is held until `taken` lets go. Raises OSError where there is none."""
    for port in random.sample(_CANDIDATES, 100):
        with contextlib.suppress(OSError):
            taken.enter_context(socket.create_server(("127.0.0.1", port)))
            return port
    raise OSError("no loopback port is free")


@dataclass(frozen=True, slots=True)
class Stage:
    """The demo's processes, all of them ready."""

    ports: Ports
    folder: Path
    identity: Part
    control: ControlPlane
    triage: Sidecar
    notes: Sidecar
    impostors: Sidecar
    fake_notes: Sidecar
    agent: Program
    """All that it knows of Outrider are proxies and SSL_CERT_FILE, which admission sets in a pod."""
    impostor: Program
    desk: Desk
    tickets: Part
    neighbour: Program
    """Beside the server, with no proxy and no identity."""

    @property
    def direct(self) -> str:
        """The MCP server itself, as only its own pod reaches it."""
        return f"http://127.0.0.1:{self.ports.notes}/mcp"

    @property
    def public(self) -> str:
        """The public server itself, asked past every sidecar."""
        return f"https://127.0.0.1:{self.ports.public}/mcp"

    @property
    def tickets_direct(self) -> str:
        """The server with the tickets, asked past every sidecar."""
        return f"http://127.0.0.1:{self.ports.tickets}/mcp"

    def change_tickets(self) -> None:
        """Have that server say something else of one of its tools."""
        self.tickets.signal(signal.SIGHUP)

    def policy(self) -> str:
        """The agent's policy file."""
        return policy_file(self.folder, TRIAGE).read_text(encoding="utf-8")

    def change_policy(self, text: str) -> None:
        """Save the agent's policy file with another text."""
        replace_policy(self.folder, TRIAGE, text)

    @property
    def sidecars(self) -> tuple[Sidecar, ...]:
        """All of them."""
        return (self.triage, self.notes, self.impostors, self.fake_notes, self.desk.sidecar, self.desk.portal)

    def rotate(self) -> None:
        """Have the identity server give everybody a new SVID now, long before the old ones end."""
        self.identity.signal(signal.SIGHUP)


def roles(ports: Ports, folder: Path) -> tuple[Role, ...]:
    """The sidecars: triage, notes, impostor, fake-notes, helpdesk, portal."""
    notes, spare = f"{NOTES_HOST}:{PORT}", f"{SPARE_HOST}:{PORT}"
    names = {notes: ports.notes_mtls, spare: ports.fake_mtls, f"{PUBLIC_HOST}:{PUBLIC_PORT}": ports.public}
    tickets = {f"{TICKETS_HOST}:{PORT}": ports.tickets}
    outside = {LOGIN_HOST: ports.login, CODE_HOST: ports.code, PASTE_HOST: ports.paste}
    return (
        Role(TRIAGE, forward=ports.triage_proxy, connect=names | tickets, looks_into_https=True),
        Role(NOTES, inbound=ports.notes_mtls, application=ports.notes),
        Role(IMPOSTOR, forward=ports.impostor_proxy, connect=names),
        # Behind it the real server answers: but for the identity, the fake would work.
        Role(FAKE_NOTES, inbound=ports.fake_mtls, application=ports.notes),
        Role(
            HELPDESK,
            forward=ports.helpdesk_proxy,
            inbound=ports.helpdesk_mtls,
            application=ports.helpdesk,
            looks_into_https=True,
            hidden=hidden(folder),
            connect={notes: ports.notes_mtls}
            | {f"{host}:{PUBLIC_PORT}": port for host, port in outside.items()},
        ),
        Role(PORTAL, forward=ports.portal_proxy, connect={f"{HELPDESK_HOST}:{PORT}": ports.helpdesk_mtls}),
    )


async def open_stage(
    parts: Parts, folder: Path, sockets: Path, policies: Mapping[str, str], started: Started
) -> Stage:
    """Start everything; returns when all of it is ready. Raises PartFailed."""
    write_policies(folder, policies)
    make_public(folder)
    secret = make_secret(folder)
    ports = Ports.free()
    opening = _Opening(parts, folder, sockets, started)
    async with together() as group:
        opened = group.create_task(opening.sources_and_sidecars(roles(ports, folder)))
        visitor = group.create_task(Visitor.start(parts))
        serving = group.create_task(opening.notes(ports.notes))
        outside = group.create_task(opening.outside(ports))
        helping = group.create_task(opening.helpdesk(ports))
        ticketing = group.create_task(opening.tickets(ports.tickets))
        group.create_task(opening.public(ports.public))
    identity, control, (triage, notes, impostor, fake_notes, helpdesk, portal) = opened.result()
    client = visitor.result()
    issuer, code, paste = outside.result()
    issuer.trust((await identity.find(lambda record: record.get("event") == "ready"))["jwtKeys"])
    return Stage(
        ports,
        folder,
        identity,
        control,
        triage,
        notes,
        impostor,
        fake_notes,
        agent=Program(client, {**triage.variables, "SSL_CERT_FILE": str(bundle(folder, TRIAGE))}),
        impostor=Program(client, {**impostor.variables, "SSL_CERT_FILE": str(public_root(folder))}),
        desk=Desk(issuer, code, paste, helping.result(), helpdesk, portal, serving.result(), secret),
        tickets=ticketing.result(),
        neighbour=Program(client, {"SSL_CERT_FILE": str(public_root(folder))}),
    )


class _Opening:
    """Starts the parts, and tells of each."""

    def __init__(self, parts: Parts, folder: Path, sockets: Path, started: Started) -> None:
        self._parts = parts
        self._folder = folder
        self._sockets = sockets
        self._started = started

    async def sources_and_sidecars(
        self, wanted: tuple[Role, ...]
    ) -> tuple[Part, ControlPlane, list[Sidecar]]:
        """First who gives identities and configurations, then who asks for them."""
        async with together() as group:
            vouching, serving = group.create_task(self._identity()), group.create_task(self._control())
        control = serving.result()
        sources = Sources(control.url, self._sockets)
        async with together() as group:
            tasks = [group.create_task(self._sidecar(role, sources)) for role in wanted]
        control.check_read()
        return vouching.result(), control, [task.result() for task in tasks]

    async def _control(self) -> ControlPlane:
        control = await ControlPlane.start(self._parts, self._folder, policy_folder(self._folder))
        self._started(f"control plane, which serves what the policy files say: {control.url}")
        return control

    async def _identity(self) -> Part:
        named = [f"{one.spiffe_id}={socket_of(self._sockets, one)}" for one in WORKLOADS]
        options = [option for name in named for option in ("--workload", name)]
        part = await self._parts.start(
            "identity", "webhook.identity", "--trust-domain", TRUST_DOMAIN, *options
        )
        await part.find(lambda record: record.get("event") == "ready")
        self._started(f"identity server of the trust domain {TRUST_DOMAIN}: {len(WORKLOADS)} workloads")
        return part

    async def _sidecar(self, role: Role, sources: Sources) -> Sidecar:
        sidecar = await Sidecar.start(self._parts, role, self._folder, sources)
        does = "mutual TLS in front of its server" if role.inbound else "HTTP proxy of its agent"
        if role.inbound and role.forward:
            does = "both, for an agent that others call"
        port = role.inbound or role.forward
        self._started(f"sidecar of {role.workload.name}: {does}, 127.0.0.1:{port}, /readyz answers 200")
        return sidecar

    async def notes(self, port: int) -> Part:
        hosts = [
            option for host in (NOTES_HOST, SPARE_HOST) for option in ("--host-header", f"{host}:{PORT}")
        ]
        part = await self._parts.start("notes", "cli.demo.notes", "--port", str(port), *hosts)
        await part.find(lambda record: record.get("event") == "ready")
        self._started(f"MCP server notes, of the mcp SDK: plain HTTP, 127.0.0.1:{port}")
        return part

    async def tickets(self, port: int) -> Part:
        part = await self._parts.start(
            "tickets", "cli.demo.tickets", "--port", str(port), "--host-header", f"{TICKETS_HOST}:{PORT}"
        )
        await part.find(lambda record: record.get("event") == "ready")
        self._started(f"MCP server tickets, without a sidecar: plain HTTP, 127.0.0.1:{port}")
        return part

    async def outside(self, ports: Ports) -> tuple[Issuer, Witness, Witness]:
        """Whom the helpdesk's sidecar asks for tokens, and two services that see what is sent to them."""
        issuer, code, paste = Issuer(), Witness(), Witness()
        for one, port in ((issuer, ports.login), (code, ports.code), (paste, ports.paste)):
            await serve(self._parts, one.application(), self._folder, port)
        self._started(f"stand-in for an authorization server, {LOGIN_HOST}: HTTPS, 127.0.0.1:{ports.login}")
        return issuer, code, paste

    async def helpdesk(self, ports: Ports) -> Part:
        proxy = proxy_variables(ports.helpdesk_proxy)
        trust = {"SSL_CERT_FILE": str(bundle(self._folder, HELPDESK))}
        part = await start_agent(self._parts, ports.helpdesk, {**proxy, **trust})
        self._started(f"agent helpdesk, of the mcp SDK: plain HTTP, 127.0.0.1:{ports.helpdesk}")
        return part

    async def public(self, port: int) -> None:
        options = [
            *("--host-header", PUBLIC_HOST, "--certificate", str(public_certificate(self._folder))),
            *("--key", str(public_key(self._folder))),
        ]
        part = await self._parts.start("public", "cli.demo.notes", "--port", str(port), *options)
        await part.find(lambda record: record.get("event") == "ready")
        self._started(f"MCP server {PUBLIC_HOST}, another of them: HTTPS, 127.0.0.1:{port}")
