"""Every limit of the data path: one table of names, units and safe defaults.

Sizes are bytes, times are seconds, 0 switches a time limit off where the text says so. The names are those of
the `limits:` section of the sidecar's file (camelCase there).
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of anything one peer may take."""

    head_bytes: int = 32 * 1024
    """Request or status line with all headers."""
    headers: int = 100
    """Header fields of one message."""
    body_bytes: int = 4 * 1024 * 1024
    """A message that is inspected whole; MCP servers themselves stop at 4 MiB."""
    event_bytes: int = 4 * 1024 * 1024
    """One server-sent event."""
    json_depth: int = 64
    """Nesting of a JSON document."""
    batch: int = 50
    """Messages in one JSON-RPC batch."""
    connections: int = 4096
    """Open connections of one listener."""
    upstream_connections: int = 1024
    """Open connections to one backend."""
    caller_tokens: int = 4096
    """Tokens of callers that are remembered, as hashes, so that the agent does not pass them on."""
    caller_token_seconds: float = 86400.0
    """How long each is remembered after it was last seen; a JWT not beyond its own expiry."""
    idle_seconds: float = 300.0
    """A client's connection without a request. 0: none."""
    stall_seconds: float = 120.0
    """A client that takes nothing of the answer it is being sent. 0: none."""
    linger_seconds: float = 10.0
    """From the end of a connection's use until it is cut, for a client that reads the last answer slowly."""
    head_seconds: float = 30.0
    """From the first byte of a request's head to its last, and between two pieces of its body. 0: none."""
    connect_seconds: float = 10.0
    """Connecting to a backend, TLS handshake included."""
    upstream_idle_seconds: float = 3600.0
    """Waiting for the next byte of an answer that is no event stream; long, because tools may be. 0: none."""
    upstream_keep_alive_seconds: float = 4.0
    """How long an idle connection to a backend is used again; below the 5 s after which common servers close."""
    external_auth_seconds: float = 1.0
    """From the question to an external authorization service to its answer, connecting included."""
    external_auth_at_once: int = 256
    """Questions to external authorization services under way at once; a request beyond them is refused."""
    rate_store_seconds: float = 0.05
    """From the question to the store of shared rate limits to its answer; then each limit's failureMode counts."""
    handshake_seconds: float = 10.0
    """TLS handshake of an accepted connection."""
    drain_seconds: float = 25.0
    """From SIGTERM to the end; below Kubernetes' default grace period of 30 s."""

    @property
    def tick_seconds(self) -> float:
        """A quarter of the shortest limit, at most a second: limits are kept to within that."""
        used = [s for s in (self.idle_seconds, self.head_seconds, self.upstream_idle_seconds) if s]
        return min([1.0, *(seconds / 4 for seconds in used)])


NO_LIMIT = frozenset({"idle_seconds", "stall_seconds", "head_seconds", "upstream_idle_seconds"})
"""Limits that 0 switches off."""

LEAST_SECONDS = 0.05
LEAST: dict[str, int] = {"head_bytes": 256, "body_bytes": 1024, "event_bytes": 1024, "json_depth": 4}
"""Smallest values that let anything work; 1 for every other number."""


def least(field: str) -> float:
    """The smallest value of a limit, leaving 0 aside."""
    return LEAST_SECONDS if field.endswith("seconds") else LEAST.get(field, 1)


def setting_name(field: str) -> str:
    """`head_bytes` -> `headBytes`, the spelling in files."""
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


LIMIT_NAMES: dict[str, str] = {setting_name(f.name): f.name for f in fields(Limits)}
"""Spelling in files -> field of Limits."""
