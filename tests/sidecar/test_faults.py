"""What goes wrong on either side: each fault is told to the other side once, and costs no other request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest

from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.limits import Limits
from sidecar.telemetry import names
from tests.support.loopback import (
    ELSEWHERE,
    POLICY,
    TOOLS,
    Client,
    Script,
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
from tests.support.meshed import GITHUB, TRIAGE, Published, client_side, new_mesh, server_side
from tests.support.slow import cut, slow_client_of, until

LOOPS = ("asyncio", "uvloop")

MiB = 1024 * 1024
PLAIN = "http://plain.tools.svc:8081"
HOST = "host: plain.tools.svc:8081\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
OPEN_STREAM = (
    b"GET http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
    b"accept: text/event-stream\r\n\r\n"
)
OK = json_answer(result({"content": []}))
LIMITS = replace(Limits(), drain_seconds=0.5)


def plain(start: str = "GET", path: str = "/", body: bytes = b"", **fields: str) -> bytes:
    """A request to the plain HTTP Backend, in absolute form."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"{start} {PLAIN}{path} HTTP/1.1\r\n{HOST}{lines}\r\n".encode() + body


async def rest(client: Client) -> bytes:
    """Everything until the end of the connection, however it ends."""
    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            while data := await client.reader.read(65536):
                received += data
    return received


def idle(sidecar: Sidecar) -> bool:
    """No connection to a backend is busy."""
    return 'outrider_upstream_connections{state="busy"} 0' in sidecar.metrics.exposition()


# Requests that cannot be read.


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (b"GARBAGE\r\n\r\n", 400, "http_malformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "http_malformed"),
        (plain(bad="a\x01b"), 400, "http_bad_header"),
        (plain("POST", content_length="1, 2"), 400, "http_ambiguous_length"),
        (plain("POST", content_length="1", transfer_encoding="chunked"), 400, "http_ambiguous_length"),
        (plain("POST", body=b"zz\r\n", transfer_encoding="chunked"), 400, "http_bad_chunk"),
        (plain(x="y" * 40_000), 431, "http_head_too_large"),
        (plain(**{f"h{i}": "1" for i in range(120)}), 431, "http_head_too_large"),
        (plain(expect="200-ok"), 417, "http_expectation"),
        (plain().replace(b"HTTP/1.1", b"HTTP/2.0"), 505, "http_version"),
        (b"GET http://plain.tools.svc:8081/ HTTP/1.1\r\n\r\n", 400, "http_bad_host"),
        (plain().replace(b"host: plain", b"host: other"), 400, "http_bad_host"),
        (plain(upgrade="websocket", connection="upgrade"), 501, "http_upgrade"),
    ],
)
async def test_what_is_no_request_is_answered_once_and_ends_the_connection(
    request_: bytes, status: int, reason: str
) -> None:
    script, _ = answering(OK)
    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(request_)
            got, fields, body = await client.answer()
            after = await rest(client)
        counted = sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", Reason(reason)))
        await until(lambda: idle(sidecar))
    assert (got, json.loads(body)["reason"], fields["connection"]) == (status, reason, "close")
    assert (after, counted) == (b"", 1)


async def test_what_was_asked_before_the_garbage_is_answered_first() -> None:
    script, seen = answering(OK)
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post(call("search")) + b"GARBAGE\r\n\r\n")
        first, second = await client.answer(), await client.answer()
        after = await rest(client)
    assert (first[0], second[0], after, len(seen)) == (200, 400, b"", 1)


async def test_a_chunk_that_cannot_be_read_never_mixes_with_an_answer_that_has_begun() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun")
        await reader.read()

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(plain("POST", transfer_encoding="chunked"))
        status, _ = await client.head()
        assert await client.reader.readexactly(5) == b"begun"
        await client.send(b"zz\r\n")
        after = await rest(client)
    assert (status, after) == (200, b"")


