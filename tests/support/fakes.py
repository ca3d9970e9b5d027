"""A clock, a transport and a log that tests drive, and heads read from bytes as the data path reads them."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

from mesh.policy.compile import compile_policy
from mesh.policy.decide import Policy
from mesh.policy.load import load_texts
from mesh.policy.principal import Principal
from mesh.protocol.http1.heads import RequestHead, ResponseHead
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import RequestReader, ResponseReader
from sidecar.proxy.channel import Channel
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.record import Recorder
from tests.support.loopback import POLICY

AGENT = Principal("spiffe://test.mesh/ns/agents/sa/triage")


class Clock:
    """Loop time that stands still until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeTransport:
    """Keeps what is written; tells its protocol that it closed in the next turn of the loop, as real ones do."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol
        self.written = bytearray()
        self.closing = False
        self.aborted = False
        self.paused = False

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class Lines:
    """A log that keeps its lines as values."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def write(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    def write_encoded(self, rest: bytes) -> None:
        fields = json.loads(b"{" + rest)
        self.lines.append((fields.pop("event"), fields))

    def events(self) -> list[str]:
        return [event for event, _ in self.lines]


def recorder(decisions: Literal["all", "refused", "none"] = "all") -> tuple[Recorder, Lines]:
    """A Recorder over real metrics and a log that keeps its lines."""
    lines = Lines()
    return Recorder(Metrics(), lines, agent="agents/triage", decisions=decisions), lines  # type: ignore[arg-type]


def policy_of(text: str = POLICY) -> Policy:
    """The policy of an agent that these documents select."""
    return compile_policy(load_texts([("policies.yaml", text)]), labels={}, namespace=None)


def outbound(tunnel: tuple[str, int] | None = None) -> Channel:
    """The channel of the agent's own connection."""
    return Channel("outbound", AGENT, "agent", tunnel)


class _Heads:
    """Keeps the heads that a reader hands over."""

    def __init__(self) -> None:
        self.request: RequestHead | None = None
        self.response: ResponseHead | None = None

    def on_request(self, head: RequestHead) -> None:
        self.request = head

    def on_response(self, head: ResponseHead) -> None:
        self.response = head

    def on_interim(self, head: ResponseHead) -> None: ...
    def on_body(self, data: bytes) -> None: ...
    def on_request_end(self) -> None: ...
    def on_response_end(self) -> None: ...


def request_head(start: str, **fields: str) -> RequestHead:
    """The head of a request; `start` is its request line, with ` HTTP/1.1` where it names no version."""
    line = start if " HTTP/" in start else f"{start} HTTP/1.1"
    sink = _Heads()
    RequestReader(sink, HttpLimits()).feed(_head(line, fields))
    assert sink.request is not None
    return sink.request


def response_head(start: str = "200 OK", *, method: str = "GET", **fields: str) -> ResponseHead:
    """The head of a response to `method`; `start` is status and phrase."""
    line = start if start.startswith("HTTP/") else f"HTTP/1.1 {start}"
    sink = _Heads()
    reader = ResponseReader(sink, HttpLimits())
    reader.expect(method)
    reader.feed(_head(line, fields))
    assert sink.response is not None
    return sink.response


def _head(line: str, fields: dict[str, str]) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"{line}\r\n{lines}\r\n".encode("latin-1")


async def settled(turns: int = 5) -> None:
    """Let the loop run what is ready."""
    for _ in range(turns):
        await asyncio.sleep(0)
