"""Probes of the application, asked of real servers on loopback."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.app_probes import AppProbe, GrpcProbe, HttpProbe, TcpProbe
from sidecar.telemetry.app_health import AppHealth
from sidecar.telemetry.health import Health, HealthConnection
from tests.support.fakes import Clock, FakeTransport, settled

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(answer: bytes, asked: list[bytes] | None = None) -> Handle:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(request)
        writer.write(answer)
        await writer.drain()
        writer.write_eof() if writer.can_write_eof() else None
        await reader.read()

    return handle


def http(port: int, path: str = "/", seconds: float = 5.0, **more: object) -> HttpProbe:
    return HttpProbe(port, seconds, path, bool(more.get("https")), more.get("headers", ()))  # type: ignore[arg-type]


async def verdict(probe: AppProbe) -> tuple[int, bytes]:
    return await AppHealth({"agent/readiness": probe}, "127.0.0.1").verdict("agent/readiness")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nsecret", (200, b"status 200\n")),
        (b"HTTP/1.0 204\r\n\r\n", (200, b"status 204\n")),
        (b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\n\r\n", (200, b"status 302\n")),
        (b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", (200, b"status 200\n")),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", (503, b"the application answers with status 404\n")),
        (b"HTTP/1.1 503 secret\r\n\r\nsecret", (503, b"the application answers with status 503\n")),
        (
            b"HTTP/1.1 100 x\r\n\r\n" * 20,
            (503, b"the application answers with nothing but interim answers\n"),
        ),
        (b"SSH-2.0-x\r\n", (503, b"the application's answer is no HTTP/1.1\n")),
        (b"HTTP/1.1 2", (503, b"the application hung up before its answer was complete\n")),
        (b"HTTP/1.1 200 " + b"x" * 20_000, (503, b"a line of the application's answer is too long\n")),
    ],
)
async def test_the_status_is_the_verdict_and_nothing_else_is_told(serving, answer, expected) -> None:
    async with serving(answering(answer)) as port:
        assert await verdict(http(port)) == expected


async def test_the_request_is_the_one_that_the_author_declared(serving) -> None:
    asked: list[bytes] = []
    headers = ((b"host", b"web.example"), (b"x-token", b" a "), (b"connection", b"keep-alive"))
    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n", asked)) as port:
        await verdict(http(port, "/healthz?full=1", headers=headers))
        await verdict(http(port))
    first, second = (request.decode().split("\r\n")[:-2] for request in asked)
    assert first == [
        "GET /healthz?full=1 HTTP/1.1",
        "user-agent: kube-probe/outrider",
        "accept: */*",
        "host: web.example",
        "x-token: a",
        "connection: close",
    ]
    assert second[:2] == ["GET / HTTP/1.1", f"host: 127.0.0.1:{port}"]


async def test_an_application_that_says_nothing_in_time_is_unhealthy(serving) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        assert await verdict(http(port, seconds=0.05)) == (
            503,
            b"the application did not answer within 0.05 s\n",
        )


async def test_a_port_that_nobody_listens_on_is_unhealthy(serving) -> None:
    async with serving(answering(b"")) as port:
        assert await verdict(TcpProbe(port, 5.0)) == (200, b"connected\n")
    for probe in (TcpProbe(port, 5.0), http(port), GrpcProbe(port, 5.0, "")):
        status, said = await verdict(probe)
        assert (status, said[:33]) == (503, b"the application cannot be reached")


async def test_an_application_that_listens_on_the_pods_address_only_is_asked_there(serving) -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        health = AppHealth({"a/liveness": http(port)}, "127.9.9.9", "127.0.0.1")
        assert await health.verdict("a/liveness") == (200, b"status 200\n")
        health = AppHealth({"a/liveness": http(port)}, "127.9.9.9")
        assert (await health.verdict("a/liveness"))[0] == 503


def own_certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "expired.example")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "tls.pem"
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(encoding)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def talking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await reader.read()


async def test_https_is_asked_whatever_its_certificate(serving, tmp_path) -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n"), own_certificate(tmp_path)) as port:
        assert await verdict(http(port, https=True)) == (200, b"status 200\n")
    async with serving(talking) as port:
        status, said = await verdict(http(port, https=True))
    assert (status, said[:31]) == (503, b"TLS with the application failed")


async def test_only_declared_probes_can_be_asked() -> None:
    assert await AppHealth({}, "127.0.0.1").verdict("agent/readiness") == (404, b"no such probe\n")


async def test_however_many_ask_the_application_is_asked_once(serving) -> None:
    asked: list[bytes] = []
    answer = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.drain()

    async with serving(slow) as port:
        health = AppHealth({"a/liveness": http(port)}, "127.0.0.1")
        first = asyncio.ensure_future(health.verdict("a/liveness"))
        others = [asyncio.ensure_future(health.verdict("a/liveness")) for _ in range(9)]
        await settled()
        first.cancel()
        answer.set()
        assert await asyncio.gather(*others) == [(200, b"status 200\n")] * 9
        assert len(asked) == 1


@pytest.mark.parametrize("status", [200, 503])
async def test_a_verdict_holds_for_a_second_so_that_who_asks_often_troubles_nobody(serving, status) -> None:
    asked: list[bytes] = []
    clock = Clock()
    async with serving(answering(b"HTTP/1.1 %d x\r\n\r\n" % status, asked)) as port:
        health = AppHealth({"a/liveness": http(port), "a/readiness": http(port)}, "127.0.0.1", clock=clock)
        said = [await health.verdict("a/liveness") for _ in range(50)]
        assert len(asked) == 1
        await health.verdict("a/readiness")
        assert len(asked) == 2
        clock.now += 0.9
        said.append(await health.verdict("a/liveness"))
        assert len(asked) == 2
        clock.now += 0.2
        said.append(await health.verdict("a/liveness"))
        assert len(asked) == 3
    assert {code for code, _ in said} == {status}


# At the telemetry port.


class Accepted:
    def opened(self, connection: object) -> None: ...
    def closed(self, connection: object) -> None: ...


def connected(application: AppHealth) -> tuple[HealthConnection, FakeTransport]:
    health = Health(lambda: "", lambda: pytest.fail("nobody asked"), application)
    connection = HealthConnection(health, Accepted(), Clock())
    transport = FakeTransport(connection)
    connection.connection_made(transport)
    return connection, transport


async def written(transport: FakeTransport) -> bytes:
    async with asyncio.timeout(5):
        while not transport.closing:
            await asyncio.sleep(0.001)
    return bytes(transport.written)


GET = b"GET /app-health/agent/readiness?x=1 HTTP/1.1\r\nhost: x\r\n\r\n"


async def test_the_kubelet_gets_the_verdict_and_the_connection_ends(serving) -> None:
    async with serving(answering(b"HTTP/1.1 500 secret\r\n\r\nsecret")) as port:
        connection, transport = connected(AppHealth({"agent/readiness": http(port)}, "127.0.0.1"))
        connection.data_received(GET + GET)
        answer = await written(transport)
    assert answer.count(b"HTTP/1.1 503 ") == 1
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b"the application answers with status 500\n")
    assert b"secret" not in answer


async def test_a_probe_that_nobody_declared_is_not_found() -> None:
    connection, transport = connected(AppHealth({}, "127.0.0.1"))
    connection.data_received(GET)
    assert (await written(transport)).startswith(b"HTTP/1.1 404 ")


async def test_a_probe_is_asked_for_and_not_told_to() -> None:
    connection, transport = connected(AppHealth({}, "127.0.0.1"))
    connection.data_received(GET.replace(b"GET", b"POST"))
    assert transport.written.startswith(b"HTTP/1.1 405 ")


async def test_who_hangs_up_is_no_longer_answered(serving) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        probes = {"agent/readiness": TcpProbe(port, 5.0), "agent/liveness": http(port, seconds=0.2)}
        connection, transport = connected(AppHealth(probes, "127.0.0.1"))
        connection.data_received(GET.replace(b"readiness", b"liveness"))
        await settled()
        connection.connection_lost(None)
        await settled()
    assert transport.written == b""
