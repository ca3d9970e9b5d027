"""Rate limits through a whole sidecar: who is refused, what it is told, and what is left of it afterwards."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from sidecar.app import Sidecar
from sidecar.rates.shared import Entry, StoreUnavailable
from sidecar.telemetry import names
from tests.support.loopback import (
    POLICY,
    Client,
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
from tests.support.meshed import GITHUB, SERVER_POLICY, TRIAGE, Published, client_side, new_mesh, server_side

ANSWER = json_answer(result({"content": []}))


def limited(rate: str, backend: str = "github", mode: str = "enforce") -> str:
    """The usual policy, whose rule about a Backend has this limit."""
    marker = f"  - backend: {backend}\n"
    assert marker in POLICY
    policy = POLICY.replace(marker, f"{marker}    rateLimit: {rate}\n", 1)
    return policy.replace("spec:\n  outbound:", f"spec:\n  mode: {mode}\n  outbound:", 1)


async def asked(client: Client, message: Any) -> tuple[int, dict[str, str], Any]:
    """Status, fields and JSON of the answer to a message."""
    await client.send(post(message))
    status, fields, body = await client.answer()
    return status, fields, json.loads(body) if body else None


def refusals(sidecar: Sidecar, reason: str = "rate_limited", backend: str = "github") -> int:
    """How many the counter says."""
    return sidecar.metrics.value(names.RATE_LIMITED, ("outbound", backend, reason))


async def test_what_comes_too_often_is_an_error_that_says_when_to_ask_again() -> None:
    script, seen = answering(ANSWER)
    policy = limited("{requests: 2, per: hour}")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        async with client_of(port) as client:
            assert [(await asked(client, call("search")))[0] for _ in range(2)] == [200, 200]
            status, fields, got = await asked(client, call("search", 7))
            assert (await asked(client, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))[0] == 200
        assert refusals(sidecar) == 1
    assert status == 200
    assert got["id"] == 7
    assert got["error"]["code"] == -31031
    data = got["error"]["data"]
    assert data["reason"] == "rate_limited"
    assert 1798 <= data["retryAfterSeconds"] <= 1800
    assert int(fields["retry-after"]) == -(-data["retryAfterSeconds"] // 1)
    assert len(seen) == 3


async def test_the_rate_of_a_tool_counts_its_calls_only() -> None:
    script, seen = answering(ANSWER)
    policy = limited('{tools: {"list_*": {requests: 1, per: hour}}}')
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with client_of(port) as client:
            tools = ["list_a", "search", "list_b", "search"]
            answers = [(await asked(client, call(tool)))[2] for tool in tools]
    assert ["error" in answer for answer in answers] == [False, False, True, False]
    assert len(seen) == 3


async def test_a_batch_takes_one_for_each_of_its_messages_or_none() -> None:
    script, seen = answering(json_answer([result({}, 1), result({}, 2)]))
    policy = limited("{requests: 3, per: hour}")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with client_of(port) as client:
            batch = [call("search", 1), call("search", 2)]
            first = (await asked(client, batch))[2]
            second = (await asked(client, batch))[2]
            third = (await asked(client, [call("search", 1)]))[2]
            never = (await asked(client, [call("search", n) for n in range(4)]))[1:]
    assert "result" in first[0]
    assert [one["error"]["data"]["reason"] for one in second] == ["rate_limited"] * 2
    assert "result" in third[0]
    assert "retry-after" not in never[0]
    assert "retryAfterSeconds" not in never[1][0]["error"]["data"]
    assert len(seen) == 2


async def test_what_the_policy_refuses_takes_nothing() -> None:
    script, seen = answering(ANSWER)
    policy = limited("{requests: 1, per: hour}")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        async with client_of(port) as client:
            await asked(client, call("drop"))
            assert "result" in (await asked(client, call("search")))[2]
        assert refusals(sidecar) == 0
    assert len(seen) == 1


async def test_plain_http_is_refused_by_a_status() -> None:
    script, seen = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    policy = limited("{requests: 1, per: hour}", "plain")
    request = b"GET http://plain.tools.svc:8081/x HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n"
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(request)
            assert (await client.answer())[0] == 200
            await client.send(request)
            status, fields, body = await client.answer()
        assert refusals(sidecar, backend="plain") == 1
    assert status == 429
    assert 3500 < int(fields["retry-after"]) <= 3600
    assert json.loads(body)["reason"] == "rate_limited"
    assert len(seen) == 1


async def test_a_policy_in_mode_observe_counts_and_lets_pass() -> None:
    script, seen = answering(ANSWER)
    policy = limited("{requests: 1, per: hour, resultBytes: 10}", mode="observe")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        async with client_of(port) as client:
            for _ in range(3):
                assert "result" in (await asked(client, call("search")))[2]
        assert refusals(sidecar) == 0
        assert sidecar.metrics.value(names.OBSERVED, ("outbound", "github", "rate_limited")) == 2
        assert sidecar.metrics.value(names.OBSERVED, ("outbound", "github", "result_too_large")) == 3
    assert len(seen) == 3


async def test_as_many_as_are_allowed_are_under_way_and_no_more() -> None:
    release = asyncio.Event()
    begun = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            begun.set()
            await release.wait()
            writer.write(ANSWER)

    policy = limited("{concurrent: 1}")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        async with client_of(port) as one, client_of(port) as two:
            await one.send(post(call("search")))
            await begun.wait()
            got = (await asked(two, call("search")))[2]
            release.set()
            await one.answer()
            assert "result" in (await asked(two, call("search")))[2]
        assert refusals(sidecar, "too_many_concurrent") == 1
    assert got["error"]["data"] == {"reason": "too_many_concurrent", "retryAfterSeconds": 1}


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_that_is_too_large_is_an_error_in_its_place(chunked: bool) -> None:
    large = json.dumps(result({"content": [{"type": "text", "text": "x" * 500}]})).encode()
    answer = json_answer(large)
    if chunked:
        answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        answer += b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), large)
    script, _ = answering(answer)
    policy = limited("{resultBytes: 200}")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        async with client_of(port) as client:
            status, _, got = await asked(client, call("search", 5))
        assert refusals(sidecar, "result_too_large") == 1
    assert status == 200
    assert (got["id"], got["error"]["code"]) == (5, -31033)
    assert got["error"]["data"] == {"reason": "result_too_large"}


async def test_an_event_that_is_too_large_is_an_error_and_the_stream_goes_on() -> None:
    notification = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * 500}}
    small = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "y"}}
    large = result({"content": [{"type": "text", "text": "x" * 500}]}, 3)
    events = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in (notification, small, large))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    script, _ = answering(head + b"content-length: %d\r\n\r\n" % len(events) + events)
    policy = limited("{resultBytes: 200}")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with client_of(port) as client:
            await client.send(post(call("search", 3)))
            _, _, body = await client.answer()
    told = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]
    assert told[0] == small
    assert told[1]["error"]["data"] == {"reason": "result_too_large"}
    assert len(told) == 2


# However a request ends, its slot is given back.


async def _answers_whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(ANSWER)


async def _answers_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(ANSWER[:-5])
    await writer.drain()


async def _answers_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _answers_rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi")


async def _streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    event = json.dumps(result({"content": []}))
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    writer.write(f"data: {event}\n\n".encode())
    await writer.drain()


async def _streams_and_stays(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {}\n\n")
    await reader.read()


async def _waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


ENDINGS = [
    _answers_whole,
    _answers_half,
    _answers_nothing,
    _answers_rubbish,
    _streams,
    _streams_and_stays,
    _waits,
]


def _busy(sidecar: Sidecar) -> bool:
    rates = sidecar.pipeline.rates
    assert rates is not None
    return any(account.busy for account in rates._meter._accounts.values())


@pytest.mark.parametrize("seed", range(6))
async def test_slots_return_to_none_however_requests_end(seed: int) -> None:
    chance, healed = random.Random(seed), list[bool]()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await (_answers_whole if healed else chance.choice(ENDINGS))(reader, writer)

    async def one(port: int) -> None:
        async with client_of(port) as client:
            message = chance.choice([call("search"), [call("search", 1), call("list_a", 2)], call("drop")])
            data = post(message)
            await client.send(data[: chance.choice([len(data), len(data), len(data) // 2])])
            try:
                async with asyncio.timeout(chance.choice([0.0, 0.01, 0.05])):
                    await client.answer()
            except (TimeoutError, asyncio.IncompleteReadError, ValueError, ConnectionError):
                return

    policy = limited("{concurrent: 12, requests: 1000, per: second}")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        await asyncio.gather(*(one(port) for _ in range(40)))
        async with asyncio.timeout(10):
            while _busy(sidecar):
                await asyncio.sleep(0.01)
        healed.append(True)
        async with client_of(port) as client:
            assert "result" in (await asked(client, call("search")))[2]


async def test_a_stream_that_only_listens_is_not_under_way() -> None:
    release = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n")
            await release.wait()
        writer.write(ANSWER)
        await writer.drain()

    policy = limited("{concurrent: 1, requests: 1, per: hour}")
    listen = b"GET http://github.tools.svc:8080/mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n"
    listen += b"accept: text/event-stream\r\n\r\n"
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with client_of(port) as stream, client_of(port) as client:
            await stream.send(listen)
            assert (await stream.head())[0] == 200
            assert "result" in (await asked(client, call("search")))[2]
            release.set()


@pytest.mark.parametrize(
    ("failure", "reasons"),
    [("open", [None, "rate_limited"]), ("closed", ["rate_store_unavailable"] * 2)],
)
async def test_without_a_store_shared_limits_do_what_their_failure_mode_says(
    failure: str, reasons: list[str | None]
) -> None:
    script, _ = answering(ANSWER)
    policy = limited(f"{{requests: 1, per: hour, shared: true, failureMode: {failure}}}")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with client_of(port) as client:
            got = [(await asked(client, call("search")))[2] for _ in range(2)]
    assert [one["error"]["data"]["reason"] if "error" in one else None for one in got] == reasons


async def test_a_guardrail_that_blocks_has_taken_its_token() -> None:
    script, seen = answering(ANSWER)
    marker = "  - backend: github\n"
    policy = limited("{requests: 1, per: hour}").replace(
        marker, f"{marker}    guardrails: {{terms: {{action: block, words: [secretword]}}}}\n", 1
    )
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (_, port):
        async with client_of(port) as client:
            blocked = (await asked(client, call("search", q="secretword")))[2]
            after = (await asked(client, call("search")))[2]
    assert [one["error"]["data"]["reason"] for one in (blocked, after)] == ["guard_term", "rate_limited"]
    assert seen == []


@pytest.mark.parametrize("length", [True, False])
async def test_plain_http_that_is_too_large_is_refused_or_cut_off(length: bool) -> None:
    body = b"x" * 500
    if length:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + body
    else:
        answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1f4\r\n" + body + b"\r\n0\r\n\r\n"
    script, _ = answering(answer)
    policy = limited("{resultBytes: 100}", "plain")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        async with client_of(port) as client:
            await client.send(
                b"GET http://plain.tools.svc:8081/x HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n"
            )
            if length:
                status, _, told = await client.answer()
                assert (status, json.loads(told)["reason"]) == (502, "result_too_large")
            else:
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError, ValueError)):
                    await client.answer()
        assert refusals(sidecar, "result_too_large", "plain") == 1


async def test_a_sidecar_whose_policy_limits_nothing_counts_nothing() -> None:
    script, _ = answering(ANSWER)
    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, _):
        assert sidecar.pipeline.rates is None


async def test_each_peer_of_a_workload_has_a_count_of_its_own() -> None:
    mesh, other = new_mesh(), "spiffe://test.mesh/ns/agents/sa/other"
    script, seen = answering(ANSWER)
    rule = f'  - from: ["{TRIAGE}", "{other}"]\n    rateLimit: {{requests: 1, per: hour}}\n'
    policy = SERVER_POLICY.replace(f'  - from: ["{TRIAGE}"]\n', rule)
    got: list[tuple[str, str | None]] = []
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=policy) as (server, inbound),
    ):
        for peer in (TRIAGE, other):
            async with (
                client_side(Published(mesh.identity(peer)), inbound) as (_, port),
                client_of(port) as one,
            ):
                for _ in range(2):
                    answer = (await asked(one, call("search")))[2]
                    got.append((peer, answer["error"]["data"]["reason"] if "error" in answer else None))
        counted = server.metrics.value(names.RATE_LIMITED, ("inbound", "application", "rate_limited"))
    assert got == [(TRIAGE, None), (TRIAGE, "rate_limited"), (other, None), (other, "rate_limited")]
    assert (len(seen), counted) == (2, 2)


class FakeStore:
    """A store that says what the test wants, when it wants; and what it was asked."""

    def __init__(self, *waits: int) -> None:
        self.answers = True
        self.waits = list(waits)
        self.asked: list[Sequence[Entry]] = []
        self.go = asyncio.Event()

    async def take(self, entries: Sequence[Entry]) -> tuple[int, int]:
        self.asked.append(entries)
        await self.go.wait()
        wait = self.waits.pop(0)
        if wait == -2:
            raise StoreUnavailable("gone")
        return wait, 0 if wait else -1

    async def close(self) -> None:
        """Nothing is open."""


def with_store(sidecar: Sidecar, store: FakeStore) -> FakeStore:
    sidecar._rate_store = store  # type: ignore[assignment]
    return store


@pytest.mark.parametrize("failure", ["open", "closed"])
async def test_the_store_is_asked_before_content_is_looked_at_and_may_say_no(failure: str) -> None:
    script, seen = answering(ANSWER)
    marker = "  - backend: github\n"
    policy = limited(f"{{requests: 9, per: hour, shared: true, failureMode: {failure}}}").replace(
        marker, f"{marker}    guardrails: {{pii: mask}}\n", 1
    )
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        store = with_store(sidecar, FakeStore(0, 1_500_000_000, -2))
        store.go.set()
        async with client_of(port) as client:
            passed = (await asked(client, call("search", q="to jane.doe@example.com")))[2]
            _, fields, full = await asked(client, call("search"))
            gone = (await asked(client, call("search")))[2]
    assert "result" in passed
    assert b"jane.doe" not in seen[0][1]
    assert full["error"]["data"] == {"reason": "rate_limited", "retryAfterSeconds": 1.5}
    assert fields["retry-after"] == "2"
    assert ("error" in gone) is (failure == "closed")
    assert [one.more for one in store.asked[0]] == [1]


async def test_a_client_that_goes_while_the_store_is_asked_leaves_nothing_behind() -> None:
    script, seen = answering(ANSWER)
    policy = limited("{requests: 9, per: hour, shared: true, concurrent: 1}")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        store = with_store(sidecar, FakeStore(0, 0))
        async with client_of(port) as client:
            await client.send(post(call("search")))
            while not store.asked:
                await asyncio.sleep(0)
            assert _busy(sidecar)
        while _busy(sidecar):
            await asyncio.sleep(0.01)
        store.go.set()
        async with client_of(port) as client:
            assert "result" in (await asked(client, call("search")))[2]
    assert len(seen) == 1


async def test_plain_http_waits_for_the_store_and_its_body_follows() -> None:
    script, seen = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    policy = limited("{requests: 9, per: hour, shared: true}", "plain")
    head = b"POST http://plain.tools.svc:8081/x HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n"
    head += b"content-length: 6\r\n\r\n"
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        store = with_store(sidecar, FakeStore(0, 2_000_000_000))
        async with client_of(port) as client:
            await client.send(head + b"abc")
            while not store.asked:
                await asyncio.sleep(0)
            await client.send(b"def")
            store.go.set()
            assert (await client.answer())[0] == 200
            await client.send(head + b"abcdef")
            status, fields, _ = await client.answer()
    assert (status, fields["retry-after"]) == (429, "2")
    assert [body for _, body in seen] == [b"abcdef"]
