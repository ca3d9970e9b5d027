"""The certificates of the demo: made, shown and read."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from cli.demo.cast import HELPDESK, TRIAGE
from cli.demo.certificates import (
    PUBLIC_NAMES,
    Certificate,
    make_public,
    public_certificate,
    public_key,
    public_root,
    shown_at,
    trust_folder,
)
from sidecar.interception.certificates import make_signer
from sidecar.interception.declared import DeclaredHosts


def test_the_public_server_gets_a_certificate_of_an_authority_of_its_own(tmp_path: Path) -> None:
    make_public(tmp_path)
    found = Certificate.read(public_certificate(tmp_path).read_text(encoding="ascii"))
    root = Certificate.read(public_root(tmp_path).read_text(encoding="ascii"))
    assert found is not None
    assert root is not None
    assert found.names == PUBLIC_NAMES
    assert found.issuer == root.subject
    assert (found.limited_to, root.limited_to) == (None, None)
    assert trust_folder(tmp_path, TRIAGE).is_dir()
    assert trust_folder(tmp_path, HELPDESK).is_dir()


def test_what_an_authority_is_limited_to_is_read() -> None:
    hosts = DeclaredHosts(frozenset(("a.example", "b.example")))
    root = make_signer(hosts, datetime.now(UTC)).root.public_bytes(Encoding.PEM).decode("ascii")
    found = Certificate.read(root)
    assert found is not None
    assert found.limited_to == ("a.example", "b.example")
    assert found.subject.startswith("Outrider interception root ")
    assert found.names == ()


def test_where_there_is_no_certificate_there_is_nothing_to_read() -> None:
    assert Certificate.read("") is None


async def test_what_a_server_shows_to_strangers(tmp_path: Path) -> None:
    make_public(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public_certificate(tmp_path), public_key(tmp_path))
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        found = await shown_at(port)
    assert found == Certificate.read(public_certificate(tmp_path).read_text(encoding="ascii"))
    assert await shown_at(port) is None
