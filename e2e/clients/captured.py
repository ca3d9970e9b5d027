"""Runs the conformance client in a pod of its own, whose sidecar captures what it dials; the client is not told.

    suite, on its loopback <- relay on the bridge <- sidecar <- redirection <- client, in the pod

In the pod `localhost` is the bridge, where a relay takes every port to the same port of the suite's own loopback:
the suite's servers listen there, and the URLs that they name have to lead to them. With `--https` the relay ends
TLS and the client is sent to https://, so that the sidecar has to intercept. Scenarios of authorization keep
http:// even then: the suite's metadata says which URL its server has, and a client that was sent to another must
not go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e import sidecars
from e2e.clients.through_sidecar import CLIENT, OPEN, documents
from e2e.namespaces import Network, Pod, network
from e2e.plugs import APPLICATION, SIDECAR, listening
from e2e.pods import redirect
from mesh.identity.ca import make_authority
from mesh.settings.trust import BUNDLE_FILE
from sidecar.capture.original_destination import original_destination
from tests.support.forge import forge

RELAY = 1  # a port that no server of the suite has
HOST = "localhost"
AT_ONCE = 4


def main() -> int:
    url = sys.argv[-1]
    authorization = os.environ["MCP_CONFORMANCE_SCENARIO"].startswith("auth/")
    if "--https" in sys.argv and not authorization:
        url = url.replace("http://", "https://")
    with _turn(), tempfile.TemporaryDirectory() as folder, network("client") as net:
        _bring_here(net.bridge)
        return asyncio.run(_run(Path(folder), net, url))


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait until few others run: the suite starts all its clients at once, and each brings a pod."""
    slot = Path(tempfile.gettempdir()) / f"outrider-captured-{os.getpid() % AT_ONCE}.lock"
    with slot.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


async def _run(folder: Path, net: Network, url: str) -> int:
    pod, front = net["client"], None
    pod.know({HOST: (net.bridge.ipv4,)}, net.bridge.ipv4)
    if url.startswith("https:"):
        front = _front(folder)
    async with _relay(net.bridge, front):
        return await asyncio.to_thread(_play, folder, pod, url)


def _play(folder: Path, pod: Pod, url: str) -> int:
    """Start the sidecar, then the client, which knows neither of it nor of redirection."""
    described, settings, trust = documents(url), {}, {}
    if url.startswith("https:"):
        settings, trust = _interception(folder, described)
    redirect(pod)
    listen = {"forward": "127.0.0.1:15002", "telemetry": None, "redirectOutbound": "*:15001"}
    enter = partial(pod.command, uid=SIDECAR, gid=SIDECAR)
    with sidecars.running(folder, described, enter=enter, egress=OPEN, listen=listen, **settings):
        done = pod.run([*CLIENT, url], uid=APPLICATION, env=trust)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def _interception(folder: Path, described: list[Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Make the Backends public; the sidecar's settings for that, and what the client is told."""
    for one in described:
        if one["kind"] == "Backend":
            one["spec"]["tls"]["mode"] = "Public"
    directory = folder / "trust"
    directory.mkdir()
    os.chown(directory, SIDECAR, SIDECAR)
    settings = {"authorities": "roots.pem", "interception": {"directory": str(directory)}}
    return settings, {"SSL_CERT_FILE": str(directory / BUNDLE_FILE)}


def _front(folder: Path) -> ssl.SSLContext:
    """A certificate for the suite's servers; its root is left in `folder`."""
    now = datetime.now(UTC)
    root = make_authority("suite.test", now, timedelta(hours=1))
    (folder / "roots.pem").write_text(ssl.DER_cert_to_PEM_cert(root.der), encoding="ascii")
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = forge(root, key.public_key(), now, uris=(), dns=(HOST,), extended=("SERVER_AUTH",))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    chain = folder / "front.pem"
    chain.write_text(private + ssl.DER_cert_to_PEM_cert(leaf), encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


def _bring_here(bridge: Pod) -> None:
    """Redirect every port of the bridge's address to the relay."""
    rules = (
        "table ip relay {\n chain prerouting {\n type nat hook prerouting priority -100\n"
        f" ip daddr {bridge.ipv4} meta l4proto tcp redirect to :{RELAY}\n }}\n}}\n"
    )
    subprocess.run(bridge.command(["nft", "-f", "-"]), input=rules, text=True, check=True)


@contextlib.asynccontextmanager
async def _relay(bridge: Pod, front: ssl.SSLContext | None) -> AsyncIterator[None]:
    """Take every port of the bridge's address to the same port of this process's own loopback."""
    with listening(bridge, "0.0.0.0", RELAY, uid=0) as listener:
        listener.listener.setblocking(False)
        async with await asyncio.start_server(_carry, sock=listener.listener, ssl=front):
            yield


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one connection, each direction until its end."""
    meant = original_destination(writer.get_extra_info("socket"))
    assert meant is not None
    try:
        to_reader, to_writer = await asyncio.open_connection(HOST, meant[1])
    except OSError:
        writer.transport.abort()
        return
    await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


if __name__ == "__main__":
    sys.exit(main())