@pytest.mark.parametrize("more", [b"zz\r\n", b"5\r\nhel"], ids=["malformed", "stalled"])
async def test_a_refused_request_is_answered_once_whatever_becomes_of_its_body(more: bytes) -> None:
    limits = replace(LIMITS, head_seconds=0.1)
    async with serving(answering(OK)[0]) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as client:
            await client.send(
                b"PUT http://evil.example.com/ HTTP/1.1\r\nhost: evil.example.com\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            status, _, _ = await client.answer()
            await client.send(more)
            after = await rest(client)
    assert (status, after) == (403, b"")


# Early refusals, with the body still on its way.


async def test_the_connection_serves_on_after_a_refusal_whose_body_was_still_coming() -> None:
    script, seen = answering(OK)
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        size = 300_000
        await client.send(
            b"PUT http://evil.example.com/ HTTP/1.1\r\nhost: evil.example.com\r\ncontent-length: %d\r\n\r\n"
            % size
        )
        refused, fields, _ = await client.answer()
        for _ in range(3):
            await client.send(b"x" * (size // 3))
        status, _ = await client.rpc(call("search"))
    assert (refused, fields.get("connection"), status, len(seen)) == (403, None, 200, 1)


async def test_a_body_without_end_that_nobody_wants_ends_the_connection() -> None:
    limits = replace(LIMITS, body_bytes=1000)
    async with serving(answering(OK)[0]) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as client:
            await client.send(
                b"PUT http://evil.example.com/ HTTP/1.1\r\nhost: evil.example.com\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            status, _, _ = await client.answer()
            sent = 0
            with contextlib.suppress(ConnectionError):
                while sent < 200 * MiB:
                    await client.send(b"100000\r\n" + b"x" * MiB + b"\r\n")
                    sent += MiB
    assert status == 403
    assert sent < 60 * MiB


# Pipelining.


async def test_refusals_between_requests_sent_ahead_keep_their_place() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            writer.write(json_answer(result({}, json.loads(body)["id"])))

    tools = ["search", "drop", "list_all"] * 10
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(b"".join(post(call(tool, n)) for n, tool in enumerate(tools)))
        answers = [json.loads((await client.answer())[2]) for _ in tools]
    assert [answer["id"] for answer in answers] == list(range(30))
    assert ["error" in answer for answer in answers] == [False, True, False] * 10


async def test_any_number_of_refusals_may_be_asked_for_at_once() -> None:
    """Each is answered within the reader's loop, so that no number of them runs out of stack."""
    many = 3000
    async with serving(answering(OK)[0]) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            sending = asyncio.get_running_loop().create_task(client.send(post(call("drop", 7)) * many))
            for _ in range(many):
                status, _, body = await client.answer()
                assert (status, json.loads(body)["id"]) == (200, 7)
            await sending


async def test_many_calls_sent_ahead_are_answered_in_order_though_reading_stops_in_between() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            writer.write(json_answer(result({}, json.loads(body)["id"])))

    many = 300
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        ahead = b"".join(post(call("search", n, text="x" * 2000)) for n in range(many))
        sending = asyncio.get_running_loop().create_task(client.send(ahead))
        ids = [json.loads((await client.answer())[2])["id"] for _ in range(many)]
        await sending
    assert ids == list(range(many))


# Bodies: chunked both ways, HEAD, statuses without a body.


async def test_a_chunked_call_is_read_whole_and_leaves_with_its_length() -> None:
    script, seen = answering(OK)
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        whole = post(call("search"))
        head, body = whole.split(b"\r\n\r\n", 1)
        fields = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
        await client.send(b"\r\n".join([*fields, b"transfer-encoding: chunked", b"", b""]))
        for octet in body:
            await client.send(b"1;ext=1\r\n%c\r\n" % octet)
        await client.send(b"0\r\ntrailer: dropped\r\n\r\n")
        status, _, _ = await client.answer()
        again, _ = await client.rpc(call("search"))
    assert (status, again) == (200, 200)
    assert json.loads(seen[0][1]) == call("search")
    assert b"content-length: %d\r\n" % len(body) in seen[0][0]
    assert b"trailer" not in seen[0][0] + seen[0][1]


async def test_a_chunked_json_answer_is_filtered_and_gets_a_length() -> None:
    body = json.dumps(result({"tools": TOOLS})).encode()
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7)
    )
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    script, _ = answering(answer + chunks + b"0\r\nx: y\r\n\r\n")
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
        status, fields, got = await client.answer()
    assert status == 200
    assert fields["content-length"] == str(len(got))
    assert [tool["name"] for tool in json.loads(got)["result"]["tools"]] == ["search", "list_all"]


async def test_an_answer_that_ends_with_its_connection_is_complete() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(
            b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + json.dumps(result(1)).encode()
        )

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        assert await client.rpc(call("search")) == (200, result(1))
        assert await client.rpc(call("search")) == (200, result(1))
        assert backend.connections == 2


@pytest.mark.parametrize(
    ("method", "answer", "status"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", 200),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n", 304),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204),
    ],
)
async def test_answers_without_a_body_leave_both_connections_in_step(
    method: str, answer: bytes, status: int
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        for _ in range(3):
            await client.send(plain(method))
            assert (await client.head())[0] == status
        assert backend.connections == 1


async def test_a_refused_head_gets_no_body() -> None:
    async with serving(answering(OK)[0]) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            await client.send(b"HEAD http://evil.example.com/ HTTP/1.1\r\nhost: evil.example.com\r\n\r\n")
            status, fields = await client.head()
            again, _ = await client.rpc(call("drop"))
    assert (status, again) == (403, 200)
    assert int(fields["content-length"]) > 0


async def test_http_1_0_gets_a_stream_without_chunks_and_no_word_more_at_drain() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + b": open\n\n")
        await reader.read()

    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(OPEN_STREAM.replace(b"HTTP/1.1", b"HTTP/1.0"))
            status, fields = await client.head()
            assert await asyncio.wait_for(client.reader.readexactly(8), 5) == b": open\n\n"
            draining = asyncio.get_running_loop().create_task(sidecar.drain())
            after = await rest(client)
            await draining
    assert (status, fields.get("transfer-encoding"), fields["connection"], after) == (200, None, "close", b"")


