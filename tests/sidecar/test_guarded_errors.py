"""Bodies of an MCP endpoint that are no messages: error pages, documents, and what comes with an acceptance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.proxy.beside_messages import MOST_BYTES
from tests.support.guarded_checks import between, policy_with
from tests.support.guarded_messages import INJECTION, MAIL
from tests.support.loopback import answering, call, client_of, json_answer, post, serving, sidecar_for

BLOCK = "{injection: block}"


def page(body: bytes, status: str = "500 X", media: str = "text/html") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def streamed(body: bytes) -> bytes:
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[i : i + 999]), body[i : i + 999]) for i in range(0, len(body), 999)
    )
    return (
        b"HTTP/1.1 500 X\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n%b0\r\n\r\n"
        % chunks
    )


async def answered(guardrails: str, answer: bytes) -> tuple[int, dict[str, str], bytes, list[Any]]:
    """What the agent got, twice over one connection, and what was found."""
    found: list[Any] = []
    async with between(guardrails) as (sidecar, port, server), client_of(port) as client:
        server.answer = answer
        for _ in range(2):
            await client.send(post(call("search", 7)))
            got = await client.answer()
        counters = sidecar.metrics._counters
        found = [labels for (_, labels) in counters if "injection" in labels]
    return *got, found


WORDS = INJECTION.encode()
BODIES = {
    "a page": page(b"<p>" + WORDS),
    "plain text": page(WORDS, "400 Bad Request", "text/plain"),
    "an acceptance": page(WORDS, "202 Accepted", "text/plain"),
    "a redirect": page(WORDS, "302 Found", "text/plain"),
    "chunked": streamed(WORDS),
    "JSON": json_answer({"detail": [INJECTION]}, "400 Bad Request"),
    "a JSON string": json_answer(json.dumps(INJECTION).encode(), "422 X"),
    "JSON of another type": page(json.dumps({INJECTION: 1}).encode(), "404 X", "application/problem+json"),
    "UTF-16 by its charset": page(INJECTION.encode("utf-16-le"), media="text/plain; charset=utf-16le"),
    "UTF-16 by its mark": page(b"\xfe\xff" + INJECTION.encode("utf-16-be"), media="text/plain"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_what_is_blocked_is_replaced_by_an_error_with_the_same_status(body: bytes) -> None:
    status, headers, shown, _ = await answered(BLOCK, body)
    assert status == int(body[9:12])
    assert headers["content-type"] == "application/json"
    error = json.loads(shown)
    assert (error["id"], error["error"]["data"]) == (7, {"reason": "guard_injection"})


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_what_is_flagged_passes_and_is_told(body: bytes) -> None:
    _, headers, shown, found = await answered("{}", body)
    assert shown == (WORDS if "transfer-encoding" in headers else body.partition(b"\r\n\r\n")[2])
    assert found


async def test_where_something_would_be_masked_an_error_stands() -> None:
    status, _, shown, _ = await answered("{pii: mask}", page(f"ask {MAIL}".encode()))
    assert (status, json.loads(shown)["error"]["data"]) == (500, {"reason": "guard_unmaskable"})


@pytest.mark.parametrize(
    "body", [page(b"<p>sorry"), streamed(b"sorry " * 2000), json_answer({"a": 1}, "400 X")]
)
async def test_what_holds_nothing_passes_as_it_is(body: bytes) -> None:
    for guardrails in (BLOCK, "{}", "{injection: 'off'}"):
        status, headers, shown, found = await answered(guardrails, body)
        assert status == int(body[9:12])
        assert shown in body or len(shown) == 12_000
        assert headers["content-type"] in body.decode()
        assert not found


@pytest.mark.parametrize("make", [page, streamed])
async def test_what_is_too_long_to_be_looked_at_passes_only_where_nothing_is_enforced(make: Any) -> None:
    body = b"sorry " * MOST_BYTES
    status, _, shown, _ = await answered(BLOCK, make(body))
    assert (status, json.loads(shown)["error"]["data"]) == (500, {"reason": "http_body_too_large"})
    assert (await answered("{}", make(body)))[2] == body


async def test_the_answer_to_the_end_of_a_session_is_looked_at() -> None:
    script, _ = answering(page(WORDS))
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy_with(BLOCK)) as (_, port):
        async with client_of(port) as client:
            await client.send(
                b"DELETE http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
                b"mcp-session-id: s\r\ncontent-length: 0\r\n\r\n"
            )
            status, _, shown = await client.answer()
    assert status == 500
    assert json.loads(shown)["error"]["data"] == {"reason": "guard_injection"}
