"""Calls of the sidecar's own, over the real pool and real sockets: what a fake server could not do to us."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.policy.boundary import Reach
from mesh.policy.compile import compile_policy
from mesh.policy.load import load_texts
from mesh.protocol.http1.heads import header
from mesh.protocol.http1.target import Target, absolute_form
from sidecar.credentials.fetch import Fetch, FetchFailed, destination_for
from sidecar.identity.holder import IdentityHolder
from sidecar.limits import Limits
from sidecar.proxy.dial import NetworkDialer
from sidecar.proxy.pool import Destination, Pool, TlsMode
from sidecar.proxy.ticker import Ticker
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files

LOOPS = ("asyncio", "uvloop")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
BACKEND = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: idp}
spec: {protocol: HTTP, host: idp.tools.svc, port: 8080, tls: %s}
"""


class Server:
    """Answers on loopback as a script says, and counts."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []
        self.closed = asyncio.Event()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[16:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        body = await reader.readexactly(length)
        self.requests.append(head + body)
        return head


@asynccontextmanager
async def serving(
    script: Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    said = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.connections += 1
        try:
            await script(said, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            said.closed.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    said.port = server.sockets[0].getsockname()[1]
    try:
        yield said
    finally:
        server.close()


def answering(
    *answers: bytes,
) -> Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """One answer after the other on each connection, the last one again and again."""

    async def script(said: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(100):
            await said.request(reader)
            writer.write(answers[min(at, len(answers) - 1)])

    return script


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = pool_with()
    yield made
    made.close()
    await asyncio.sleep(0)


def pool_with(authorities: Path | None = None, more: str = "") -> Pool:
    clock = asyncio.get_running_loop().time
    dialer = NetworkDialer(
        IdentityHolder(),
        connect={},
        authorities_file=str(authorities) if authorities else None,
        more_authorities=more,
    )
    return Pool(dialer, replace(Limits(), connect_seconds=2.0), Ticker(1.0, clock), clock)


def plainly(target: Target) -> Destination | None:
    return Destination(target.host, target.port)


async def test_a_call_sends_what_it_was_given_and_returns_the_whole_answer(pool: Pool) -> None:
    answer = b"HTTP/1.1 201 Created\r\nx-a: 1\r\ncontent-length: 3\r\n\r\nabc"
    async with serving(answering(answer)) as server:
        url = f"http://127.0.0.1:{server.port}/token?a=b"
        found = await Fetch(pool, plainly)("POST", url, [(b"x-mine", b"2")], b"a=b")
    assert (found.status, header(found.headers, b"x-a"), found.body) == (201, b"1", b"abc")
    sent = server.requests[0]
    assert sent.startswith(b"POST /token?a=b HTTP/1.1\r\n")
    assert b"host: 127.0.0.1:%d\r\n" % server.port in sent
    assert b"x-mine: 2\r\n" in sent
    assert b"content-length: 3\r\n" in sent
    assert sent.endswith(b"\r\n\r\na=b")


async def test_connections_are_kept_between_calls(pool: Pool) -> None:
    async with serving(answering(OK)) as server:
        fetch = Fetch(pool, plainly)
        for _ in range(3):
            await fetch("GET", f"http://127.0.0.1:{server.port}/")
        assert server.connections == 1


async def test_a_redirect_is_an_answer_and_is_not_followed(pool: Pool) -> None:
    answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with serving(answering(answer)) as server:
        found = await Fetch(pool, plainly)("GET", f"http://127.0.0.1:{server.port}/")
        assert (found.status, len(server.requests)) == (302, 1)


async def test_cookies_are_not_kept(pool: Pool) -> None:
    answer = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    async with serving(answering(answer)) as server:
        fetch = Fetch(pool, plainly)
        await fetch("GET", f"http://127.0.0.1:{server.port}/")
        await fetch("GET", f"http://127.0.0.1:{server.port}/")
    assert b"cookie" not in server.requests[1]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_kept_connection_that_the_server_closed_is_replaced_once(pool: Pool, method: str) -> None:
    async def script(said: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await said.request(reader)
        writer.write(OK)
        if said.connections == 1:
            await said.request(reader)

    async with serving(script) as server:
        fetch = Fetch(pool, plainly)
        for _ in range(2):
            found = await fetch(method, f"http://127.0.0.1:{server.port}/")
            assert found.status == 200
        assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"])
async def test_a_new_connection_that_breaks_is_not_tried_again(pool: Pool, begun: bytes) -> None:
    async def script(said: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await said.request(reader)
        writer.write(begun)

    async with serving(script) as server:
        with pytest.raises(FetchFailed, match="upstream_reset") as failed:
            await Fetch(pool, plainly)("POST", f"http://127.0.0.1:{server.port}/")
        assert failed.value.reached
        assert server.connections == 1


@pytest.mark.parametrize(
    "partly", [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", b"HTTP/1.1 103 Early\r\n\r\n"]
)
async def test_what_was_partly_answered_is_not_asked_again(pool: Pool, partly: bytes) -> None:
    async def script(said: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await said.request(reader)
        writer.write(OK)
        await said.request(reader)
        writer.write(partly)
        await writer.drain()

    async with serving(script) as server:
        fetch = Fetch(pool, plainly)
        await fetch("POST", f"http://127.0.0.1:{server.port}/")
        with pytest.raises(FetchFailed, match="upstream_reset"):
            await fetch("POST", f"http://127.0.0.1:{server.port}/")
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"32\r\n"
        + b"x" * 50
        + b"\r\n33\r\n"
        + b"x" * 51
        + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4294967296\r\n\r\n",
    ],
)
async def test_an_answer_beyond_the_limit_is_given_up(pool: Pool, answer: bytes) -> None:
    async with serving(answering(answer)) as server:
        with pytest.raises(FetchFailed, match="bytes"):
            await Fetch(pool, plainly)("GET", f"http://127.0.0.1:{server.port}/", limit=100)


async def test_a_compressed_answer_is_none(pool: Pool) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}"
    async with serving(answering(answer)) as server:
        with pytest.raises(FetchFailed, match="compressed"):
            await Fetch(pool, plainly)("GET", f"http://127.0.0.1:{server.port}/")


async def test_an_answer_that_drips_ends_with_the_whole_time_and_its_connection_is_closed(pool: Pool) -> None:
    async def script(said: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await said.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(script) as server:
        with pytest.raises(FetchFailed, match=r"within 0\.1 s"):
            await Fetch(pool, plainly)("GET", f"http://127.0.0.1:{server.port}/", seconds=0.1)
        await asyncio.wait_for(server.closed.wait(), 5)


async def test_connecting_is_part_of_the_whole_time(pool: Pool) -> None:
    async def script(said: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(script) as server:
        never = Destination("127.0.0.1", server.port, TlsMode.PUBLIC, "localhost")
        with pytest.raises(FetchFailed, match=r"within 0\.1 s"):
            await Fetch(pool, lambda target: never)("GET", "https://localhost/", seconds=0.1)
        await asyncio.wait_for(server.closed.wait(), 5)
        assert sum(pool.counts().values()) == 0


async def test_a_pool_that_is_full_is_told() -> None:
    clock = asyncio.get_running_loop().time
    dialer = NetworkDialer(IdentityHolder(), connect={})
    full = Pool(dialer, replace(Limits(), upstream_connections=0), Ticker(1.0, clock), clock)
    with pytest.raises(FetchFailed, match="too_many_connections"):
        await Fetch(full, plainly)("GET", "http://127.0.0.1:1/")


async def test_who_stops_waiting_closes_the_connection(pool: Pool) -> None:
    asked = asyncio.Event()

    async def script(said: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await said.request(reader)
        asked.set()
        await reader.read()

    async with serving(script) as server:
        waiting = asyncio.ensure_future(Fetch(pool, plainly)("GET", f"http://127.0.0.1:{server.port}/"))
        await asyncio.wait_for(asked.wait(), 5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(server.closed.wait(), 5)


async def test_a_server_that_is_not_there_is_told(pool: Pool) -> None:
    async with serving(answering(OK)) as server:
        port = server.port
    with pytest.raises(FetchFailed) as failed:
        await Fetch(pool, plainly)("GET", f"http://127.0.0.1:{port}/")
    assert not failed.value.plain_text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/x",
        "ftp://a/",
        "http://a b/",
        "http://a/?x y",
        "http://a/?x\r\ny: z",
        "http://u:p@a/",
        "http://a/#f",
        "http://ä/",
    ],
)
async def test_what_is_no_url_is_not_asked(pool: Pool, url: str) -> None:
    with pytest.raises(FetchFailed, match="URL"):
        await Fetch(pool, plainly)("GET", url)


async def test_a_line_break_in_a_field_is_not_sent_and_not_told(pool: Pool) -> None:
    with pytest.raises(FetchFailed) as failed:
        await Fetch(pool, plainly)("GET", "http://127.0.0.1:1/", [(b"authorization", b"secret\r\nx: y")])
    assert "secret" not in repr(failed.value)
    assert failed.value.__cause__ is None


async def test_https_is_verified_with_the_authorities_of_the_sidecar(tmp_path: Path) -> None:
    make_serving_files(tmp_path, ["localhost"], datetime.now(UTC), timedelta(hours=1))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / CERT_FILE, tmp_path / KEY_FILE)
    async with serving(answering(OK), context) as server:
        url = f"https://localhost:{server.port}/"
        secure = destination_for(lambda: compile_policy(load_texts([]), labels={}, namespace=None))
        root = tmp_path / ROOT_FILE
        for trusting in (pool_with(root), pool_with(more=root.read_text(encoding="ascii"))):
            assert (await Fetch(trusting, secure)("GET", url)).body == b"{}"
            trusting.close()
        with pytest.raises(FetchFailed, match="peer_untrusted"):
            await Fetch(pool_with(), secure)("GET", url)


def reached(url: str, *tls: str) -> Destination | None:
    texts = [("p.yaml", BACKEND % one) for one in tls]
    policy = compile_policy(load_texts(texts), labels={}, namespace=None)
    return destination_for(lambda: policy)(absolute_form(url.encode()))


def test_an_undeclared_host_is_reached_by_the_tls_of_the_web_and_never_at_an_address_of_the_node() -> None:
    assert reached("https://idp.example.com/x") == Destination(
        "idp.example.com", 443, TlsMode.PUBLIC, "idp.example.com", reach=Reach.ROUTED
    )


@pytest.mark.parametrize(
    "url", ["http://idp.example.com/", "http://10.0.0.1/", "http://localhost.example.com/", "http://0.0.0.0/"]
)
def test_plain_text_goes_nowhere_but_to_this_machine(url: str) -> None:
    assert reached(url) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_plain_text_may_go_to_this_machine(host: str) -> None:
    found = reached(f"http://{host}:8080/")
    assert found is not None
    assert found.tls == TlsMode.NONE


def test_a_declared_host_is_reached_as_its_backend_says() -> None:
    mesh = reached("http://idp.tools.svc:8080/x", "{mode: Mesh, identity: 'spiffe://a.example/idp'}")
    assert mesh is not None
    assert (mesh.tls, mesh.identity) == (TlsMode.MESH, "spiffe://a.example/idp")
    plain = reached("http://idp.tools.svc:8080/x", "{mode: None}")
    assert plain is not None
    assert plain.tls == TlsMode.NONE
    assert reached("http://idp.tools.svc:8081/x", "{mode: None}") is None


def test_https_is_never_less_than_tls() -> None:
    found = reached("https://idp.tools.svc:8080/x", "{mode: None}")
    assert found is not None
    assert (found.tls, found.server_name) == (TlsMode.PUBLIC, "idp.tools.svc")


async def test_who_may_not_be_asked_in_plain_text_is_not_asked(pool: Pool) -> None:
    with pytest.raises(FetchFailed) as failed:
        await Fetch(pool, lambda target: None)("GET", "http://idp.example.com/")
    assert failed.value.plain_text