# Backends that fail.


def beginning(begun: bytes, *, reset: bool) -> Script:
    """Answer with `begun`, then close or reset the connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(begun)
        await writer.drain()
        if reset:
            cut(writer)

    return script


HALF_JSON = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"jsonrpc"'


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n",
        HALF_JSON,
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}",
    ],
)
async def test_a_server_that_goes_before_its_json_is_whole_is_a_502(begun: bytes, reset: bool) -> None:
    script = beginning(begun, reset=reset)
    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            first = await client.rpc(call("search", "a"))
            second = await client.rpc(call("search", "b"))
        failures = sidecar.metrics.value(names.UPSTREAM_FAILURES, ("github", Reason.UPSTREAM_RESET))
        await until(lambda: idle(sidecar))
    for ident, (status, answer) in zip("ab", (first, second), strict=True):
        assert (status, answer["id"]) == (502, ident)
        assert answer["error"]["data"]["reason"] == "upstream_reset"
    assert failures == 2


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize(
    ("ask", "begun"),
    [
        (
            OPEN_STREAM,
            STREAM_HEAD.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n3\r\n: a\r\n"),
        ),
        (plain(), b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
        (plain(), b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
    ],
    ids=["events", "length", "chunks"],
)
async def test_an_answer_that_is_cut_is_never_made_to_look_whole(
    ask: bytes, begun: bytes, reset: bool
) -> None:
    script = beginning(begun, reset=reset)
    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(ask)
            received = await rest(client)
        await until(lambda: idle(sidecar))
    _, _, body = received.partition(b"\r\n\r\n")
    assert not received.endswith(b"0\r\n\r\n")
    assert len(body) < 10


async def test_an_event_stream_that_ends_with_its_connection_is_whole() -> None:
    script = beginning(STREAM_HEAD + b"id: 7\n\n", reset=False)
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(OPEN_STREAM)
        _, _, body = await client.answer()
    assert body == b"id: 7\n\n"


@pytest.mark.parametrize(
    "surplus",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", b"x", b"\r\n"],
    ids=["answer", "byte", "line"],
)
@pytest.mark.parametrize("together", [True, False], ids=["at once", "later"])
async def test_bytes_that_nobody_asked_for_answer_no_later_request(surplus: bytes, together: bool) -> None:
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            answer = json_answer(result({}, json.loads(body)["id"]))
            if together:
                writer.write(answer + surplus)
            else:
                writer.write(answer)
                await go_on.wait()
                writer.write(surplus)

    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            first = await client.rpc(call("search", 1))
            go_on.set()
            await until(lambda: 'state="idle"} 0' in sidecar.metrics.exposition())
            second = await client.rpc(call("search", 2))
        assert backend.connections == 2
    assert (first, second) == ((200, result({}, 1)), (200, result({}, 2)))


async def test_a_server_that_closes_while_idle_costs_no_request() -> None:
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()
        closed.set()

    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            for _ in range(3):
                closed.clear()
                assert (await client.rpc(call("search")))[0] == 200
                await asyncio.wait_for(closed.wait(), 5)
                await until(lambda: 'state="idle"} 0' in sidecar.metrics.exposition())
        assert backend.connections == 3


@pytest.mark.parametrize(
    "framing", [{"content_length": "100"}, {"transfer_encoding": "chunked"}], ids=["length", "chunked"]
)
async def test_a_connection_whose_request_was_never_whole_carries_no_other(framing: dict[str, str]) -> None:
    """What came next on it would be read as the rest of that request's body."""
    answered = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        answered.set()
        if head.startswith(b"POST"):
            await reader.read()

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as uploading, client_of(port) as other:
            await uploading.send(plain("POST", **framing))
            await asyncio.wait_for(answered.wait(), 5)
            early, _, _ = await uploading.answer()
            await other.send(plain())
            status, _, body = await other.answer()
        assert (early, status, body, backend.connections) == (200, 200, b"ok", 2)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "upstream_malformed",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, "upstream_malformed"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 40_000 + b"\r\n\r\n", "upstream_malformed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\n", "upstream_malformed"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", "upstream_malformed"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz",
            "upstream_malformed",
        ),
        (json_answer(b"x" * 3000), "http_body_too_large"),
        (json_answer(b""), None),
    ],
)
async def test_an_answer_that_cannot_be_passed_is_told_with_its_reason(
    answer: bytes, reason: str | None
) -> None:
    limits = replace(LIMITS, body_bytes=2000)
    script, _ = answering(answer)
    async with serving(script) as backend, sidecar_for(backend.port, limits=limits) as (sidecar, port):
        async with client_of(port) as client:
            status, reply = await client.rpc(call("search"))
            again, _ = await client.rpc(call("drop"))
        await until(lambda: idle(sidecar))
    if reason is None:
        assert (status, reply) == (200, None)
    else:
        assert (status, reply["error"]["data"]["reason"]) == (502, reason)
    assert again == 200


