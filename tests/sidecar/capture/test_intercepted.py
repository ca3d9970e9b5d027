"""HTTPS of the application through an intercepted tunnel, with clients that know nothing but a CA file."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.app import Sidecar
from sidecar.capture.intercepted import Interception
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.declared import DeclaredHosts
from sidecar.telemetry import names
from tests.support.loopback import (
    POLICY,
    TOOLS,
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
from tests.support.meshed import CLIENT_POLICY, GITHUB, TRIAGE, Published, client_side, new_mesh, server_side

LOOPS = ("asyncio", "uvloop")
CONNECT = b"CONNECT github.tools.svc:8080 HTTP/1.1\r\nhost: github.tools.svc:8080\r\n\r\n"
MESHED = POLICY.replace(
    "path: /mcp, tls: {mode: None}}", f'path: /mcp, tls: {{mode: Mesh, identity: "{GITHUB}"}}}}'
)


def intercepting(sidecar: Sidecar) -> ssl.SSLContext:
    """Switch interception on; gives what an application in the pod trusts."""
    hosts = DeclaredHosts.of(sidecar.pipeline.policy.backends)
    authority = InterceptionAuthority(hosts)
    sidecar.pipeline.interception = Interception(sidecar.pipeline, authority)
    return ssl.create_default_context(cadata=authority.certificate_pem)


@asynccontextmanager
async def secured(
    port: int, context: ssl.SSLContext, host: str = "github.tools.svc"
) -> AsyncIterator[Client]:
    """A client's TLS inside a CONNECT."""
    async with client_of(port) as client:
        await client.send(CONNECT)
        assert (await client.head())[0] == 200
        await client.writer.start_tls(context, server_hostname=host)
        yield client


def inside(message: object) -> bytes:
    return post(message).replace(b"http://github.tools.svc:8080/", b"/")


@asynccontextmanager
async def two_sidecars(answer: object) -> AsyncIterator[tuple[Sidecar, int, list[tuple[bytes, bytes]]]]:
    mesh = new_mesh()
    script, seen = answering(json_answer(answer))
    policy = CLIENT_POLICY.replace('allow: ["*"]', 'allow: [search, "list_*"], deny: ["*delete*"]')
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port) as (_, inbound),
        client_side(Published(mesh.identity(TRIAGE)), inbound, policy=policy) as (sidecar, port),
    ):
        yield sidecar, port, seen


async def test_https_to_a_declared_backend_is_decided_like_http_to_it() -> None:
    async with two_sidecars(result({"tools": TOOLS})) as (sidecar, port, seen):
        context = intercepting(sidecar)
        async with secured(port, context) as client:
            await client.send(inside({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
            listed = json.loads((await client.answer())[2])
            await client.send(inside(call("drop")))
            refused = json.loads((await client.answer())[2])
    assert [tool["name"] for tool in listed["result"]["tools"]] == ["search", "list_all"]
    assert refused["error"]["message"] == "Unknown tool: drop"
    assert len(seen) == 1


async def test_the_application_sees_a_certificate_of_the_host_and_http_1_1() -> None:
    async with two_sidecars(result({})) as (sidecar, port, _):
        context = intercepting(sidecar)
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with secured(port, context) as client:
            tls = client.writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "http/1.1"
            assert ("DNS", "github.tools.svc") in tls.getpeercert()["subjectAltName"]


async def test_a_client_that_does_not_trust_the_authority_is_told_of_in_the_log() -> None:
    async with two_sidecars(result({})) as (sidecar, port, _):
        intercepting(sidecar)
        with pytest.raises(ssl.SSLCertVerificationError):
            async with secured(port, ssl.create_default_context()):
                pass
        async with asyncio.timeout(5):
            while not sidecar.metrics.value(names.REFUSED_MESSAGES, ("client", "interception_not_trusted")):
                await asyncio.sleep(0)
        assert sidecar._listeners["forward"].shaking_hands == 0


async def test_a_backend_that_is_reached_in_plain_text_is_not_intercepted() -> None:
    async with serving(answering(b"")[0]) as backend, sidecar_for(backend.port) as (sidecar, port):
        context = intercepting(sidecar)
        with pytest.raises(ssl.SSLError, match=r"(?i)access.denied"):
            async with secured(port, context):
                pass


async def test_a_host_inside_that_is_not_the_tunnels_is_refused() -> None:
    async with two_sidecars(result({})) as (sidecar, port, seen):
        context = intercepting(sidecar)
        async with secured(port, context) as client:
            await client.send(
                inside(call("search")).replace(b"host: github.tools.svc:8080", b"host: other.tools.svc:8080")
            )
            status, _, body = await client.answer()
    assert (status, json.loads(body)["reason"], seen) == (400, "http_bad_host", [])
