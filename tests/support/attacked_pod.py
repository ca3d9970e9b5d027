"""A pod under attack: whoever attacks writes raw bytes, and at the end nothing secret may have been told.

Its agent works for alice, bob and whoever else calls. Behind it are a server that gets exchanged tokens, one that
gets none, and a trap, which a test finds out about when anything knocks at it.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from mesh.policy.compile import compile_policy
from mesh.policy.decide import Policy
from mesh.policy.load import load_texts
from sidecar.app import Sidecar
from sidecar.credentials.assembly import assembled
from tests.support.fakes import Lines
from tests.support.idp import AGENT, Idp, idp
from tests.support.loopback import (
    Backend,
    Client,
    Script,
    answering,
    call,
    client_of,
    json_answer,
    result,
    serving,
)
from tests.support.meshed import TRIAGE, Published, new_mesh
from tests.support.peer import Peer, connect
from tests.support.running import running

CALLER = "spiffe://test.mesh/ns/agents/sa/front"
OK = json_answer(result({"content": []}))
USERS = "{issuers: [{issuer: ISSUER, audiences: ['AGENT']}], bypass: [/healthz, '/public/*']}"
EXCHANGE = "{exchange: {issuer: ISSUER, audience: crm, client: {method: none, id: triage}}}"
POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm}
spec: {protocol: MCP, host: 127.0.0.1, port: PORT, path: /mcp, tls: {mode: None}, credential: CREDENTIAL}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: trap}
spec: {protocol: HTTP, host: localhost, port: TRAP, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  users: USERS
  outbound:
  - {backend: crm, tools: {allow: ["*"]}}
  - {backend: trap}
  inbound:
  - from: ["*"]
    http: {allow: true}
"""


class Ahead:
    """The clock of everything about credentials: the real one, moved on by `seconds`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return time.time() + self.seconds


class KeptLines(Lines):
    """In the place of the whole log."""

    def close(self) -> None: ...


@dataclass
class AttackedPod:
    """`got`, `sent` and `trapped`: what application, server and trap saw, head and body of each request."""

    sidecar: Sidecar
    idp: Idp
    caller: Peer
    agent: Client
    server: Backend
    got: list[tuple[bytes, bytes]]
    sent: list[tuple[bytes, bytes]]
    trapped: list[tuple[bytes, bytes]]
    trap: str
    text: str
    bound: dict[str, int]
    lines: KeptLines
    clock: Ahead
    shown: list[bytes] = field(default_factory=list)
    """All that the agent was answered."""

    # Callers.

    async def knock(self, start: str, *fields: str) -> bytes:
        """What a caller gets for a request with these lines."""
        lines = "".join(f"{line}\r\n" for line in ("host: agent", *fields))
        self.caller.received = b""
        self.caller.transport.write(f"{start} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        head = await self.caller.head()
        found = re.search(rb"content-length: (\d+)", head)
        async with asyncio.timeout(60):
            while len(self.caller.received.partition(b"\r\n\r\n")[2]) < int(found[1] if found else 0):
                await asyncio.sleep(0.002)
        return self.caller.received

    async def ask(self, user: str = "alice", *fields: str, **claims: Any) -> str:
        """A user calls; the handle that the application got."""
        bearer = f"authorization: Bearer {self.idp.token(user, **claims)}"
        assert (await self.knock("GET /ask", bearer, *fields)).startswith(b"HTTP/1.1 200")
        return self.held(-1)

    def held(self, number: int) -> str:
        """The handle that the application got with its `number`th request."""
        found = re.search(rb"\r\nauthorization: Bearer (\S+)\r\n", self.got[number][0])
        assert found is not None
        return found[1].decode()

    # The agent.

    async def send(self, *fields: str, path: str = "/mcp", to: str | None = None) -> tuple[int, bytes, Any]:
        """A tool call of the agent with these header lines: status, head as text, document or body."""
        where = to or f"127.0.0.1:{self.server.port}"
        body = json.dumps(call("search")).encode()
        lines = (
            f"host: {where}",
            "content-type: application/json",
            "accept: application/json, text/event-stream",
            f"content-length: {len(body)}",
            *fields,
        )
        head = "".join(f"{line}\r\n" for line in lines)
        await self.agent.send(f"POST http://{where}{path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        status, answered, document = await self.agent.answer()
        told = repr(answered).encode()
        self.shown += [told, document]
        return status, told, json.loads(document) if document.startswith(b"{") else document

    async def reason(self, *fields: str, **how: Any) -> str | None:
        """Why such a call was refused; None where it was not."""
        _, _, document = await self.send(*fields, **how)
        if not isinstance(document, dict):
            return None
        error = document.get("error")
        told = error.get("data", {}).get("reason") if isinstance(error, dict) else document.get("reason")
        return None if told is None else str(told)

    @property
    def authorizations(self) -> list[str]:
        """What the server saw in Authorization, all of it, request by request."""
        return [
            b", ".join(re.findall(rb"\r\nauthorization: ([^\r]*)", head.lower())).decode()
            for head, _ in self.sent
        ]

    # The operator.

    def use(self, *changes: tuple[str, str]) -> None:
        """Put the policy in force with each of these texts replaced."""
        text = self.text
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.sidecar.use(compiled(text))

    async def told(self) -> str:
        """Everything that was logged, and what the telemetry port says."""
        pages = [await self._page(path) for path in ("/metrics", "/readyz")]
        return repr(self.lines.lines) + "".join(pages)

    async def _page(self, path: str) -> str:
        async with client_of(self.bound["telemetry"]) as client:
            await client.send(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
            return (await client.reader.read()).decode()

    def secrets(self) -> set[str]:
        """All tokens that there were, their signatures too, and all handles."""
        made = {*self.idp.made, *(one.rpartition(".")[2] for one in self.idp.made)}
        exchanged = {f"exchanged-token-{number}" for number in range(1, len(self.idp.tokens) + 1)}
        handles = set(re.findall(r"orh_[A-Za-z0-9_-]{43}", repr((self.got, self.sent, self.trapped))))
        return {one for one in made | exchanged | handles if one}


def compiled(text: str) -> Policy:
    """What the agent's policy is."""
    return compile_policy(load_texts([("policies.yaml", text)]), labels={}, namespace="agents")


