"""The pages of the telemetry port."""

from __future__ import annotations

import json

import pytest

from mesh.reasons import Reason
from sidecar.proxy.ticker import Ticker
from sidecar.readiness import IdentityHealth, IdentityState, Obstacle, Readiness
from sidecar.telemetry.health import Health, HealthConnection
from tests.support.fakes import Clock, FakeTransport, settled

READY = (
    b'{"ready":true,"identity":{"state":"none"},"listeners":{},"policies":[],"interception":null,'
    b'"draining":false,"reasons":[],"configuration":{"source":"files"}}\n'
)


def health(*unready: Reason) -> Health:
    reasons = tuple(Obstacle(code, code.sentence) for code in unready)
    identity = IdentityHealth(IdentityState.NONE)
    return Health(
        lambda: "metric 1\n", lambda: Readiness(not reasons, identity, {}, (), None, False, reasons)
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", b"/healthz", 200, b"alive\n"),
        ("GET", b"/readyz", 200, READY),
        ("HEAD", b"/readyz", 200, READY),
        ("GET", b"/metrics", 200, b"metric 1\n"),
        ("GET", b"/", 404, b"paths: /metrics /healthz /readyz\n"),
        ("POST", b"/healthz", 405, b"only GET and HEAD\n"),
    ],
)
def test_each_page_answers(method: str, path: bytes, status: int, body: bytes) -> None:
    found, _, said = health().page(method, path)
    assert (found, said) == (status, body)


def test_what_is_missing_stands_in_the_body_each_with_its_sentence() -> None:
    status, media, body = health(Reason.NO_SVID, Reason.DRAINING).page("GET", b"/readyz")
    told = json.loads(body)
    assert (status, media, told["ready"]) == (503, b"application/json", False)
    assert told["reasons"] == [
        {"code": "no_svid", "sentence": Reason.NO_SVID.sentence},
        {"code": "draining", "sentence": Reason.DRAINING.sentence},
    ]


def test_a_sidecar_that_is_not_ready_is_alive() -> None:
    assert health(Reason.NO_SVID).page("GET", b"/healthz")[0] == 200


# The connections of the telemetry port.


class Accepted:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.open: list[object] = []

    def opened(self, connection: object) -> None:
        self.open.append(connection)

    def closed(self, connection: object) -> None:
        self.open.remove(connection)


def connected(clock: Clock | None = None) -> tuple[HealthConnection, FakeTransport, Accepted]:
    accepted = Accepted()
    connection = HealthConnection(health(), accepted, clock or Clock())
    transport = FakeTransport(connection)
    connection.connection_made(transport)
    return connection, transport, accepted


async def test_probes_are_answered_one_after_the_other_on_one_connection() -> None:
    connection, transport, _ = connected()
    connection.data_received(
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /readyz?x=1 HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    connection.data_received(b"HEAD /metrics HTTP/1.1\r\nho")
    connection.data_received(b"st: x\r\n\r\n")
    first, second, third = bytes(transport.written).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(b"\r\n\r\nalive\n")
    assert second.endswith(b"\r\n\r\n" + READY)
    assert third.endswith(b"content-length: 9\r\n\r\n")
    assert not transport.closing


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1\r\nconnection: close"])
async def test_who_asks_for_one_answer_gets_it_and_an_end(version: str) -> None:
    connection, transport, accepted = connected()
    connection.data_received(f"GET /healthz {version}\r\nhost: x\r\n\r\n".encode())
    await settled()
    assert b"connection: close\r\n" in transport.written
    assert (transport.closing, accepted.open) == (True, [])


async def test_a_body_is_not_looked_at() -> None:
    connection, transport, _ = connected()
    connection.data_received(b"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
    assert transport.written.startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 10_000,
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n",
    ],
)
async def test_what_is_no_probe_is_refused_and_closed(sent: bytes) -> None:
    connection, transport, _ = connected()
    connection.data_received(sent)
    assert transport.written.startswith(b"HTTP/1.1 400 ")
    assert transport.closing


async def test_a_silent_connection_ends_and_each_probe_gives_it_ten_seconds_more() -> None:
    clock = Clock()
    connection, transport, _ = connected(clock)
    ticker = Ticker(1.0, clock)
    ticker.add(connection)
    clock.now += 9
    connection.data_received(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    clock.now += 9
    ticker.expire_due()
    assert not transport.closing
    clock.now += 1
    ticker.expire_due()
    assert transport.closing


async def test_drain_closes_it() -> None:
    connection, transport, _ = connected()
    connection.drain()
    assert (transport.closing, connection.eof_received()) == (True, False)
