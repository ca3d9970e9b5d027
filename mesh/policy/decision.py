"""The answer to "may it?", and the values that a question is made of besides the principal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mesh.policy.documents import Backend
from mesh.reasons import Reason


@dataclass(frozen=True, slots=True, eq=False)
class Inbound:
    """This workload as the target of a peer's request.

    `path` is the MCP path that the request falls under, of those that inbound rules declare; None off all of
    them. A Policy makes one for each declared path, so that a peer cannot make many. Compared and hashed by
    identity, as a Backend is.
    """

    path: str | None = None


INBOUND: Final = Inbound()
"""This workload off every MCP path: only grants of plain HTTP count there."""

Target = Backend | Inbound


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A plain HTTP request that carries no MCP message; `path` is without query."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something passes, why, and which entry of which document says so.

    `rule` is like `AgentPolicy/triage outbound[0] tools.allow[2]`. `observed` is True when mode observe
    turned a refusal into a pass: `allowed` is True then, and `reason` and `rule` are those of the refusal.
    """

    allowed: bool
    reason: Reason
    rule: str
    observed: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request belongs: its Backend, or None. `host_declared` tells whether its host and port are some
    Backend's, so that only the path is not declared."""

    backend: Backend | None
    host_declared: bool
