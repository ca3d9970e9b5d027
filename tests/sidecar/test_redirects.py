"""Redirects: the sidecar follows none; the client gets each as it is, and what it asks for next is decided."""

from __future__ import annotations

import json

import pytest

from tests.support.capturing import captured
from tests.support.loopback import (
    POLICY,
    Client,
    answering,
    call,
    client_of,
    json_answer,
    post,
    result,
    serving,
    sidecar_for,
)

LOOPS = ("asyncio", "uvloop")
OPEN = POLICY.replace("spec:\n  outbound:", "spec:\n  egress: allow\n  outbound:")
GITHUB = "github.tools.svc:8080"
PAGE = b"<html>moved</html>"
STATUSES = [301, 302, 303, 307, 308]
LOCATIONS = [
    ("http://evil.example.com/mcp", "egress_denied"),
    ("http://evil.example.com:8080/mcp", "egress_denied"),
    ("http://169.254.169.254/latest/meta-data/iam", "egress_denied"),
    ("http://github.tools.svc:9090/mcp", "egress_denied"),
    ("http://github.tools.svc/mcp", "egress_denied"),
    ("https://github.tools.svc/mcp", "egress_denied"),
    ("http://github.tools.svc:8080/admin", "path_not_declared"),
    ("http://github.tools.svc:8080/mcp/../admin", "http_bad_target"),
]


def moved(status: int, location: str, body: bytes = PAGE) -> bytes:
    head = f"HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: {len(body)}\r\n"
    return f"{head}content-type: text/html\r\n\r\n".encode() + body


def asking(url: str) -> bytes:
    """What a client sends to its proxy that follows a redirect, credentials and all."""
    host = url.partition("://")[2].partition("/")[0]
    return (
        post(call("search"), authorization="Bearer secret")
        .replace(b"http://github.tools.svc:8080/mcp", url.encode(), 1)
        .replace(b"host: github.tools.svc:8080", f"host: {host}".encode(), 1)
    )


async def reason(client: Client, request: bytes) -> str:
    """Why a request is refused."""
    await client.send(request)
    _, _, body = await client.answer()
    told = json.loads(body)
    found: str = told["error"]["data"]["reason"] if "error" in told else told["reason"]
    return found


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", [PAGE, b""])
@pytest.mark.parametrize("request_head", ["POST", "GET", "plain"])
async def test_a_redirect_reaches_the_client_as_it_is_and_nothing_follows_it(
    status: int, body: bytes, request_head: str
) -> None:
    location = "http://evil.example.com/mcp?x=1#fragment"
    script, seen = answering(moved(status, location, body))
    asked = {
        "POST": post(call("search")),
        "GET": f"GET http://{GITHUB}/mcp HTTP/1.1\r\nhost: {GITHUB}\r\naccept: text/event-stream\r\n\r\n".encode(),
        "plain": b"GET http://plain.tools.svc:8081/ HTTP/1.1\r\nhost: plain.tools.svc:8081\r\n\r\n",
    }[request_head]
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(asked)
        assert await client.head() == (
            status,
            {"location": location, "content-type": "text/html", "content-length": str(len(body))},
        )
        assert await client.reader.readexactly(len(body)) == body
    assert (len(seen), backend.connections) == (1, 1)


@pytest.mark.parametrize(("location", "why"), LOCATIONS)
async def test_what_a_client_asks_for_after_a_redirect_is_decided_anew(location: str, why: str) -> None:
    script, seen = answering(moved(307, location))
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post(call("search")))
        _, fields, _ = await client.answer()
        assert await reason(client, asking(fields["location"])) == why
    assert len(seen) == 1


async def test_a_redirect_to_the_metadata_service_leads_nowhere_even_where_egress_is_open() -> None:
    script, seen = answering(moved(302, "http://169.254.169.254/latest/"))
    async with serving(script) as backend, sidecar_for(backend.port, policy=OPEN) as (_, port):
        async with client_of(port) as client:
            await client.send(post(call("search")))
            _, fields, _ = await client.answer()
            assert await reason(client, asking(fields["location"])) == "egress_private_address"
    assert len(seen) == 1


async def test_a_redirect_to_a_declared_backend_is_followed_within_its_rules() -> None:
    script, seen = answering(
        moved(308, f"http://{GITHUB}/mcp/v2"),
        json_answer(result({"content": []})),
    )
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port), client_of(port) as client:
        await client.send(post(call("search")))
        _, fields, _ = await client.answer()
        await client.send(asking(fields["location"]))
        assert (await client.answer())[0] == 200
        denied = asking(fields["location"]).replace(b'"search"', b'"remove"')
        await client.send(denied)
        assert json.loads((await client.answer())[2])["error"]["message"] == "Unknown tool: remove"
    assert [head.split(b" ")[1] for head, _ in seen] == [b"/mcp", b"/mcp/v2"]


# Inside a tunnel whose HTTP is read.


async def tunnelled(client: Client) -> None:
    await client.send(f"CONNECT {GITHUB} HTTP/1.1\r\nhost: {GITHUB}\r\n\r\n".encode())
    assert (await client.head())[0] == 200


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:8080", "169.254.169.254"])
async def test_inside_a_tunnel_a_redirect_leads_to_no_other_host(host: str) -> None:
    script, seen = answering(moved(307, f"http://{host}/mcp"))
    origin = post(call("search")).replace(f"http://{GITHUB}/".encode(), b"/")
    async with serving(script) as backend, sidecar_for(backend.port) as (_, port):
        async with client_of(port) as client:
            await tunnelled(client)
            await client.send(origin)
            _, fields, _ = await client.answer()
            assert fields["location"] == f"http://{host}/mcp"
            elsewhere = origin.replace(f"host: {GITHUB}".encode(), f"host: {host}".encode())
            assert await reason(client, elsewhere) == "http_bad_host"
        for target in (host, "github.tools.svc:9090"):
            authority = target if ":" in target else f"{target}:80"
            async with client_of(port) as client:
                opening = f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode()
                assert await reason(client, opening) == "egress_denied"
    assert len(seen) == 1


# Captured.


@pytest.mark.parametrize(
    ("dialled", "host", "why"),
    [
        (("203.0.113.9", 8080), "evil.example.com:8080", "egress_denied"),
        (("203.0.113.9", 80), "evil.example.com", "egress_denied"),
        (("169.254.169.254", 80), "169.254.169.254", "egress_denied"),
        (("10.96.0.7", 9090), "github.tools.svc:9090", "egress_denied"),
        (("203.0.113.9", 9090), GITHUB, "http_bad_host"),
    ],
)
async def test_a_captured_client_that_follows_a_redirect_is_decided_anew(
    dialled: tuple[str, int], host: str, why: str
) -> None:
    script, seen = answering(moved(307, f"http://{host}/mcp"))
    origin = post(call("search")).replace(f"http://{GITHUB}/".encode(), b"/")
    async with serving(script) as backend, sidecar_for(backend.port) as (sidecar, _):
        async with captured(sidecar, ("10.96.0.7", 8080)) as port, client_of(port) as client:
            await client.send(origin)
            status, fields, _ = await client.answer()
        assert (status, fields["location"]) == (307, f"http://{host}/mcp")
        async with captured(sidecar, dialled) as port, client_of(port) as client:
            following = origin.replace(f"host: {GITHUB}".encode(), f"host: {host}".encode())
            assert await reason(client, following) == why
    assert len(seen) == 1
