"""The data path over loopback: what a client and a backend see of each other."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from mesh.protocol.tls.alert import Alert, fatal_alert
from sidecar.limits import Limits
from sidecar.telemetry import names
from tests.support.loopback import (
    POLICY,
    TOOLS,
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


async def test_an_allowed_call_reaches_the_server_and_its_answer_the_client() -> None:
    script, seen = answering(json_answer(result({"content": []})))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        status, answer = await client.rpc(call("search", q="x"))
    assert (status, answer) == (200, result({"content": []}))
    head, body = seen[0]
    assert head.startswith(b"POST /mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n")
    assert json.loads(body) == call("search", q="x")


@pytest.mark.parametrize("tool", ["drop", "list_delete", "se\u0430rch", "search ", "SEARCH", "search\x00"])
async def test_a_call_that_no_policy_grants_is_answered_as_an_unknown_tool_and_never_sent(tool: str) -> None:
    script, seen = answering(json_answer(result({})))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        status, answer = await client.rpc(call(tool, 7))
    assert status == 200
    assert answer["id"] == 7
    assert answer["error"] == {"code": -32602, "message": f"Unknown tool: {tool}"}
    assert seen == []


async def test_the_session_goes_on_after_a_refusal_on_the_same_connection() -> None:
    script, _ = answering(json_answer(result({"content": []})))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.rpc(call("drop"))
        status, answer = await client.rpc(call("search"))
    assert (status, answer) == (200, result({"content": []}))


@pytest.mark.parametrize("ident", [1, "1", "", 2**70, -1, "é"])
async def test_the_id_of_a_refused_request_keeps_its_type_and_value(ident: Any) -> None:
    script, _ = answering(b"")
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        _, answer = await client.rpc(call("drop", ident))
    assert answer["id"] == ident
    assert type(answer["id"]) is type(ident)


async def test_a_list_holds_only_what_may_be_called_and_keeps_its_cursor() -> None:
    script, _ = answering(json_answer(result({"tools": TOOLS, "nextCursor": ""})))
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        _, answer = await client.rpc(request)
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["search", "list_all"]
    assert answer["result"]["nextCursor"] == ""


async def test_a_batch_with_one_refused_call_is_refused_whole() -> None:
    script, seen = answering(json_answer(result({})))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        status, answer = await client.rpc([call("search", 1), call("drop", 2)])
    assert status == 200
    assert [item["id"] for item in answer] == [1, 2]
    assert all("error" in item for item in answer)
    assert seen == []


async def test_a_refused_notification_is_accepted_and_dropped() -> None:
    script, seen = answering(json_answer(result({})))
    message = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "drop"}}
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        status, answer = await client.rpc(message)
    assert (status, answer, seen) == (202, None, [])


async def test_a_body_is_sent_on_as_it_was_parsed() -> None:
    script, seen = answering(json_answer(result({})))
    raw = b' {"jsonrpc": "2.0", "id": 1, "method": "tools\\/call", "params": {"name": "\\u0073earch"}}'
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.rpc(raw)
    assert seen[0][1] == b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}'


async def test_an_unknown_destination_is_refused_with_the_document_that_would_allow_it() -> None:
    script, seen = answering(b"")
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post(call("search")).replace(b"github.tools.svc", b"evil.example.com"))
        status, _, body = await client.answer()
    answer = json.loads(body)
    assert status == 200
    assert answer["id"] == 1
    assert "evil.example.com:8080" in answer["error"]["message"]
    assert "Backend document" in answer["error"]["message"]
    assert answer["error"]["data"] == {"reason": "egress_denied"}
    assert seen == []


async def test_plain_http_to_an_unknown_destination_is_refused_with_problem_details() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            await client.send(b"GET http://evil.example.com/x HTTP/1.1\r\nhost: evil.example.com\r\n\r\n")
            status, fields, body = await client.answer()
    assert status == 403
    assert fields["content-type"] == "application/problem+json"
    assert json.loads(body)["reason"] == "egress_denied"


async def test_origin_form_tells_that_this_is_a_proxy() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            await client.send(b"GET /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            status, _, body = await client.answer()
    assert status == 400
    assert "HTTP_PROXY" in json.loads(body)["detail"]


async def test_each_event_of_a_stream_is_passed_on_at_once_and_lists_in_it_are_filtered() -> None:
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nid: 1\r\ndata: \r\nretry: 9\r\n\r\n"
        )
        await go_on.wait()
        body = json.dumps(result({"tools": TOOLS}))
        writer.write(f": hi\nid: 2\nevent: message\ndata: {body}\n\n".encode())

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
        status, fields = await client.head()
        parts = client.chunks()
        first = await anext(parts)
        go_on.set()
        rest = b"".join([part async for part in parts])
    assert (status, fields["content-type"]) == (200, "text/event-stream")
    assert first == b"id: 1\r\ndata: \r\nretry: 9\r\n\r\n"
    assert rest.startswith(b": hi\nevent: message\nid: 2\ndata: {")
    names_seen = [t["name"] for t in json.loads(rest.split(b"data: ")[1])["result"]["tools"]]
    assert names_seen == ["search", "list_all"]


async def test_a_client_that_goes_away_is_noticed_by_the_server() -> None:
    began = asyncio.Event()
    noticed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        began.set()
        try:
            await reader.read()
        except ConnectionError:
            pass
        noticed.set()

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            await client.send(post(call("search")))
            await asyncio.wait_for(began.wait(), 5)
        await asyncio.wait_for(noticed.wait(), 1)


async def test_a_server_that_goes_away_before_its_answer_is_a_502_with_a_reason() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        status, answer = await client.rpc(call("search", "a"))
    assert status == 502
    assert answer["id"] == "a"
    assert answer["error"]["data"] == {"reason": "upstream_reset"}


async def test_an_answer_that_ends_too_early_is_a_502_and_not_a_short_answer() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(
            b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"jsonrpc"'
        )

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        status, answer = await client.rpc(call("search"))
    assert (status, answer["error"]["data"]["reason"]) == (502, "upstream_reset")


async def test_a_server_that_stalls_is_a_504() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    limits = replace(Limits(), upstream_idle_seconds=0.1, drain_seconds=0.5)
    async with serving(script) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as client:
            status, answer = await client.rpc(call("search"))
    assert (status, answer["error"]["data"]["reason"]) == (504, "upstream_idle_timeout")


async def test_a_server_that_refuses_connections_is_a_502() -> None:
    async with serving(answering(b"")[0]) as backend:
        free = backend.port
    async with sidecar_for(free) as (_, port), client_of(port) as client:
        status, answer = await client.rpc(call("search"))
    assert (status, answer["error"]["data"]["reason"]) == (502, "upstream_unreachable")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"garbage\r\n\r\n", "upstream_malformed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", "upstream_malformed"),
        (b"SSH-2.0-OpenSSH_9\r\n", "upstream_malformed"),
        (json_answer(b"{}", content_encoding="gzip"), "upstream_encoded"),
        (json_answer(b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}'), "json_duplicate_key"),
        (json_answer("x".encode("utf-16")), "json_not_utf8"),
        (json_answer(result({"tools": {"drop": 1}})), "mcp_malformed"),
        (json_answer({"tools": TOOLS}), "jsonrpc_invalid"),
        (json_answer(result({}) | {"method": "x"}), "jsonrpc_hybrid"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}",
            "upstream_content_type",
        ),
    ],
)
async def test_an_answer_that_cannot_be_read_safely_is_a_502(answer: bytes, reason: str) -> None:
    script, _ = answering(answer)
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        status, reply = await client.rpc(call("search"))
    assert (status, reply["error"]["data"]["reason"]) == (502, reason)


async def test_connections_to_the_server_are_used_again() -> None:
    script, _ = answering(json_answer(result({})))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        for ident in range(5):
            await client.rpc(call("search", ident))
        assert backend.connections == 1


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            writer.write(json_answer(result({}, json.loads(body)["id"])))

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(b"".join(post(call("search", ident)) for ident in range(20)))
        answers = [json.loads((await client.answer())[2])["id"] for _ in range(20)]
    assert answers == list(range(20))


async def test_a_body_over_the_limit_is_refused_without_reading_it_all() -> None:
    limits = replace(Limits(), body_bytes=1000, drain_seconds=0.5)
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as client:
            status, answer = await client.rpc(call("search", text="x" * 2000))
    assert status == 413
    assert "1000 bytes" in answer["error"]["message"]


async def test_plain_http_streams_both_ways() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        got = b""
        while not got.endswith(b"0\r\n\r\n"):
            got += await reader.read(65536)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(got) + got)
        await writer.drain()

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(
            b"POST http://plain.tools.svc:8081/up HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n"
            b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
        )
        await client.send(b"3\r\nyou\r\n0\r\n\r\n")
        status, _, body = await client.answer()
    assert status == 200
    assert b"hello" in body
    assert b"you" in body


async def test_json_rpc_beside_the_mcp_endpoint_is_decided_as_mcp() -> None:
    script, seen = answering(json_answer({"access_token": "t"}))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post(call("drop"), path="/oauth/x"))
        status, _, refused = await client.answer()
        await client.send(post({"client_name": "a"}, path="/oauth/register"))
        _, _, passed = await client.answer()
    assert (status, json.loads(refused)["error"]["message"]) == (200, "Unknown tool: drop")
    assert json.loads(passed) == {"access_token": "t"}
    assert len(seen) == 1


async def test_a_path_that_no_backend_declares_is_refused() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            await client.send(post(call("search"), path="/admin/mcp"))
            _, _, body = await client.answer()
    assert json.loads(body)["error"]["data"]["reason"] == "path_not_declared"


async def test_oauth_metadata_beside_the_endpoint_passes() -> None:
    script, seen = answering(json_answer({"resource": "http://github.tools.svc:8080/mcp"}))
    path = "/.well-known/oauth-protected-resource/mcp"
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(
            f"GET http://github.tools.svc:8080{path} HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n".encode()
        )
        status, _, body = await client.answer()
    assert (status, json.loads(body)) == (200, {"resource": "http://github.tools.svc:8080/mcp"})
    assert seen[0][0].startswith(f"GET {path} ".encode())


async def test_http_inside_a_tunnel_is_decided_like_any_other() -> None:
    script, seen = answering(json_answer(result({"content": []})))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(
            b"CONNECT github.tools.svc:8080 HTTP/1.1\r\nhost: github.tools.svc:8080\r\nconnection: close\r\n\r\n"
        )
        assert (await client.head())[0] == 200
        inner = post(call("drop")).replace(b"http://github.tools.svc:8080/", b"/")
        await client.send(inner)
        refused = json.loads((await client.answer())[2])
        await client.send(post(call("search")).replace(b"http://github.tools.svc:8080/", b"/"))
        passed = json.loads((await client.answer())[2])
    assert refused["error"]["message"] == "Unknown tool: drop"
    assert passed == result({"content": []})
    assert len(seen) == 1


async def test_tls_inside_a_tunnel_to_an_mcp_backend_is_refused_in_tls() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(
                b"CONNECT github.tools.svc:8080 HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n"
            )
            await client.head()
            await client.send(b"\x16\x03\x01\x02\x00\x01\x00")
            assert await asyncio.wait_for(client.reader.read(), 5) == fatal_alert(Alert.ACCESS_DENIED)
        assert sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", "connect_refused")) == 1


async def test_an_idle_connection_is_closed_after_its_limit() -> None:
    limits = replace(Limits(), idle_seconds=0.1, drain_seconds=0.5)
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as client:
            assert await asyncio.wait_for(client.reader.read(), 5) == b""


async def test_a_head_that_trickles_is_refused_after_its_limit() -> None:
    limits = replace(Limits(), head_seconds=0.1, drain_seconds=0.5)
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as client:
            await client.send(b"POST http://gith")
            status, _, body = await client.answer()
    assert (status, json.loads(body)["reason"]) == (408, "head_timeout")


async def test_drain_ends_event_streams_politely_and_lets_calls_finish() -> None:
    streaming = asyncio.Event()
    finish = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: open\n\n")
            streaming.set()
            await reader.read()
            return
        await finish.wait()
        writer.write(json_answer(result({"content": []})))

    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as stream, client_of(port) as caller:
            await stream.send(
                b"GET http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
                b"accept: text/event-stream\r\n\r\n"
            )
            await stream.head()
            parts = stream.chunks()
            assert await anext(parts) == b": open\n\n"
            await caller.send(post(call("search")))
            await asyncio.wait_for(streaming.wait(), 5)
            draining = asyncio.get_running_loop().create_task(sidecar.drain())
            assert [part async for part in parts] == []
            finish.set()
            status, fields, _ = await caller.answer()
            await draining
    assert (status, fields["connection"]) == (200, "close")


async def test_a_refused_server_request_is_answered_to_the_server_and_hidden_from_the_client() -> None:
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    policy_limits = "    serverRequests: []\n"
    asked = {"jsonrpc": "2.0", "id": "s1", "method": "sampling/createMessage", "params": {}}

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await read_request(reader)
        message = json.loads(body)
        if "error" in message:
            answered.set_result(message)
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        writer.write(f"id: 7\ndata: {json.dumps(asked)}\n\n".encode())
        await answered
        writer.write(f"data: {json.dumps(result({}))}\n\n".encode())

    policy = POLICY.replace(
        "    prompts: {allow: [greet]}\n", "    prompts: {allow: [greet]}\n" + policy_limits
    )
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with client_of(port) as client:
            await client.send(post(call("search"), mcp_session_id="abc"))
            _, _, stream = await client.answer()
    assert (await answered)["id"] == "s1"
    assert b"sampling" not in stream
    assert b"id: 7\n" in stream


async def test_an_answer_before_the_end_of_an_upload_reaches_the_client() -> None:
    answered = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()
        answered.set()
        await reader.read()

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(
            b"POST http://plain.tools.svc:8081/up HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n"
            b"content-length: 100000\r\n\r\n" + b"x" * 1000
        )
        await asyncio.wait_for(answered.wait(), 5)
        status, _, body = await client.answer()
        await client.send(b"x" * 99000)
        closed = await asyncio.wait_for(client.reader.read(), 5)
    assert (status, body, closed) == (403, b"no", b"")


async def test_a_safe_request_is_sent_again_when_an_idle_connection_turns_out_to_be_closed() -> None:
    requests: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()
        requests.append(await reader.readuntil(b"\r\n\r\n"))

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        get = b"GET http://plain.tools.svc:8081/%d HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n"
        answers = []
        for number in range(2):
            await client.send(get % number)
            answers.append(await client.answer())
    assert [(status, body) for status, _, body in answers] == [(200, b"ok")] * 2
    assert [head.split(b" ")[1] for head in requests] == [b"/0", b"/1", b"/1"]


async def test_a_call_is_never_sent_twice() -> None:
    calls = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        while True:
            await read_request(reader)
            calls += 1
            if calls == 2:
                return
            writer.write(json_answer(result({})))

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        statuses = [(await client.rpc(call("search", n)))[0] for n in range(2)]
    assert (statuses, calls) == ([200, 502], 2)


async def test_a_client_that_waits_for_100_is_refused_without_its_body() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            await client.send(
                b"PUT http://evil.example.com/ HTTP/1.1\r\nhost: evil.example.com\r\n"
                b"expect: 100-continue\r\ncontent-length: 10\r\n\r\n"
            )
            status, fields, _ = await client.answer()
            rest = await asyncio.wait_for(client.reader.read(), 5)
    assert (status, fields["connection"], rest) == (403, "close", b"")


async def test_a_client_that_waits_for_100_gets_it_and_the_server_is_not_asked() -> None:
    script, seen = answering(json_answer(result({"content": []})))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        whole = post(call("search"), expect="100-continue")
        head, body = whole.split(b"\r\n\r\n", 1)
        await client.send(head + b"\r\n\r\n")
        interim, _ = await client.head()
        await client.send(body)
        status, _, _ = await client.answer()
    assert (interim, status) == (100, 200)
    assert b"expect" not in seen[0][0]


async def test_an_upload_to_a_backend_that_is_down_is_answered_and_the_rest_is_dropped() -> None:
    async with serving(answering(b"")[0]) as backend:
        free = backend.port
    async with sidecar_for(free) as (_, port), client_of(port) as client:
        size = 1_000_000
        await client.send(
            b"POST http://plain.tools.svc:8081/up HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n"
            b"content-length: %d\r\n\r\n" % size + b"x" * size
        )
        status, _, _ = await client.answer()
        await client.send(post(call("drop")))
        again, _, _ = await client.answer()
    assert (status, again) == (502, 200)


async def test_a_body_over_the_limit_says_that_the_connection_ends() -> None:
    limits = replace(Limits(), body_bytes=1000, drain_seconds=0.5)
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as client:
            await client.send(post(call("search", text="x" * 100_000)))
            status, fields, _ = await client.answer()
            rest = await asyncio.wait_for(client.reader.read(), 5)
    assert (status, fields["connection"], rest) == (413, "close", b"")
