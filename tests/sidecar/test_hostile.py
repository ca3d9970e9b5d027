"""What a hostile server or a crowded host might do to an agent's side: found by review, kept as tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import Any

import pytest

from tests.support.loopback import (
    POLICY,
    answering,
    call,
    client_of,
    json_answer,
    post,
    read_request,
    result,
    serving,
    sidecar_for,
)

NO_QUESTIONS = POLICY.replace(
    "    prompts: {allow: [greet]}\n", "    prompts: {allow: [greet]}\n    serverRequests: []\n"
)
SAMPLING = {"method": "sampling/createMessage", "params": {}}


def events(*data: str) -> bytes:
    body = "".join(data).encode()
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n"
    return head.format(len(body)).encode() + body


async def answer_to_a_call(answer: bytes, policy: str = POLICY) -> tuple[int, bytes]:
    async with (
        serving(answering(answer)[0]) as backend,
        sidecar_for(backend.port, policy=policy) as (_, port),
    ):
        async with client_of(port) as client:
            await client.send(post(call("search")))
            status, _, body = await client.answer()
    return status, body


async def test_a_question_in_place_of_an_answer_is_a_502_and_no_hung_client() -> None:
    status, body = await answer_to_a_call(json_answer({"jsonrpc": "2.0", "id": 9, "method": "foo/bar"}))
    assert (status, json.loads(body)["id"]) == (502, 1)
    assert json.loads(body)["error"]["data"]["reason"] == "server_request_refused"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"jsonrpc": "2.0", "id": 5, **SAMPLING}, id="a request"),
        pytest.param(
            {
                "jsonrpc": "2.0",
                "method": "notifications/tasks",
                "params": {"taskId": "t", "status": "input_required", "inputRequests": {"a": SAMPLING}},
            },
            id="the state of a task",
        ),
        pytest.param(
            result({"resultType": "input_required", "inputRequests": {"a": SAMPLING}}), id="a result"
        ),
    ],
)
async def test_questions_that_no_policy_allows_never_reach_the_agent(message: dict[str, Any]) -> None:
    _, body = await answer_to_a_call(events(f"data: {json.dumps(message)}\n\n"), NO_QUESTIONS)
    assert b"sampling" not in body


@pytest.mark.parametrize("event", ["event: ping\ndata: 2026-11-23\n\n", ": keep-alive\n\n", "event: x\n\n"])
async def test_events_that_are_no_messages_pass_as_they_are(event: str) -> None:
    _, body = await answer_to_a_call(events(event, f"data: {json.dumps(result({}))}\n\n"))
    assert body.startswith(event.encode())
    assert b'"result":' in body


async def test_a_list_in_an_event_of_another_type_is_filtered_all_the_same() -> None:
    listed = json.dumps(result({"tools": [{"name": "drop"}]}))
    _, body = await answer_to_a_call(events(f"event: other\ndata: {listed}\n\n"))
    assert b"drop" not in body


CROWDED = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: narrow}
spec: {protocol: MCP, host: github.tools.svc, port: 8080, path: /narrow, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: wide}
spec: {protocol: MCP, host: github.tools.svc, port: 8080, path: /wide, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: plain}
spec: {protocol: HTTP, host: github.tools.svc, port: 8080, path: /plain, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec:
  outbound:
  - {backend: narrow, tools: {allow: [search]}}
  - {backend: wide, tools: {allow: ["*"]}}
  - {backend: plain}
"""


