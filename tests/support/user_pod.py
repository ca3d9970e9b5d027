"""A sidecar with a caller, an application that shows what it got, and a server that wants users' tokens."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.app import Sidecar
from sidecar.config import Decisions
from tests.support.idp import AGENT, Idp, idp
from tests.support.loopback import Client, Script, answering, client_of, json_answer, serving
from tests.support.meshed import TRIAGE, Mesh, Published, new_mesh
from tests.support.peer import Peer, connect
from tests.support.running import running

CALLER = "spiffe://test.mesh/ns/agents/sa/front"
EXCHANGE = "{exchange: {issuer: ISSUER, audience: crm, client: {method: none, id: triage}}}"
FOR_NOBODY_TOO = (
    "{exchange: {issuer: ISSUER, audience: crm, withoutUser: client-credentials, "
    "client: {method: secret-post, id: triage, secret: {name: idp, key: secret}}}}"
)
USERS = "{issuers: [{issuer: ISSUER, audiences: ['AGENT']}], correlation: [trace, session, context]}"
POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm}
spec: {protocol: MCP, host: 127.0.0.1, port: PORT, path: /mcp, tls: {mode: None}, credential: CREDENTIAL}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  users: USERS
  outbound:
  - {backend: crm, tools: {allow: ["*"]}}
  inbound:
  - from: ["*"]
    http: {allow: true}
"""


SAID = json_answer({"said": "hello"})


@dataclass
class UserPod:
    """`got` is what the application saw."""

    sidecar: Sidecar
    idp: Idp
    caller: Peer
    agent: Client
    forward: int
    server: int
    got: list[tuple[bytes, bytes]]
    handles: dict[str, str] = field(default_factory=dict)

    async def ask(self, user: str, body: bytes = b"{}") -> bytes:
        """What a user gets from the agent."""
        answer = await self.call(b"authorization: Bearer %b" % self.idp.token(user).encode(), body=body)
        found = re.search(rb"\r\nauthorization: Bearer (\S+)\r\n", self.got[-1][0])
        assert found is not None
        self.handles[user] = found[1].decode()
        return answer

    async def call(self, *lines: bytes, body: bytes = b"{}") -> bytes:
        """What a caller gets from the agent for a request with these header lines."""
        head = b"".join(line + b"\r\n" for line in lines)
        self.caller.received = b""
        self.caller.transport.write(
            b"POST /ask HTTP/1.1\r\nhost: agent\r\ncontent-type: application/json\r\n"
            b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)
        )
        await self.caller.head()
        async with asyncio.timeout(60):
            while not _is_whole(self.caller.received):
                await asyncio.sleep(0.005)
        return self.caller.received

    def request(
        self, message: Any = None, *, method: str = "POST", user: str | None = None, **fields: str
    ) -> bytes:
        """What the agent sends to the server for a user that called it before."""
        body = b"" if message is None else json.dumps(message, separators=(",", ":")).encode()
        if user is not None:
            fields["authorization"] = f"Bearer {self.handles[user]}"
        fields = {"accept": "application/json, text/event-stream", **fields}
        if body:
            fields = {"content-type": "application/json", "content-length": str(len(body)), **fields}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        host = f"127.0.0.1:{self.server}"
        return f"{method} http://{host}/mcp HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n".encode() + body

    async def send(
        self, message: Any = None, *, client: Client | None = None, **how: Any
    ) -> tuple[int, dict[str, str], Any]:
        """And what the agent gets: status, fields, document."""
        client = client or self.agent
        await client.send(self.request(message, **how))
        status, headers, body = await client.answer()
        return status, headers, json.loads(body) if body.startswith(b"{") else body


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return body.endswith(b"0\r\n\r\n") if length is None else len(body) >= int(length[1])


@asynccontextmanager
async def user_pod(
    script: Script,
    *,
    said: bytes = SAID,
    users: str = USERS,
    credential: str = EXCHANGE,
    secrets: Path | None = None,
    mesh: Mesh | None = None,
) -> AsyncIterator[UserPod]:
    """`said`: what the application answers, `script`: the server."""
    application, got = answering(said)
    mesh = mesh or new_mesh()
    provider = Published(mesh.identity(TRIAGE))
    async with idp() as issuer, serving(application) as app, serving(script) as server:
        text = POLICY.replace("USERS", users).replace("CREDENTIAL", credential)
        text = text.replace("ISSUER", f'"{issuer.issuer}"')
        text = text.replace("AGENT", AGENT).replace("PORT", str(server.port))
        async with running(text, app.port, provider, decisions=Decisions.NONE, credentials=secrets) as (
            sidecar,
            bound,
        ):
            caller = await connect(mesh, CALLER, bound["inbound"])
            async with client_of(bound["forward"]) as agent:
                yield UserPod(sidecar, issuer, caller, agent, bound["forward"], server.port, got)
