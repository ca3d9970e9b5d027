"""Authorities of an operator's own: a server behind them is reached where they are named, and only there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sidecar.identity.contexts import load_chain
from sidecar.proxy.tls import public_context
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files

HOST = "api.corp.example"
POLICY = f"""
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {{name: api}}
spec: {{protocol: HTTP, host: {HOST}, port: 443, tls: {{mode: Public}}}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: triage}}
spec: {{outbound: [{{backend: api}}]}}
"""


def made(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's context, and the private authority (PEM) that vouches for it."""
    folder.mkdir()
    make_serving_files(folder, [HOST], datetime.now(UTC), timedelta(hours=1))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / CERT_FILE, folder / KEY_FILE)
    return context, (folder / ROOT_FILE).read_text(encoding="ascii")


@asynccontextmanager
async def server(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


@asynccontextmanager
async def sidecar(folder: Path, port: int, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m sidecar` as it runs in a pod: by variables alone."""
    (folder / "policies.yaml").write_text(POLICY, encoding="utf-8")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OUTRIDER_", "SSL_"))}
    given = {
        "OUTRIDER_POLICIES": str(folder / "policies.yaml"),
        "OUTRIDER_IDENTITY_PROVIDER": "none",
        "OUTRIDER_LISTEN_FORWARD": "127.0.0.1:0",
        "OUTRIDER_LISTEN_TELEMETRY": "off",
        "OUTRIDER_CONNECT": json.dumps({f"{HOST}:443": f"127.0.0.1:{port}"}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", stderr=asyncio.subprocess.PIPE, env={**plain, **given, **variables}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def asked(process: asyncio.subprocess.Process) -> bytes:
    """What an agent gets for a request to the server."""
    assert process.stderr is not None
    while (line := json.loads(await process.stderr.readline()))["event"] != "ready":
        pass
    host, _, port = line["forward"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET http://{HOST}:443/ HTTP/1.1\r\nhost: {HOST}:443\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_server_of_a_private_authority_is_reached_where_it_is_named(tmp_path: Path) -> None:
    context, authority = made(tmp_path / "corp")
    async with server(context) as port:
        async with sidecar(tmp_path, port, OUTRIDER_MORE_AUTHORITIES=authority) as process:
            answer = await asked(process)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"ok")
        async with sidecar(tmp_path, port) as process:
            answer = await asked(process)
            assert answer.startswith(b"HTTP/1.1 502 ")
            assert b"peer_untrusted" in answer


@pytest.mark.parametrize("place", ["SSL_CERT_FILE", "OUTRIDER_AUTHORITIES"])
async def test_the_roots_of_the_system_and_of_authorities_count_on(tmp_path: Path, place: str) -> None:
    context, _ = made(tmp_path / "public")
    _, authority = made(tmp_path / "corp")
    roots = {place: str(tmp_path / "public" / ROOT_FILE), "OUTRIDER_MORE_AUTHORITIES": authority}
    async with server(context) as port, sidecar(tmp_path, port, **roots) as process:
        assert (await asked(process)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("ca.crt", "there is no PEM block"),
        ("-----BEGIN CERTIFICATE-----\nxx\n", "1 PEM blocks begin and 0"),
        ("-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----\n", "it holds a private key"),
    ],
)
async def test_it_does_not_start_with_what_is_no_certificate(tmp_path: Path, text: str, cause: str) -> None:
    async with sidecar(tmp_path, 1, OUTRIDER_MORE_AUTHORITIES=text) as process:
        _, told = await process.communicate()
        assert process.returncode == 2
    assert f"environment:1: moreAuthorities: no authorities can be read from it: {cause}".encode() in told
    assert b"set by OUTRIDER_MORE_AUTHORITIES" in told


def test_an_authority_between_may_be_named_without_its_root() -> None:
    """Whoever is named is trusted: OpenSSL would otherwise ask for the root above."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("root", "between", HOST)]
    between = _signed(names[1], keys[1], names[0], keys[0], x509.BasicConstraints(ca=True, path_length=None))
    named = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    leaf = _signed(names[2], keys[2], names[1], keys[1], named)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_chain(server, (leaf,), keys[2].private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    _shake_hands(public_context(None, ssl.DER_cert_to_PEM_cert(between)), server)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(public_context(), server)


def _signed(
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> bytes:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=False)
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=HOST),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
