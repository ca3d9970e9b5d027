"""Where `egress: allow` ends, on each way that leads out of an agent."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from typing import Any

import pytest

from mesh.policy.load import load_texts
from sidecar.app import Sidecar
from sidecar.config import EgressSettings, PrivateAddresses
from sidecar.proxy.bounded import Found
from sidecar.telemetry import names
from tests.support.capturing import captured
from tests.support.client_hellos import real_hello
from tests.support.loopback import POLICY, answering, client_of, json_answer, serving, sidecar_for

LOOPS = ("asyncio", "uvloop")
OPEN = POLICY.replace("spec:\n  outbound:", "spec:\n  egress: allow\n  outbound:")
OBSERVING = OPEN.replace("egress: allow", "mode: observe\n  egress: allow")
REASON = "egress_private_address"


def resolving(sidecar: Sidecar, *addresses: str) -> list[str]:
    """Let every name lead to these addresses; gives the names that are asked for."""
    asked: list[str] = []

    async def look_up(host: str, port: int) -> list[Found]:
        asked.append(host)
        return [(socket.AF_INET, text, (text, port)) for text in addresses]

    sidecar._dialer.declared = sidecar._dialer.undeclared = look_up
    return asked


async def ask(port: int, request: str, host: str) -> tuple[int, Any]:
    async with client_of(port) as client:
        await client.send(f"{request} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        status, _, body = await client.answer()
    return status, json.loads(body) if body else None


METADATA = ["169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]"]


@pytest.mark.parametrize("host", [*METADATA, "127.0.0.1", "10.0.0.1", "[::1]", "100.64.0.1", "168.63.129.16"])
@pytest.mark.parametrize("form", ["GET http://{}/latest/meta-data", "GET https://{}/", "CONNECT {}:443"])
async def test_an_address_that_is_not_public_is_refused_before_anything_is_dialled(
    form: str, host: str
) -> None:
    async with sidecar_for(1, policy=OPEN) as (sidecar, port):
        asked = resolving(sidecar, "127.0.0.1")
        status, body = await ask(port, form.format(host), host if "CONNECT" not in form else f"{host}:443")
    assert (status, body["reason"]) == (403, REASON)
    assert "a Backend document with this host and port" in body["detail"]
    assert asked == []


@pytest.mark.parametrize("form", ["GET http://{}/", "GET https://{}/", "CONNECT {}:443"])
@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254"])
async def test_a_name_that_leads_there_is_refused_when_it_is_dialled(form: str, address: str) -> None:
    host = "rebound.example.com"
    async with sidecar_for(1, policy=OPEN) as (sidecar, port):
        asked = resolving(sidecar, address)
        status, body = await ask(port, form.format(host), host if "CONNECT" not in form else f"{host}:443")
        failed = sidecar.metrics.value(names.UPSTREAM_FAILURES, ("undeclared", REASON))
    assert (status, body["reason"], asked, failed) == (403, REASON, [host], 1)
    assert f"{host} leads to {address}" in body["detail"]


async def test_captured_http_is_held_to_the_same() -> None:
    async with sidecar_for(1, policy=OPEN) as (sidecar, _), captured(sidecar, ("1.1.1.1", 80)) as port:
        resolving(sidecar, "10.0.0.1")
        by_name = await ask(port, "GET /", "rebound.example.com")
        by_address = await ask(port, "GET /", "169.254.169.254")
    assert [(status, body["reason"]) for status, body in (by_name, by_address)] == [(403, REASON)] * 2


async def test_captured_tls_to_a_name_that_leads_inside_is_closed() -> None:
    async with sidecar_for(1, policy=OPEN) as (sidecar, _), captured(sidecar, ("1.1.1.1", 443)) as port:
        asked = resolving(sidecar, "10.0.0.1")
        async with client_of(port) as client:
            await client.send(real_hello("rebound.example.com"))
            assert await asyncio.wait_for(client.reader.read(-1), 5) == b""
        assert sidecar.metrics.value(names.UPSTREAM_FAILURES, ("undeclared", REASON)) == 1
    assert asked == ["rebound.example.com"]


@pytest.mark.parametrize("dialled", ["169.254.169.254", "10.0.0.1", "::1"])
async def test_captured_bytes_go_to_no_address_inside(dialled: str) -> None:
    async with sidecar_for(1, policy=OPEN) as (sidecar, _), captured(sidecar, (dialled, 7000)) as port:
        async with client_of(port) as client:
            await client.send(b"\x00\x01\n")
            assert await asyncio.wait_for(client.reader.read(-1), 5) == b""
        assert sidecar.metrics.value(names.REQUESTS, ("outbound", "undeclared", "connect", REASON)) == 1


async def test_of_public_and_private_addresses_only_the_public_are_dialled() -> None:
    script, seen = answering(json_answer({}))
    dialled: list[Any] = []

    async with serving(script) as backend, sidecar_for(backend.port, policy=OPEN) as (sidecar, port):
        resolving(sidecar, "127.0.0.1", "93.184.216.34", "169.254.169.254")

        loop = asyncio.get_running_loop()
        real = loop.create_connection

        async def connect(make: Any, host: str, to: int, **options: Any) -> Any:
            dialled.append((host, to))
            return await real(make, "127.0.0.1", backend.port)

        sidecar._dialer.open = connect
        status, _ = await ask(port, "GET http://mixed.example.com/", "mixed.example.com")
    assert (status, dialled) == (200, [("93.184.216.34", 80)])
    assert len(seen) == 1


async def test_under_observe_a_private_address_is_recorded_and_passes() -> None:
    script, seen = answering(json_answer({}))
    async with serving(script) as backend, sidecar_for(backend.port, policy=OBSERVING) as (sidecar, port):
        resolving(sidecar, "127.0.0.1")
        for host in ("inside.example.com", "127.0.0.1"):
            authority = f"{host}:{backend.port}"
            assert (await ask(port, f"GET http://{authority}/", authority))[0] == 200
        assert sidecar.metrics.value(names.OBSERVED, ("outbound", "undeclared", REASON)) == 2
    assert len(seen) == 2


async def test_the_platform_can_open_private_addresses() -> None:
    script, _ = answering(json_answer({}))
    async with serving(script) as backend, sidecar_for(1, policy=OPEN) as (closed, _):
        egress = EgressSettings(PrivateAddresses.ALLOW)
        listen = replace(closed.config.listen, telemetry=None)
        opened = Sidecar(replace(closed.config, egress=egress, listen=listen), load_texts([("p.yaml", OPEN)]))
        port = int((await opened.start())["forward"].rpartition(":")[2])
        for host in ("127.0.0.1", "localhost"):
            authority = f"{host}:{backend.port}"
            assert (await ask(port, f"GET http://{authority}/", authority))[0] == 200
        opened.stop()
        await opened.drain()


PUBLIC_BACKENDS = """
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: api}
spec: {protocol: HTTP, host: api.example.com, port: 443, tls: {mode: Public}}
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: wild}
spec: {protocol: HTTP, host: "*.tools.svc", port: 8082, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: more}
spec: {outbound: [{backend: api}, {backend: wild}]}
"""


@pytest.mark.parametrize("address", ["169.254.169.254", "169.254.170.2", "168.63.129.16"])
@pytest.mark.parametrize(
    ("request_line", "host"),
    [
        ("GET http://api.example.com:443/", "api.example.com:443"),
        ("CONNECT api.example.com:443", "api.example.com:443"),
        ("GET http://any.tools.svc:8082/", "any.tools.svc:8082"),
    ],
)
async def test_a_declared_name_that_others_resolve_leads_to_no_metadata(
    address: str, request_line: str, host: str
) -> None:
    async with sidecar_for(1, policy=POLICY + PUBLIC_BACKENDS) as (sidecar, port):
        resolving(sidecar, address)
        status, body = await ask(port, request_line, host)
    assert (status, body["reason"]) == (403, REASON)


async def test_a_declared_name_may_lead_to_a_private_address() -> None:
    script, seen = answering(json_answer({}))
    policy = POLICY + PUBLIC_BACKENDS
    async with serving(script) as backend:
        policy = policy.replace("port: 8082", f"port: {backend.port}")
        async with sidecar_for(1, policy=policy) as (sidecar, port):
            resolving(sidecar, "127.0.0.1")
            authority = f"any.tools.svc:{backend.port}"
            assert (await ask(port, f"GET http://{authority}/", authority))[0] == 200
    assert len(seen) == 1
