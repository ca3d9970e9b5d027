"""What a client makes of servers that are no CA, do not answer, or answer wrongly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.protocol.http1.target import absolute_form
from sidecar.control.failed import CallFailed, Cause
from sidecar.control.trust import ControlTrust
from sidecar.identity.ca_client import CaClient
from tests.support.ca import running_ca
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(
    folder: Path,
    script: Script,
    *,
    tls: bool = True,
    names: tuple[str, ...] = ("localhost",),
    made: datetime | None = None,
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> AsyncIterator[CaClient]:
    make_serving_files(folder, names, made or datetime.now(UTC), timedelta(days=1))
    (folder / "token").write_text("a.b.c\n")
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / CERT_FILE, folder / KEY_FILE)
        context.maximum_version = most

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    target = absolute_form(f"https://localhost:{port}/ca".encode())
    try:
        yield CaClient(target, ControlTrust((folder / ROOT_FILE).read_text()), folder / "token", 0.5)
    finally:
        server.close()


def answer(*parts: bytes) -> tuple[Script, list[bytes]]:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()

    return script, seen


async def failure(folder: Path, script: Script, **options: object) -> CallFailed:
    async with scripted(folder, script, **options) as client:  # type: ignore[arg-type]
        with pytest.raises(CallFailed) as failed:
            await client.bundles()
    return failed.value


BODY = b'{"bundles":{},"time":"2026-06-01T12:00:00Z"}'
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


async def test_a_request_is_small_and_its_own(tmp_path: Path) -> None:
    script, seen = answer(b"HTTP/1.1 103 Early Hints\r\n\r\n", GOOD[:20], GOOD[20:])
    async with scripted(tmp_path, script) as client:
        assert (await client.bundles()).bundles == {}
        start, *fields = seen[0].decode().split("\r\n")
        assert start == "GET /ca/v1/bundles HTTP/1.1"
        assert f"host: localhost:{client.server.port}" in fields
        assert "connection: close" in fields
        assert not any(field.startswith("authorization") for field in fields)


async def test_the_token_goes_with_what_needs_it(tmp_path: Path) -> None:
    script, seen = answer(GOOD)
    async with scripted(tmp_path, script) as client:
        with pytest.raises(CallFailed) as failed:
            await client.svid("csr")
        assert failed.value.cause is Cause.MALFORMED
        assert b"POST /ca/v1/svid HTTP/1.1\r\n" in seen[0]
        assert b"authorization: Bearer a.b.c\r\n" in seen[0]
        assert b"content-length: 13\r\n" in seen[0]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "answers no HTTP"),
        (b"SSH-2.0\r\n\r\n", "answers no HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "answers no HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n", "answers no HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + BODY, "neither Content-Length nor chunks"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "cannot be used"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", "status 404 and no reason"),
        (b'HTTP/1.1 400 X\r\ncontent-length: 28\r\n\r\n{"error":"new","detail":"x"}', "no reason"),
    ],
)
async def test_an_answer_that_is_none_is_told(tmp_path: Path, raw: bytes, sentence: str) -> None:
    failed = await failure(tmp_path, answer(raw)[0])
    assert failed.cause is Cause.MALFORMED
    assert sentence in failed.detail


async def test_what_a_ca_says_becomes_one_line(tmp_path: Path) -> None:
    body = b'{"error":"unavailable","detail":"no\\nAPI server","retryAfterSeconds":-4}'
    raw = b"HTTP/1.1 503 X\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    failed = await failure(tmp_path, answer(raw)[0])
    assert (failed.cause, failed.retry_after) == (Cause.UNAVAILABLE, 0)
    assert failed.detail == "the control plane cannot serve this now: no API server"


async def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    failed = await failure(tmp_path, silent)
    assert failed.cause is Cause.UNREACHABLE
    assert "within 0.5 s" in failed.detail


async def test_a_server_without_tls_is_told(tmp_path: Path) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    failed = await failure(tmp_path, plain, tls=False)
    assert failed.cause is Cause.UNREACHABLE
    assert "TLS" in failed.detail


async def test_older_tls_is_not_spoken(tmp_path: Path) -> None:
    failed = await failure(tmp_path, answer(GOOD)[0], most=ssl.TLSVersion.TLSv1_2)
    assert failed.cause is Cause.UNREACHABLE


async def test_a_server_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    failed = await failure(tmp_path, answer(GOOD)[0], names=("other.example",))
    assert failed.cause is Cause.UNTRUSTED


@pytest.mark.parametrize("days", [-3, 3])
async def test_a_certificate_out_of_date_may_be_our_clock(tmp_path: Path, days: int) -> None:
    made = datetime.now(UTC) + timedelta(days=days)
    failed = await failure(tmp_path, answer(GOOD)[0], made=made)
    assert failed.cause is Cause.CLOCK
    assert "our clock" in failed.detail


async def test_a_connection_that_is_cut_is_told(tmp_path: Path) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    failed = await failure(tmp_path, cut)
    assert failed.cause in (Cause.UNREACHABLE, Cause.MALFORMED)


async def test_bundles_need_no_token(tmp_path: Path) -> None:
    async with running_ca(tmp_path) as ca:
        ca.token.unlink()
        client = CaClient(ca.target, ControlTrust(ca.root.read_text()), ca.token)
        assert set((await client.bundles()).bundles) == {"a.example"}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [("9" * 400, 86400.0), ("-" + "9" * 400, 0.0), ("-1", 0.0), ("7", 7.0), ("null", None)],
)
async def test_a_wait_that_the_ca_asks_for_is_a_day_at_most(
    tmp_path: Path, seconds: str, expected: float | None
) -> None:
    body = b'{"error":"rate_limited","detail":"x","retryAfterSeconds":%b}' % seconds.encode()
    head = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: %d\r\n\r\n" % len(body)
    failed = await failure(tmp_path, answer(head + body)[0])
    assert (failed.cause, failed.retry_after) == (Cause.RATE_LIMITED, expected)