@asynccontextmanager
async def attacked_pod(
    *answers: bytes,
    script: Script | None = None,
    users: str = USERS,
    credential: str = EXCHANGE,
    trap: bytes | None = None,
    said: bytes | None = None,
) -> AsyncIterator[AttackedPod]:
    """`answers` or `script`: the server; `trap` and `said`: what trap and application answer."""
    application, got = answering(said or json_answer({"said": "hello"}))
    answer, sent = answering(*(answers or (OK,)))
    trapping, trapped = answering(trap or json_answer({"trap": True}))
    mesh = new_mesh()
    async with (
        idp() as issuer,
        serving(application) as app,
        serving(script or answer) as server,
        serving(trapping) as trap_server,
    ):
        text = POLICY.replace("USERS", users).replace("CREDENTIAL", credential)
        text = text.replace("ISSUER", f'"{issuer.issuer}"').replace("AGENT", AGENT)
        text = text.replace("PORT", str(server.port)).replace("TRAP", str(trap_server.port))
        lines, clock = KeptLines(), Ahead()
        to_trap = {f"localhost:{trap_server.port}": f"127.0.0.1:{trap_server.port}"}
        with (
            patch("sidecar.app.Log", lambda **_: lines),
            patch.dict(assembled.__kwdefaults__, now=clock),
        ):
            published = Published(mesh.identity(TRIAGE))
            async with running(text, app.port, published, connect=to_trap) as (sidecar, bound):
                caller = await connect(mesh, CALLER, bound["inbound"])
                async with client_of(bound["forward"]) as agent:
                    pod = AttackedPod(
                        sidecar,
                        issuer,
                        caller,
                        agent,
                        server,
                        got,
                        sent,
                        trapped,
                        f"localhost:{trap_server.port}",
                        text,
                        bound,
                        lines,
                        clock,
                    )
                    yield pod
                    await _nothing_secret_is_told(pod)


async def _nothing_secret_is_told(pod: AttackedPod) -> None:
    """To nobody who reads logs and metrics; and the agent has seen no token at all."""
    told, shown = await pod.told(), b"".join(pod.shown).decode("latin-1")
    for secret in pod.secrets():
        assert secret not in told
        assert secret.startswith("orh_") or secret not in shown