async def test_a_stream_that_goes_bad_is_cut_and_its_server_is_told() -> None:
    gone = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + b"data: \xff\n\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(OPEN_STREAM)
        received = await rest(client)
        await asyncio.wait_for(gone.wait(), 5)
    assert not received.endswith(b"0\r\n\r\n")


async def test_too_many_connections_to_one_backend_are_a_503_and_the_next_ones_pass() -> None:
    go_on, waiting = asyncio.Event(), asyncio.Semaphore(0)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            waiting.release()
            await go_on.wait()
            writer.write(OK)

    limits = replace(LIMITS, upstream_connections=2)
    async with serving(script) as backend, sidecar_for(backend.port, limits=limits) as (_, port):
        async with client_of(port) as one, client_of(port) as two, client_of(port) as three:
            for client in (one, two):
                await client.send(post(call("search")))
                await asyncio.wait_for(waiting.acquire(), 5)
            status, answer = await three.rpc(call("search"))
            go_on.set()
            first, second = await one.answer(), await two.answer()
            later, _ = await three.rpc(call("search"))
    assert (status, answer["error"]["data"]["reason"]) == (503, "too_many_connections")
    assert (first[0], second[0], later) == (200, 200, 200)


# Slow sides.


async def test_a_slow_client_gets_its_answer_and_leaves_the_connection_fit_for_the_next() -> None:
    """An answer larger than every buffer: the backend's connection is paused in the middle and used again."""
    body = result({"content": "x" * (3 * MiB)})
    script, _ = answering(json_answer(body), OK)
    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with slow_client_of(port) as slow, client_of(port) as quick:
            await slow.send(post(call("search")))
            await until(lambda: 'state="idle"} 1' in sidecar.metrics.exposition())
            status, answer = await quick.rpc(call("search"))
            received = await slow.answer()
        assert backend.connections == 1
    assert (status, answer) == (200, result({"content": []}))
    assert (received[0], len(received[2])) == (200, len(json.dumps(body, separators=(",", ":"))))


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_slow_reader_of_plain_http_holds_the_server_back(framing: str) -> None:
    size, piece = 64 * MiB, b"x" * 65536
    written, stalled = 0, asyncio.Event()
    field = b"content-length: %d" % size if framing == "length" else b"transfer-encoding: chunked"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % field)
        while written < size:
            writer.write(piece if framing == "length" else b"10000\r\n%b\r\n" % piece)
            written += len(piece)
            try:
                async with asyncio.timeout(0 if stalled.is_set() else 1):
                    await writer.drain()
            except TimeoutError:
                stalled.set()
                await writer.drain()
        if framing == "chunked":
            writer.write(b"0\r\n\r\n")

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port):
        async with slow_client_of(port) as client:
            await client.send(plain())
            await asyncio.wait_for(stalled.wait(), 20)
            held = written
            await client.head()
            received = 0
            if framing == "length":
                while received < size:
                    received += len(await client.reader.read(MiB))
            else:
                async for part in client.chunks():
                    received += len(part)
    assert held < 32 * MiB
    assert received == size


