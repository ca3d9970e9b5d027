"""A CA by itself asks for clients' certificates, and takes those that its roots vouch for now."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from sidecar.identity.contexts import load_chain
from webhook.identity.asking_certificate import AskingCertificate
from webhook.identity.authorities import InMemory
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files


async def shown(port: int, root: Path, svid: X509Svid | None) -> bytes:
    """What the server says to who shows this; nothing where it ends the connection."""
    context = ssl.create_default_context(cafile=str(root))
    if svid is not None:
        load_chain(context, svid.chain_der, svid.key_pkcs8_der)
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    try:
        return await reader.read()
    except (ConnectionError, ssl.SSLError):
        return b""
    finally:
        writer.transport.abort()


async def test_what_is_shown_must_come_from_the_roots_as_they_are_now(tmp_path: Path) -> None:
    def now() -> datetime:
        return datetime.now(UTC)

    make_serving_files(tmp_path, ["localhost"], now(), timedelta(days=1))
    authorities = InMemory("a.example", now)

    def roots() -> tuple[bytes, ...]:
        return tuple(authorities.bundle().x509.authorities_der)

    def svid() -> X509Svid:
        workload = SpiffeId("a.example", "/ns/agents/sa/triage")
        return new_svid(authorities.signing, workload, now(), timedelta(hours=1))

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proved = writer.get_extra_info("ssl_object").getpeercert(True) is not None
        writer.write(b"svid" if proved else b"nothing")
        writer.close()

    certificate = AskingCertificate(tmp_path / CERT_FILE, tmp_path / KEY_FILE, roots)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate.context)
    port, root = server.sockets[0].getsockname()[1], tmp_path / ROOT_FILE
    before = svid()
    assert await shown(port, root, None) == b"nothing"
    assert await shown(port, root, before) == b"svid"
    authorities.replace_now()
    assert await shown(port, root, before) == b""
    assert await shown(port, root, svid()) == b"svid"
    assert await shown(port, root, None) == b"nothing"
    server.close()
