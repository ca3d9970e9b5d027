"""What somebody without a sidecar says to a port of a pod, and what comes back."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator

from e2e.namespaces import Pod
from e2e.plugs import dialled
from e2e.subjects import MODERN
from mesh.identity.bundle import TrustBundle
from sidecar.identity.contexts import MESH_ALPN, client_context
from sidecar.identity.provider import Identity

META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "attacker", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": MODERN,
    "Mcp-Method": "tools/call",
    "Mcp-Name": "granted",
    "Connection": "close",
}
MESH_FIRST = (MESH_ALPN, "http/1.1")


def tool_call(words: str, host: str = "localhost") -> bytes:
    """A call of the tool that is granted: one request, which the server answers without any before it."""
    params = {"name": "granted", "arguments": {"words": words}, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    fields = {"Host": host, **HEADERS, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n{body}".encode()


def says(pod: Pod, address: str, port: int, request: bytes) -> bytes:
    """Say this in plain text, and listen until the other side ends."""
    with dialled(pod, address, port) as connection:
        connection.sendall(request)
        return _until_end(connection)


def says_in_tls(
    pod: Pod,
    address: str,
    port: int,
    request: bytes,
    *,
    alpn: tuple[str, ...] = MESH_FIRST,
    identity: Identity | None = None,
    server_name: str | None = "localhost",
) -> bytes | str:
    """Say this inside TLS; what came back, or the reason for which TLS failed.

    The server may be whoever it likes: an attacker is not choosy.
    """
    try:
        with secured(pod, address, port, alpn=alpn, identity=identity, server_name=server_name) as connection:
            connection.sendall(request)
            return _until_end(connection)
    except ssl.SSLError as refused:
        return str(refused.reason)


@contextlib.contextmanager
def secured(
    pod: Pod,
    address: str,
    port: int,
    *,
    alpn: tuple[str, ...] = MESH_FIRST,
    identity: Identity | None = None,
    server_name: str | None = "localhost",
) -> Iterator[ssl.SSLSocket]:
    """A connection with TLS. Raises ssl.SSLError."""
    context = _context(identity)
    context.set_alpn_protocols(list(alpn))
    with dialled(pod, address, port) as connection:
        with context.wrap_socket(connection, server_hostname=server_name) as made:
            yield made


def _context(identity: Identity | None) -> ssl.SSLContext:
    context = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if identity is None
        else client_context(Identity(identity.svid, dict[str, TrustBundle]()))
    )
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _until_end(connection: socket.socket) -> bytes:
    """What comes until the end; a reset is an end too."""
    answer = b""
    try:
        while data := connection.recv(65536):
            answer += data
    except ConnectionResetError:
        pass
    return answer
