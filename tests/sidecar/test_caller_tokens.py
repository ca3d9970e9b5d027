"""A caller's token on each way out of an agent: it arrives at its audience, and nowhere else."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.capture.intercepted import Interception
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.declared import DeclaredHosts
from sidecar.proxy.listener import Listener
from sidecar.telemetry import names
from tests.mesh.protocol.test_caller_token import jwt
from tests.sidecar.capture.test_intercepted import inside, secured, two_sidecars
from tests.support.capturing import captured
from tests.support.fakes import Lines, request_head
from tests.support.loopback import (
    ELSEWHERE,
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
from tests.support.meshed import GITHUB, SERVER_POLICY, TRIAGE, Published, new_mesh, server_side
from tests.support.peer import connect, request
from tests.support.slow import until

LOOPS = ("asyncio", "uvloop")
OPEN = POLICY.replace("spec:\n  outbound:", "spec:\n  egress: allow\n  outbound:")
TOKEN = "the-callers-own-token"
BEARER = f"Bearer {TOKEN}"


def teach(sidecar: Sidecar, *tokens: str) -> None:
    """As if a caller had sent these to the application."""
    for token in tokens:
        sidecar.pipeline.departure.tokens.remember(
            request_head("POST /mcp", host="agent", authorization=f"Bearer {token}"), "a caller"
        )


def plain(url: str, **fields: str) -> bytes:
    host = url.partition("://")[2].partition("/")[0]
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {url} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n".encode()


@asynccontextmanager
async def taught(
    *tokens: str, policy: str = OPEN
) -> AsyncIterator[tuple[Sidecar, Client, list[tuple[bytes, bytes]]]]:
    """A sidecar that has seen these tokens, a client of it, and what every server saw."""
    script, seen = answering(json_answer(result({"content": []})))
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        teach(sidecar, *(tokens or (TOKEN,)))
        async with client_of(port) as client:
            yield sidecar, client, seen


def count(sidecar: Sidecar, backend: str) -> float:
    return sidecar.metrics.value(names.CALLER_TOKENS_STRIPPED, (backend,))


@pytest.mark.parametrize(
    ("sent", "backend"),
    [
        (post(call("search"), authorization=BEARER), "github"),
        (
            plain("http://github.tools.svc:8080/mcp", authorization=BEARER, accept="text/event-stream"),
            "github",
        ),
        (
            plain("http://github.tools.svc:8080/.well-known/oauth-protected-resource", cookie=f"t={TOKEN}"),
            "github",
        ),
        (post(call("search"), path="/oauth", authorization=BEARER), "beside"),
        (post(b'{"a":"b"}', path="/oauth/token", authorization=f"Basic {TOKEN}"), "beside"),
        (plain("http://plain.tools.svc:8081/", **{"x-api-key": TOKEN}), "plain"),
        (plain(f"http://{ELSEWHERE}/", authorization=BEARER), "undeclared"),
    ],
)
async def test_the_request_goes_on_without_the_token(sent: bytes, backend: str) -> None:
    async with taught() as (sidecar, client, seen):
        lines = Lines()
        sidecar.recorder.log = lines  # type: ignore[assignment]
        await client.send(sent)
        assert (await client.answer())[0] == 200
        assert count(sidecar, backend) == 1
    ((head, _),) = seen
    assert TOKEN.encode() not in head
    ((_, line),) = [(event, fields) for event, fields in lines.lines if event == "caller_token"]
    assert (line["reason"], line["backend"]) == (Reason.CALLER_TOKEN_STRIPPED, backend)
    assert line["headers"] in (["authorization"], ["cookie"], ["x-api-key"])
    assert TOKEN not in repr(lines.lines)


async def test_the_agents_own_credentials_pass() -> None:
    async with taught() as (sidecar, client, seen):
        for fields in ({"authorization": "Bearer the-agents-own-token"}, {"x_api_key": "another-own-key"}):
            await client.send(post(call("search"), **fields))
            assert (await client.answer())[0] == 200
        assert count(sidecar, "github") == 0
    assert b"authorization: Bearer the-agents-own-token" in seen[0][0]
    assert b"x-api-key: another-own-key" in seen[1][0]


async def test_only_the_field_that_carries_it_is_taken() -> None:
    async with taught() as (_, client, seen):
        await client.send(
            post(call("search"), x_user_token=TOKEN, authorization="Bearer own-own-own", x_a="b")
        )
        assert (await client.answer())[0] == 200
    ((head, body),) = seen
    assert TOKEN.encode() not in head
    assert b"authorization: Bearer own-own-own\r\n" in head
    assert b"x-a: b\r\n" in head
    assert json.loads(body) == call("search")


@pytest.mark.parametrize(
    ("audience", "passes"),
    [
        ("http://github.tools.svc:8080/mcp", True),
        (["https://agent.example.com", "github"], True),
        ("https://agent.example.com", False),
        ("http://plain.tools.svc:8081", False),
        (None, False),
    ],
)
async def test_a_jwt_arrives_at_its_audience(audience: Any, passes: bool) -> None:
    token = jwt({"aud": audience}).decode()
    async with taught(token) as (_, client, seen):
        await client.send(post(call("search"), authorization=f"Bearer {token}"))
        assert (await client.answer())[0] == 200
    assert (token.encode() in seen[0][0]) is passes


async def test_one_connection_serves_both_without_mixing_them_up() -> None:
    async with taught() as (_, client, seen):
        for sent in (BEARER, "Bearer the-agents-own-token", BEARER):
            await client.send(post(call("search"), authorization=sent))
            assert (await client.answer())[0] == 200
    assert [b"the-agents-own-token" in head for head, _ in seen] == [False, True, False]
    assert not any(TOKEN.encode() in head for head, _ in seen)


async def test_a_body_that_streams_is_streamed_without_it() -> None:
    async with taught() as (_, client, seen):
        head = f"POST http://{ELSEWHERE}/ HTTP/1.1\r\nhost: {ELSEWHERE}\r\nauthorization: {BEARER}\r\n"
        await client.send(f"{head}content-length: 4\r\n\r\nbo".encode())
        await client.send(b"dy")
        assert (await client.answer())[0] == 200
    assert TOKEN.encode() not in seen[0][0]
    assert seen[0][1] == b"body"


async def test_inside_a_tunnel_that_is_read() -> None:
    origin = post(call("search"), authorization=BEARER).replace(b"http://github.tools.svc:8080/", b"/")
    async with taught() as (_, client, seen):
        await client.send(b"CONNECT github.tools.svc:8080 HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n")
        await client.head()
        await client.send(origin)
        assert (await client.answer())[0] == 200
    assert TOKEN.encode() not in seen[0][0]


async def test_on_captured_connections() -> None:
    origin = post(call("search"), authorization=BEARER).replace(b"http://github.tools.svc:8080/", b"/")
    async with taught() as (sidecar, _, seen), captured(sidecar, ("10.96.0.7", 8080)) as port:
        async with client_of(port) as client:
            await client.send(origin)
            assert (await client.answer())[0] == 200
    assert TOKEN.encode() not in seen[0][0]


async def test_in_tls_that_is_intercepted() -> None:
    async with two_sidecars(result({})) as (sidecar, port, seen):
        teach(sidecar, TOKEN)
        authority = InterceptionAuthority(DeclaredHosts.of(sidecar.pipeline.policy.backends))
        sidecar.pipeline.interception = Interception(sidecar.pipeline, authority)
        context = ssl.create_default_context(cadata=authority.certificate_pem)
        async with secured(port, context) as client:
            sent = inside(call("search")).replace(
                b"\r\n\r\n", f"\r\nauthorization: {BEARER}\r\n\r\n".encode(), 1
            )
            await client.send(sent)
            assert (await client.answer())[0] == 200
    assert TOKEN.encode() not in seen[0][0]


async def test_what_the_sidecar_sends_itself_in_the_session_goes_without_it_too() -> None:
    asked = b'data: {"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{}}\n\n'
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await read_request(reader)
            seen.append(head)
            if head.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + asked)
            else:
                writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()

    policy = POLICY.replace("    prompts:", "    serverRequests: []\n    prompts:")
    async with serving(script) as backend, sidecar_for(backend.port, policy=policy) as (sidecar, port):
        teach(sidecar, TOKEN)
        async with client_of(port) as client:
            url = "http://github.tools.svc:8080/mcp"
            await client.send(plain(url, authorization=BEARER, accept="text/event-stream"))
            await until(lambda: len(seen) == 2)
    assert [head.split(b" ")[0] for head in seen] == [b"GET", b"POST"]
    assert not any(b"authorization" in head for head in seen)


async def test_a_proxys_credentials_never_leave() -> None:
    own = "Basic cHJveHk6cHJveHk="
    async with taught() as (_, client, seen):
        for sent in (
            post(call("search"), proxy_authorization=own),
            plain("http://plain.tools.svc:8081/", **{"proxy-authorization": own}),
            plain(f"http://{ELSEWHERE}/", **{"proxy-authorization": own}),
        ):
            await client.send(sent)
            assert (await client.answer())[0] == 200
    assert len(seen) == 3
    assert not any(b"proxy-authorization" in head for head, _ in seen)


# Where they come from.


async def inbound(mesh: Any, port: int, message: Any, *headers: tuple[str, str], who: str = TRIAGE) -> bytes:
    peer = await connect(mesh, who, port)
    fields = (("content-type", "application/json"), ("connection", "close"), *headers)
    peer.transport.write(request("POST", "/mcp", json.dumps(message).encode(), *fields))
    received = await peer.until(b"never")
    peer.transport.abort()
    return received


async def test_a_token_that_reaches_the_application_does_not_leave_it() -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({"content": []})))
    outbound = POLICY.partition("kind: AgentPolicy")[0] + "kind: AgentPolicy"
    policy = outbound + SERVER_POLICY.partition("kind: AgentPolicy")[2] + "  outbound: [{backend: plain}]\n"
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=policy) as (sidecar, port),
    ):
        sidecar._dialer._connect[("plain.tools.svc", 8081)] = ("127.0.0.1", backend.port)
        forward = Listener("forward", sidecar._outbound_connection, sidecar._ticker, 100)
        await forward.start("127.0.0.1", 0)
        await inbound(mesh, port, call("search"), ("authorization", BEARER))
        await inbound(mesh, port, call("drop"), ("authorization", "Bearer refused-with-its-call"))
        async with client_of(int(forward.address.rpartition(":")[2])) as client:
            for sent in (BEARER, "Bearer refused-with-its-call"):
                await client.send(plain("http://plain.tools.svc:8081/", authorization=sent))
                assert (await client.answer())[0] == 200
        await forward.drain(0.5)
    arrived, without, unknown = (head for head, _ in seen)
    assert BEARER.encode() in arrived
    assert b"authorization" not in without
    assert b"refused-with-its-call" in unknown
