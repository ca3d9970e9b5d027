"""The helpdesk as the demo sees it: the agent, its sidecar, whom it asks, and how a user calls it.

a user --> the portal's sidecar ==mutual TLS==> sidecar of helpdesk ---> helpdesk (agent)
helpdesk ----HTTP_PROXY, HTTPS_PROXY----> its sidecar ==mutual TLS==> sidecar of notes ---> notes
                                          its sidecar --HTTPS--> login, code and paste.example.com
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from cli.demo.cast import HELPDESK_HOST, NOTES_HOST, PORT, url
from cli.demo.helpdesk import VARIABLE
from cli.demo.issuer import Issuer
from cli.demo.outside import Witness
from cli.demo.processes import Part, PartFailed, Parts, Record
from cli.demo.sidecars import LOG_SECONDS, Sidecar
from mesh.settings.placeholders import placeholder

ASK_SECONDS = 15.0
CONTAINER = "helpdesk"
PLACEHOLDER = placeholder(CONTAINER, VARIABLE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a user was answered: the status, the challenge if there is one, and a JSON object."""

    status: int
    challenge: str
    body: Record

    def __str__(self) -> str:
        return f"{self.status} {json.dumps(self.body)}"


@dataclass(frozen=True, slots=True)
class Desk:
    """`secret`: what stands behind the placeholder that the agent holds."""

    issuer: Issuer
    code: Witness
    paste: Witness
    agent: Part
    sidecar: Sidecar
    portal: Sidecar
    notes: Part
    secret: str

    async def ask(self, path: str, token: str | None, **body: str) -> Answer:
        """A user's request, with that token. Raises OSError and TimeoutError."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with (
            asyncio.timeout(ASK_SECONDS),
            aiohttp.ClientSession() as session,
            session.post(
                f"http://{HELPDESK_HOST}:{PORT}{path}",
                headers=headers,
                json=body,
                proxy=self.portal.variables["HTTP_PROXY"],
            ) as answer,
        ):
            challenge = answer.headers.get("WWW-Authenticate", "")
            return Answer(answer.status, challenge, await answer.json(content_type=None))

    @property
    def asked(self) -> list[Record]:
        """What the agent saw of each request that reached it."""
        return [record for record in self.agent.records if record.get("event") == "asked"]

    @property
    def bearers(self) -> list[Record]:
        """What the notes server saw of each token that reached it."""
        return [record for record in self.notes.records if _is_bearer(record)]

    async def carried(self, number: int) -> str:
        """The subject of the `number`th token that reached the notes server; empty where none comes."""
        try:
            record = await self.notes.find(_is_bearer, within=LOG_SECONDS, number=number)
        except PartFailed:
            return ""
        return str(record["claims"].get("sub"))

    @property
    def environment(self) -> str:
        """What the agent has in the variable that its developer put a secret into."""
        return next((str(one["variable"]) for one in self.agent.records if one.get("event") == "ready"), "")

    @property
    def told(self) -> str:
        """All that the agent and the three sidecars on the way wrote."""
        return "\n".join((*self.agent.lines, *self.sidecar.lines, *self.portal.lines, *self.notes.lines))


def _is_bearer(record: Record) -> bool:
    return record.get("event") == "bearer"


def make_secret(folder: Path) -> str:
    """Make the secret, and the file that only the helpdesk's sidecar reads."""
    secret = f"code-{secrets.token_urlsafe(24)}"
    file = secret_file(folder)
    file.write_text(secret, encoding="ascii")
    file.chmod(0o600)
    return secret


def secret_file(folder: Path) -> Path:
    """In a pod, a volume that the sidecar alone mounts."""
    return folder / "code-token"


def hidden(folder: Path) -> dict[str, dict[str, object]]:
    """What admission would tell the sidecar of the agent's variable."""
    return {PLACEHOLDER: {"container": CONTAINER, "variable": VARIABLE, "files": [str(secret_file(folder))]}}


async def start_agent(parts: Parts, port: int, variables: dict[str, str]) -> Part:
    """Run the agent with these variables and the placeholder; returns when it is ready. Raises PartFailed."""
    part = await parts.start(
        "helpdesk",
        "cli.demo.helpdesk",
        *("--port", str(port), "--notes", url(NOTES_HOST)),
        variables={**variables, VARIABLE: PLACEHOLDER},
    )
    await part.find(lambda record: record.get("event") == "ready")
    return part
