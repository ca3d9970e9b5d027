"""A client's and a server's sidecar with the documents that connect them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from e2e.sidecars import VERSION
from e2e.spire.workload import Sidecar

# The SDK's servers answer only who calls them by a loopback name; the port leads to the peer by `connect`.
HOST, PORT = "localhost", 8080
URL = f"http://{HOST}:{PORT}/mcp"


def server_side(
    folder: Path, python: Path, endpoint: str, application: int, callers: list[str], **settings: Any
) -> Sidecar:
    """Beside the server at `application`; only `callers` are let in, and only to read."""
    rule = {"from": callers, "mcp": {"tools": {"allow": ["read_note"]}}}
    documents = [_document("AgentPolicy", "notes", {"inbound": [rule]})]
    return Sidecar(
        folder,
        python,
        endpoint,
        documents,
        listen={"inbound": "127.0.0.1:0"},
        application={"host": "127.0.0.1", "ports": [application]},
        **settings,
    )


def client_side(
    folder: Path, python: Path, endpoint: str, inbound: str, expected: str, **settings: Any
) -> Sidecar:
    """Beside a client; URL leads to the peer that listens at `inbound` and must prove to be `expected`."""
    tls = {"mode": "Mesh", "identity": expected}
    backend = {"protocol": "MCP", "host": HOST, "port": PORT, "path": "/mcp", "tls": tls}
    rule = {"backend": "notes", "tools": {"allow": ["*"]}}
    documents = [
        _document("Backend", "notes", backend),
        _document("AgentPolicy", "agent", {"outbound": [rule]}),
    ]
    return Sidecar(
        folder,
        python,
        endpoint,
        documents,
        listen={"forward": "127.0.0.1:0"},
        connect={f"{HOST}:{PORT}": inbound},
        **settings,
    )


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
