"""What peers say to an application and are told by it, looked at by its own sidecar over mutual TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.protocol.mcp.versions import Era
from sidecar.app import Sidecar
from sidecar.telemetry import names
from tests.support.guarded_checks import (
    CLIENT_PLANTED,
    PLANTED,
    Check,
    faults_from_client,
    faults_from_server,
    warm,
)
from tests.support.guarded_messages import FROM_SERVER, MAIL
from tests.support.guarded_ways import Server, Way
from tests.support.loopback import client_of, serving
from tests.support.meshed import CLIENT_POLICY, GITHUB, TRIAGE, Published, client_side, new_mesh, server_side

EVERYTHING = '{tools: {allow: ["*"]}, prompts: {allow: ["*"]}, resources: {allow: ["*"]}}'
OUTBOUND = CLIENT_POLICY.replace(
    'tools: {allow: ["*"]}', EVERYTHING[1:-1].replace("}, ", "}\n    ") + '\n    guardrails: {pii: "off"}'
)


def inbound(guardrails: str) -> str:
    return f"""
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: github}}
spec:
  inbound:
  - from: ["{TRIAGE}"]
    mcp: {EVERYTHING}
    guardrails: {guardrails}
"""


@asynccontextmanager
async def before_application(guardrails: str) -> AsyncIterator[tuple[Sidecar, int, Server]]:
    """The agent's own sidecar changes nothing; the application's has the guardrails."""
    mesh, application = new_mesh(), Server()
    warm()
    async with (
        serving(application.script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=inbound(guardrails)) as (
            sidecar,
            port,
        ),
        client_side(Published(mesh.identity(TRIAGE)), port, policy=OUTBOUND) as (_, forward),
    ):
        yield sidecar, forward, application


WAYS = [
    *((Era.LEGACY, way) for way in ("post_json", "post_sse", "post_sse_batch", "get_sse", "http_sse")),
    *((Era.MODERN, way) for way in ("post_json", "post_sse")),
]
FROM = [(Era.LEGACY, "post"), (Era.LEGACY, "batch"), (Era.MODERN, "post")]
TRIED = ["mask", "secret", "injection"]


@pytest.mark.parametrize(("guardrails", "text", "check"), PLANTED, ids=TRIED)
@pytest.mark.parametrize(("era", "way"), WAYS, ids=[f"{era.value}-{way}" for era, way in WAYS])
async def test_nothing_of_an_applications_passes_unseen(
    era: Era, way: str, guardrails: str, text: str, check: Check
) -> None:
    found = await faults_from_server(before_application, guardrails, era, way, text, check)
    assert "\n".join(found) == ""


@pytest.mark.parametrize(("guardrails", "text", "check"), CLIENT_PLANTED, ids=TRIED)
@pytest.mark.parametrize(("era", "way"), FROM, ids=[f"{era.value}-{way}" for era, way in FROM])
async def test_nothing_of_a_peers_passes_unseen(
    era: Era, way: str, guardrails: str, text: str, check: Check
) -> None:
    found = await faults_from_client(before_application, guardrails, era, way, text, check)
    assert "\n".join(found) == ""


async def test_what_is_found_inbound_is_counted_as_inbound() -> None:
    sample = next(one for one in FROM_SERVER if one.name == "answer to tools/call")
    async with before_application("{}") as (sidecar, port, server), client_of(port) as client:
        shown = await Way(client, server, Era.LEGACY, "post_json").deliver(
            sample, message := sample.planted("result.structuredContent.a", MAIL)
        )
        labels = ("inbound", "application", "pii", "EMAIL", "flag")
        assert sidecar.metrics.value(names.FINDINGS, labels) == 1
    assert shown.messages == [message]
