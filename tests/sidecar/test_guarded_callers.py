"""Two callers of one server: neither has what was masked for the other, nor decides what the other may call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.guarded_checks import reason_of, warm
from tests.support.guarded_messages import INJECTION, MAIL
from tests.support.guarded_ways import Server
from tests.support.loopback import Client, call, client_of, json_answer, result, serving
from tests.support.meshed import CLIENT_POLICY, GITHUB, TRIAGE, Published, client_side, new_mesh, server_side

REVIEW = "spiffe://test.mesh/ns/agents/sa/review"
OFF = CLIENT_POLICY.rstrip() + '\n    guardrails: {pii: "off", injection: "off"}\n'


def policy(first: str, second: str) -> str:
    rules = "".join(
        f"""
  - from: ["{peer}"]
    mcp: {{tools: {{allow: ["*"]}}}}
    guardrails: {guardrails}"""
        for peer, guardrails in ((TRIAGE, first), (REVIEW, second))
    )
    return f"""
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: github}}
spec:
  inbound:{rules}
"""


@asynccontextmanager
async def two_callers(first: str, second: str) -> AsyncIterator[tuple[Client, Client, Server]]:
    """Clients as `triage` and as `review` of one application, whose sidecar has guardrails for each."""
    warm()
    mesh, application = new_mesh(), Server()
    async with (
        serving(application.script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=policy(first, second)) as (
            _,
            inbound,
        ),
        client_side(Published(mesh.identity(TRIAGE)), inbound, policy=OFF) as (_, triage),
        client_side(Published(mesh.identity(REVIEW)), inbound, policy=OFF) as (_, review),
        client_of(triage) as one,
        client_of(review) as other,
    ):
        yield one, other, application


async def ask(client: Client, server: Server, message: Any, answer: Any, **fields: str) -> Any:
    server.answer = json_answer(answer)
    return (await client.rpc(message, **fields))[1]


def said(text: str) -> dict[str, Any]:
    return result({"content": [{"type": "text", "text": text}]})


async def test_what_was_masked_for_one_caller_is_not_turned_back_for_another() -> None:
    reversible = "{pii: mask, reversible: true}"
    async with two_callers(reversible, reversible) as (one, other, server):
        # Both in a session of one name: sessions are the server's to name, and callers' to claim.
        await ask(one, server, call("search", q=MAIL), said("well"), mcp_session_id="s")
        got = await ask(other, server, call("search", q="<EMAIL_1>"), said("<EMAIL_1>"), mcp_session_id="s")
        assert got["result"]["content"][0]["text"] == "<EMAIL_1>"
        assert server.got[-1][1]["params"]["arguments"] == {"q": "<EMAIL_1>"}
        got = await ask(one, server, call("search"), said("<EMAIL_1>"), mcp_session_id="s")
        assert got["result"]["content"][0]["text"] == MAIL
        assert MAIL not in json.dumps([value for _, value in server.got])


async def test_what_is_hidden_from_one_caller_is_hidden_whatever_another_is_shown() -> None:
    listed = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    tools = result({"tools": [{"name": "bad", "description": INJECTION}]})
    async with two_callers("{injection: block}", "{injection: flag}") as (one, other, server):
        assert (await ask(one, server, listed, tools))["result"]["tools"] == []
        assert (await ask(other, server, listed, tools)) == tools
        assert "result" in await ask(other, server, call("bad"), said("well"))
        assert reason_of([await ask(one, server, call("bad"), said("well"))]) == "tool_poisoned"
        await ask(one, server, listed, tools)
        assert "result" in await ask(other, server, call("bad"), said("well"))
