from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import Message, classify

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def modern() -> Callable[..., Message]:
    """A request of 2026-07-28: `modern("tools/call", name="x")`."""

    def make(method: str, *, version: Any = "2026-07-28", **params: Any) -> Message:
        meta = {**META, "io.modelcontextprotocol/protocolVersion": version}
        return classify({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}})

    return make


@pytest.fixture
def legacy() -> Callable[..., Message]:
    """A request of the handshake era: `legacy("tools/call", name="x")`."""

    def make(method: str, **params: Any) -> Message:
        return classify({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

    return make


@pytest.fixture
def mirrors() -> Callable[..., Headers]:
    """The mirrored headers: `mirrors("tools/call", "x")`; None leaves one out."""

    def make(method: str | None, name: str | None = None, version: str | None = "2026-07-28") -> Headers:
        given = [(b"mcp-protocol-version", version), (b"mcp-method", method), (b"mcp-name", name)]
        own = [(field, value.encode()) for field, value in given if value is not None]
        return [(b"host", b"a"), (b"accept", b"application/json"), (b"accept", b"text/event-stream"), *own]

    return make