async def test_a_server_that_does_not_read_holds_an_upload_back() -> None:
    go_on = asyncio.Event()
    size = 64 * MiB
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await go_on.wait()
        received = 0
        while received < size:
            received += len(await reader.read(MiB))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(plain("POST", content_length=str(size)))
        with contextlib.suppress(TimeoutError):
            while sent < size:
                client.writer.write(b"x" * 65536)
                sent += 65536
                async with asyncio.timeout(1):
                    await client.writer.drain()
        held = sent
        go_on.set()
        while sent < size:
            client.writer.write(b"x" * 65536)
            sent += 65536
            await client.writer.drain()
        status, _, body = await client.answer()
    assert held < 32 * MiB
    assert (status, body) == (200, b"ok")


async def test_a_slow_reader_in_a_tunnel_holds_the_server_back_and_loses_nothing() -> None:
    size = 64 * MiB
    written, stalled = 0, asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        while written < size:
            writer.write(b"x" * 65536)
            written += 65536
            try:
                async with asyncio.timeout(0 if stalled.is_set() else 1):
                    await writer.drain()
            except TimeoutError:
                stalled.set()
                await writer.drain()
        await reader.read()

    policy = POLICY.replace("spec:\n  outbound:", "spec:\n  egress: allow\n  outbound:")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with slow_client_of(port) as client:
            await client.send(f"CONNECT {ELSEWHERE} HTTP/1.1\r\nhost: {ELSEWHERE}\r\n\r\n".encode())
            await asyncio.wait_for(stalled.wait(), 20)
            held = written
            assert (await client.head())[0] == 200
            received = 0
            while received < size:
                received += len(await client.reader.read(MiB))
    assert held < 32 * MiB
    assert received == size


async def test_a_slow_reader_behind_two_sidecars_holds_the_server_back() -> None:
    mesh = new_mesh()
    note = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n' * 1000
    written, stalled = 0, asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(STREAM_HEAD)
        with contextlib.suppress(TimeoutError):
            while written < 100 * MiB:
                writer.write(note)
                written += len(note)
                async with asyncio.timeout(1):
                    await writer.drain()
        stalled.set()

    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (_, inbound),
        client_side(Published(mesh.identity(TRIAGE)), inbound) as (_, port),
        slow_client_of(port) as client,
    ):
        await client.send(OPEN_STREAM)
        await asyncio.wait_for(stalled.wait(), 30)
    assert written < 60 * MiB


# Clients that leave.


async def missed_within_a_second(gone: asyncio.Event) -> bool:
    """Whether the server noticed in time; in the end it must notice in any case."""
    try:
        await asyncio.wait_for(gone.wait(), 1)
    except TimeoutError:
        await asyncio.wait_for(gone.wait(), 10)
        return False
    return True