async def announce_and_call(*announcers: str) -> dict[str, Any]:
    """Each announcer's stream announces /messages; then a tool that only `wide` grants is called there."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            if head.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
                writer.write(b"event: endpoint\ndata: /messages\n\n")
            else:
                writer.write(json_answer(result({"ran": True}, json.loads(body)["id"])))

    async with contextlib.AsyncExitStack() as stack:
        backend = await stack.enter_async_context(serving(script))
        _, port = await stack.enter_async_context(sidecar_for(backend.port, policy=CROWDED))
        for name in announcers:
            stream = await stack.enter_async_context(client_of(port))
            await stream.send(
                f"GET http://github.tools.svc:8080/{name} HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
                "accept: text/event-stream\r\n\r\n".encode()
            )
            await stream.head()
            await anext(stream.chunks())
        poster = await stack.enter_async_context(client_of(port))
        await poster.send(post(call("drop"), path="/messages"))
        answered: dict[str, Any] = json.loads((await poster.answer())[2])
        return answered


async def test_an_announced_endpoint_is_decided_as_the_backend_that_announced_it() -> None:
    assert (await announce_and_call("narrow"))["error"]["message"] == "Unknown tool: drop"
    assert (await announce_and_call("wide"))["result"] == {"ran": True}


async def test_an_endpoint_that_two_backends_claim_belongs_to_neither() -> None:
    answered = await announce_and_call("narrow", "wide")
    assert answered["error"]["data"]["reason"] == "path_not_declared"


async def test_json_rpc_beside_several_mcp_backends_is_refused() -> None:
    script, seen = answering(json_answer({}))
    async with serving(script) as backend, sidecar_for(backend.port, policy=CROWDED) as (_, port):
        async with client_of(port) as client:
            await client.send(post(call("search"), path="/plain"))
            status, _, body = await client.answer()
    assert (status, json.loads(body)["reason"], seen) == (403, "protocol_not_allowed", [])


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
async def test_an_event_stream_beside_an_mcp_backend_is_filtered_by_its_rules(accept: str) -> None:
    policy = POLICY.replace(
        "    prompts: {allow: [greet]}\n", "    prompts: {allow: [greet]}\n    serverRequests: []\n"
    )
    listed = json.dumps(result({"tools": [{"name": "drop"}, {"name": "search"}]}))
    asked = json.dumps({"jsonrpc": "2.0", "id": 5, **SAMPLING})
    stream = events(f"data: {listed}\n\n", f"data: {asked}\n\n")
    async with (
        serving(answering(stream)[0]) as backend,
        sidecar_for(backend.port, policy=policy) as (_, port),
    ):
        async with client_of(port) as client:
            await client.send(
                "GET http://github.tools.svc:8080/oauth/sse HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
                f"accept: {accept}\r\n\r\n".encode()
            )
            _, _, body = await client.answer()
    assert b"search" in body
    assert b"drop" not in body
    assert b"sampling" not in body


STREAM = "data: " + json.dumps(result({"tools": [{"name": "drop"}, {"name": "search"}]})) + "\n\n"
DOCUMENT = '{\n  "tools": [\n    "drop"\n  ]\n}'
ASKED = "text/event-stream"


async def get_of(path: str, accept: str, status: str, fields: str, body: str) -> tuple[int, bytes]:
    """What a client is given of one answer to a GET, and its status."""
    answer = f"HTTP/1.1 {status}\r\n{fields}content-length: {len(body)}\r\n\r\n{body}".encode()
    script, _ = answering(answer)
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(
            f"GET http://github.tools.svc:8080{path} HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
            f"accept: {accept}\r\n\r\n".encode()
        )
        given, _, received = await client.answer()
    return given, received


@pytest.mark.parametrize(
    ("accept", "fields"),
    [
        (ASKED, ""),
        (ASKED, "content-type: \r\n"),
        (ASKED, "content-type: text/plain\r\n"),
        (ASKED, "content-type: Text/Plain; charset=utf-8\r\n"),
        ("application/json, Text/Event-Stream;q=0.5", "content-type: text/plain\r\n"),
        ("*/*", "content-type: text/event-stream, x\r\n"),
        ("*/*", "content-type: text/html; text/event-stream\r\n"),
    ],
)
async def test_what_a_client_may_read_as_a_stream_beside_mcp_is_filtered_as_one(
    accept: str, fields: str
) -> None:
    status, received = await get_of("/oauth/sse", accept, "200 OK", fields, STREAM)
    assert status == 200
    assert b"search" in received
    assert b"drop" not in received


@pytest.mark.parametrize(
    ("path", "status", "fields", "body"),
    [
        ("/oauth/sse", "200 OK", "content-type: text/html\r\n", STREAM),
        ("/oauth/sse", "203 Changed", "content-type: application/octet-stream\r\n", STREAM),
        ("/oauth/sse", "200 OK", "content-type: application/json\r\n", STREAM),
        ("/oauth/sse", "200 OK", "content-type: application/json\r\n", DOCUMENT + "\n" + STREAM),
        ("/oauth/sse", "200 OK", "content-type: text/plain\r\ncontent-encoding: gzip\r\n", STREAM),
        ("/mcp", "202 Accepted", "content-type: text/plain\r\n", STREAM),
        ("/mcp", "202 Accepted", "", STREAM),
    ],
)
async def test_a_stream_under_a_false_name_is_refused_to_who_asked_for_one(
    path: str, status: str, fields: str, body: str
) -> None:
    given, received = await get_of(path, ASKED, status, fields, body)
    assert given == 502
    assert b"drop" not in received


@pytest.mark.parametrize(
    ("accept", "status", "fields", "body"),
    [
        ("*/*", "200 OK", "content-type: text/html\r\n", "<p>drop</p>"),
        ("*/*", "200 OK", "content-type: application/json\r\n", DOCUMENT),
        ("*/*", "200 OK", "content-type: text/plain\r\n", "drop"),
        ("*/*", "200 OK", "", "drop"),
        ("text/html", "200 OK", "", STREAM),
        (ASKED, "200 OK", "content-type: application/json; charset=utf-8\r\n", DOCUMENT),
        (ASKED, "404 Not Found", "content-type: text/html\r\n", "<p>drop</p>"),
    ],
)
async def test_plain_http_beside_mcp_stays_as_it_is(accept: str, status: str, fields: str, body: str) -> None:
    given, received = await get_of("/oauth/page", accept, status, fields, body)
    assert (given, received) == (int(status[:3]), body.encode())


async def test_nothing_leaks_when_clients_leave_at_random() -> None:
    dice = random.Random(7)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            if dice.random() < 0.1:
                return
            writer.write(json_answer(result({}, json.loads(body)["id"])))

    async def visit(port: int, number: int) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            async with client_of(port) as client:
                for ident in range(5):
                    await client.send(post(call("search", f"{number}-{ident}")))
                    if dice.random() < 0.3:
                        return
                    _, _, body = await client.answer()
                    assert json.loads(body)["id"] == f"{number}-{ident}"

    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        for start in range(0, 400, 100):
            await asyncio.gather(*(visit(port, start + n) for n in range(100)))
        async with asyncio.timeout(10):
            while 'connections{listener="forward"} 0.0' not in (text := sidecar.metrics.exposition()):
                await asyncio.sleep(0)
            while 'upstream_connections{state="busy"} 0' not in (text := sidecar.metrics.exposition()):
                await asyncio.sleep(0)
    assert "outrider_requests_total" in text


async def test_a_stream_that_asks_without_end_does_not_use_up_the_agents_connections() -> None:
    asked = "".join(
        f'data: {{"jsonrpc":"2.0","id":{number},"method":"foo/bar"}}\n\n' for number in range(3000)
    )
    refusals = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal refusals
        head, body = await read_request(reader)
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            writer.write(asked.encode() + b"id: end\n\n")
        elif b'"error"' in body:
            refusals += 1
        else:
            writer.write(json_answer(result({"ran": True})))
        await reader.read()

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(
            b"GET http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
            b"accept: text/event-stream\r\n\r\n"
        )
        await client.head()
        async with asyncio.timeout(30):
            assert b"foo/bar" not in await client.reader.readuntil(b"id: end\n")
        async with client_of(port) as other:
            status, answer = await other.rpc(call("search"))
    assert (status, answer["result"]) == (200, {"ran": True})
    assert refusals <= 4


async def refusals_of_questions(policy: str, path: str, *announced: str) -> list[bytes]:
    """Request lines of what an HTTP+SSE server is sent that announces endpoints, and asks after each of them."""
    lines: list[bytes] = []
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        if not head.startswith(b"GET"):
            lines.append(head.partition(b"\r\n")[0])
            writer.write(b"HTTP/1.1 202 Accepted\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            asked.set()
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for endpoint in announced:
            asked.clear()
            writer.write(f"event: endpoint\ndata: {endpoint}\n\n".encode())
            writer.write(b'data: {"jsonrpc":"2.0","id":5,"method":"foo/bar"}\n\n')
            async with asyncio.timeout(5):
                await asked.wait()
        writer.write(b"id: end\n\n")
        await reader.read()

    async with (
        serving(script) as backend,
        sidecar_for(backend.port, policy=policy) as (_, port),
        client_of(port) as client,
    ):
        await client.send(
            f"GET http://github.tools.svc:8080{path} HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
            "accept: text/event-stream\r\n\r\n".encode()
        )
        await client.head()
        async with asyncio.timeout(5):
            await client.reader.readuntil(b"id: end\n")
    return lines


async def test_a_refusal_goes_to_the_endpoint_that_the_stream_announced() -> None:
    policy = POLICY.replace("path: /mcp", "path: /sse")
    assert await refusals_of_questions(
        policy,
        "/sse",
        "/messages?session_id=a1",
        "http://evil.example.com/m?session_id=a2",
        "/long?" + "x" * 5000,
        "?session_id=a3",
    ) == [
        b"POST /messages?session_id=a1 HTTP/1.1",
        b"POST /messages?session_id=a1 HTTP/1.1",
        b"POST /messages?session_id=a1 HTTP/1.1",
        b"POST /sse?session_id=a3 HTTP/1.1",
    ]


async def test_a_refusal_never_goes_to_an_endpoint_of_another_backend() -> None:
    assert await refusals_of_questions(
        CROWDED, "/narrow", "/wide?id=1", "/plain/pay?to=me", "/narrow/x?s=1"
    ) == [
        b"POST /narrow HTTP/1.1",
        b"POST /narrow HTTP/1.1",
        b"POST /narrow/x?s=1 HTTP/1.1",
    ]
