"""What the head of a request to an MCP endpoint says beside its messages: the query, and fields for arguments."""

from __future__ import annotations

import json

import pytest

from tests.support.guarded_checks import TOKEN, policy_with
from tests.support.guarded_messages import MAIL
from tests.support.loopback import answering, call, client_of, json_answer, post, result, serving, sidecar_for

MASK = "{pii: mask, secrets: block, reversible: true}"
ANSWER = json_answer(result({"content": [{"type": "text", "text": f"write to {MAIL}"}]}))


async def sent(guardrails: str, *requests: bytes) -> tuple[list[str | None], list[bytes]]:
    """The reason of each refusal, and the heads that the server got."""
    script, seen = answering(ANSWER)
    reasons: list[str | None] = []
    async with serving(script) as backend:
        async with sidecar_for(backend.port, policy=policy_with(guardrails)) as (_, port):
            async with client_of(port) as client:
                for request in requests:
                    await client.send(request)
                    _, _, body = await client.answer()
                    value = json.loads(body)
                    value = value[0] if isinstance(value, list) else value
                    error = value.get("error", {"data": value if "reason" in value else {}})
                    reasons.append(error["data"].get("reason"))
    return reasons, [head for head, _ in seen]


PLAIN = call("search", q="x")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (post(PLAIN, mcp_param_q=MAIL), "guard_unmaskable"),
        (post(PLAIN, mcp_param_q="=?base64?amFuZS5kb2VAZXhhbXBsZS5jb20=?="), "guard_unmaskable"),
        (post(PLAIN, mcp_param_q=TOKEN), "guard_secret"),
        (post(PLAIN, path=f"/mcp?d={MAIL}"), "guard_unmaskable"),
        (post(PLAIN, path="/mcp?d=jane.doe%40example.com"), "guard_unmaskable"),
        (post(PLAIN, path=f"/mcp?d={TOKEN}"), "guard_secret"),
        (post([PLAIN, call("search", 2)], path=f"/mcp?d={TOKEN}"), "guard_secret"),
    ],
)
async def test_what_would_be_masked_or_blocked_does_not_leave_in_the_head(
    request_: bytes, reason: str
) -> None:
    reasons, seen = await sent(MASK, request_)
    assert (reasons, seen) == ([reason], [])
    reasons, seen = await sent("{}", request_)
    assert (reasons, len(seen)) == ([None], 1)


async def test_what_repeats_an_argument_goes_as_the_argument_does() -> None:
    again = post(call("search", q="to <EMAIL_1>"), mcp_param_q="to <EMAIL_1>")
    reasons, seen = await sent(MASK, post(call("search", q=MAIL), mcp_param_q=MAIL), again)
    assert reasons == [None, None]
    assert b"mcp-param-q: <EMAIL_1>" in seen[0]


async def test_what_the_server_said_itself_goes_back_to_it_in_a_field_too() -> None:
    first, again = post(PLAIN), post(call("search", q="<EMAIL_1>"), mcp_param_q="<EMAIL_1>")
    reasons, seen = await sent(MASK, first, again)
    assert reasons == [None, None]
    assert f"mcp-param-q: {MAIL}".encode() in seen[1]


async def test_harmless_queries_and_fields_pass() -> None:
    request = post(PLAIN, path="/mcp?session_id=3f2a9c", mcp_param_region="eu-west-1")
    assert (await sent(MASK, request))[0] == [None]
    assert (await sent("{pii: 'off'}", request))[0] == [None]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_streams_and_ends_of_sessions_are_looked_at_too(method: str) -> None:
    head = f"{method} http://github.tools.svc:8080/mcp?d={MAIL} HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
    request = f"{head}accept: text/event-stream\r\nmcp-session-id: s\r\n\r\n".encode()
    assert await sent(MASK, request) == (["guard_unmaskable"], [])
