"""The sidecar's own requests: few at once, none for long, and nothing left behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mesh.reasons import Reason
from sidecar.limits import Limits
from sidecar.proxy.errand import MOST_AT_ONCE, MOST_SECONDS, Errands, endpoint_target
from sidecar.proxy.plan import Plan, Routed, Treatment
from sidecar.proxy.pool import ConnectFailed, Destination, Pool
from sidecar.proxy.ticker import Ticker
from sidecar.telemetry import names
from tests.support.fakes import AGENT, Clock, FakeTransport, recorder, request_head, settled

ERROR = {"jsonrpc": "2.0", "id": "s1", "error": {"code": -32603, "message": "no"}}
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


class Server:
    """A dialer that connects at once, unless it is told not to; and the connections that it made."""

    def __init__(self) -> None:
        self.transports: list[FakeTransport] = []
        self.failure: ConnectFailed | None = None
        self.deaf = False

    async def dial(self, destination: Destination, protocol: Any) -> None:
        if self.failure is not None:
            raise self.failure
        if self.deaf:
            await asyncio.Event().wait()
        self.transports.append(FakeTransport(protocol))
        protocol.connection_made(self.transports[-1])

    def answer(self, data: bytes) -> None:
        for transport in self.transports:
            transport.protocol.data_received(data)

    def cut_off(self) -> int:
        return sum(transport.aborted for transport in self.transports)


class Scene:
    """Errands over a pool whose time stands still."""

    def __init__(self) -> None:
        self.server, self.clock = Server(), Clock()
        self.ticker = Ticker(1.0, self.clock)
        self.pool = Pool(self.server, Limits(), self.ticker, self.clock)
        written, self.lines = recorder()
        self.errands = Errands(self.pool, written)
        self.counted = written.metrics

    def ask(self, times: int = 1, host: str = "github.tools.svc") -> None:
        for _ in range(times):
            self.errands.answer_server(plan(host), ERROR)

    def unanswered(self) -> float:
        return self.counted.value(names.UPSTREAM_FAILURES, ("github", Reason.SERVER_REQUEST_UNANSWERED))


def plan(host: str) -> Plan:
    routed = Routed("outbound", b"/mcp", "/mcp", b"x", Destination(host, 8080), None, "github", Treatment.MCP)
    return Plan(request_head("GET http://x/mcp", host="x"), AGENT, routed, Treatment.MCP, None)


async def test_few_are_under_way_at_once_for_a_destination_and_the_rest_are_counted() -> None:
    scene = Scene()
    scene.ask(3000)
    scene.ask(1, "other.tools.svc")
    await settled()
    assert len(scene.server.transports) == MOST_AT_ONCE + 1
    assert scene.unanswered() == 3000 - MOST_AT_ONCE
    assert {fields["reason"] for _, fields in scene.lines.lines} == {Reason.SERVER_REQUEST_UNANSWERED}


async def test_each_that_is_answered_makes_room_for_another_on_the_same_connection() -> None:
    scene = Scene()
    for _ in range(10):
        scene.ask()
        await settled()
        scene.server.answer(ACCEPTED)
    assert len(scene.server.transports) == 1
    assert scene.server.transports[0].written.count(b"POST /mcp HTTP/1.1") == 10
    assert scene.unanswered() == 0


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"", id="silence"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="interim answers"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", id="a stream"),
    ],
)
async def test_one_that_is_not_over_in_time_is_cut_off_whatever_the_server_sends(piece: bytes) -> None:
    scene = Scene()
    scene.ask()
    await settled()
    if piece:
        scene.server.answer(piece)
    scene.clock.now += MOST_SECONDS - 1
    scene.ticker.expire_due()
    if b"stream" in piece:
        scene.server.answer(b": still here\n\n")
    assert scene.server.cut_off() == 0
    scene.clock.now += 2
    scene.ticker.expire_due()
    assert scene.server.cut_off() == 1
    assert scene.unanswered() == 1
    await settled()
    assert scene.pool.counts() == {("idle",): 0, ("busy",): 0}


async def test_one_that_cannot_connect_in_time_is_given_up() -> None:
    scene = Scene()
    scene.server.deaf = True
    scene.ask(MOST_AT_ONCE)
    await settled()
    scene.clock.now += MOST_SECONDS
    scene.ticker.expire_due()
    await settled()
    assert scene.unanswered() == MOST_AT_ONCE
    assert scene.pool.counts() == {("idle",): 0, ("busy",): 0}
    scene.server.deaf = False
    scene.ask()
    await settled()
    assert len(scene.server.transports) == 1


async def test_those_that_fail_leave_nothing_behind() -> None:
    scene = Scene()
    scene.server.failure = ConnectFailed(Reason.UPSTREAM_UNREACHABLE, "refused")
    for _ in range(3 * MOST_AT_ONCE):
        scene.ask()
        await settled()
    assert scene.unanswered() == 0
    failures = scene.counted.value(names.UPSTREAM_FAILURES, ("github", Reason.UPSTREAM_UNREACHABLE))
    assert failures == 3 * MOST_AT_ONCE
    scene.clock.now += 2 * MOST_SECONDS
    scene.ticker.expire_due()
    assert scene.unanswered() == 0


async def test_a_connection_that_is_lost_ends_its_errand() -> None:
    scene = Scene()
    scene.ask(MOST_AT_ONCE)
    await settled()
    for transport in scene.server.transports:
        transport.close()
    await settled()
    scene.ask()
    await settled()
    assert len(scene.server.transports) == MOST_AT_ONCE + 1
    assert scene.unanswered() == 0


@pytest.mark.parametrize(
    ("data", "path", "target"),
    [
        ("/messages?session_id=1", "/messages", b"/messages?session_id=1"),
        ("/messages", "/messages", b"/messages"),
        ("/messages?", "/messages", b"/messages"),
        ("messages?a=1&b=/x?y", "/mcp/messages", b"/mcp/messages?a=1&b=/x?y"),
        ("?session_id=1#part", "/mcp", b"/mcp?session_id=1"),
        ("", "/mcp", b"/mcp?own=1"),
        ("http://x:8080/m?s=1", "/m", b"/m?s=1"),
        ('/m?a b"<>\u00e9', "/m", b"/m?a%20b%22%3C%3E%C3%A9"),
        ("/m?a HTTP/1.1\r\nx: y\n\nz", "/m", b"/m?a%20HTTP/1.1x:%20yz"),
    ],
)
def test_an_errand_goes_to_the_announced_path_and_query(data: str, path: str, target: bytes) -> None:
    asked = plan("x")
    asked.routed = replace(asked.routed, path=b"/mcp?own=1")
    assert endpoint_target(asked, data, path) == target