async def leave(ask: bytes, begun: bytes, *, through_mesh: bool) -> bool:
    """Ask, wait until the server has answered as far as it does, leave: does the server notice in a second?"""
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(begun)
        await writer.drain()
        arrived.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass
        gone.set()

    async with contextlib.AsyncExitStack() as stack:
        backend = await stack.enter_async_context(serving(script))
        if through_mesh:
            mesh = new_mesh()
            server, client = Published(mesh.identity(GITHUB)), Published(mesh.identity(TRIAGE))
            _, inbound = await stack.enter_async_context(server_side(server, backend.port))
            sidecar, port = await stack.enter_async_context(client_side(client, inbound))
        else:
            sidecar, port = await stack.enter_async_context(sidecar_for(backend.port))
        async with client_of(port) as leaving:
            await leaving.send(ask)
            await asyncio.wait_for(arrived.wait(), 5)
            if begun.startswith(STREAM_HEAD):
                await leaving.head()
                await anext(leaving.chunks())
        in_time = await missed_within_a_second(gone)
        await until(lambda: idle(sidecar))
    return in_time


async def leave_and_miss(ask: bytes, begun: bytes, *, through_mesh: bool = False) -> None:
    """Once in three is enough: a busy machine may stop us all for a second, but not each time."""
    for _ in range(3):
        if await leave(ask, begun, through_mesh=through_mesh):
            return
    pytest.fail("the server did not notice within a second")


@pytest.mark.parametrize("through_mesh", [False, True], ids=["one sidecar", "two sidecars"])
@pytest.mark.parametrize(
    ("ask", "begun"),
    [
        (post(call("search")), b""),
        (post(call("search")), b"HTTP/1.1 20"),
        (post(call("search")), HALF_JSON),
        (OPEN_STREAM, STREAM_HEAD + b": open\n\n"),
        (post(call("search")), STREAM_HEAD + b": open\n\n"),
    ],
    ids=["waiting", "in the head", "in JSON", "in a GET stream", "in a POST stream"],
)
async def test_the_server_hears_within_a_second_that_the_client_left(
    ask: bytes, begun: bytes, through_mesh: bool
) -> None:
    await leave_and_miss(ask, begun, through_mesh=through_mesh)


@pytest.mark.parametrize(
    "ask",
    [
        plain("POST", content_length="100", body=b"half"),
        plain("POST", transfer_encoding="chunked", body=b"4\r\nhalf\r\n"),
    ],
)
async def test_the_server_hears_that_an_upload_was_given_up(ask: bytes) -> None:
    await leave_and_miss(ask, b"")


async def test_a_client_that_leaves_while_the_connection_is_made_ends_the_attempt() -> None:
    """A server that accepts but never says a word of TLS."""
    accepted, gone = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass
        gone.set()

    identity = Published(new_mesh().identity(TRIAGE))
    async with serving(script) as backend, client_side(identity, backend.port) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(post(call("search")))
            await asyncio.wait_for(accepted.wait(), 5)
        await asyncio.wait_for(gone.wait(), 1)
        await until(lambda: idle(sidecar))


async def test_a_call_given_up_before_it_was_whole_never_reaches_the_server() -> None:
    script, seen = answering(OK)
    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(post(call("search"))[:-1])
        await until(lambda: 'listener="forward"} 0' in sidecar.metrics.exposition())
        assert (backend.connections, seen) == (0, [])


# Many.


async def test_a_thousand_idle_connections_are_kept_and_served() -> None:
    script, _ = answering(OK)
    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, port):
        async with contextlib.AsyncExitStack() as stack:
            clients: list[Client] = []
            for _ in range(20):
                batch = [stack.enter_async_context(client_of(port)) for _ in range(50)]
                clients += await asyncio.gather(*batch)
            await until(lambda: 'listener="forward"} 1000.0' in sidecar.metrics.exposition())
            for client in clients[::100]:
                assert (await client.rpc(call("search")))[0] == 200
        await until(lambda: 'listener="forward"} 0.0' in sidecar.metrics.exposition(), 10)


async def test_requests_of_many_clients_do_not_mix() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            message = json.loads(body)
            writer.write(json_answer(result(message["params"]["arguments"], message["id"])))

    async def visit(port: int, number: int) -> None:
        async with client_of(port) as client:
            for ident in range(10):
                answer: Any = await client.rpc(call("search", ident, who=number))
                assert answer == (200, result({"who": number}, ident))

    async with serving(script) as backend, sidecar_for(backend.port) as (_, port):
        await asyncio.gather(*(visit(port, number) for number in range(50)))
