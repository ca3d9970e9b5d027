"""Connections that a new policy does not allow any more.

A request is decided once and gets its answer. A connection may live for weeks: that of a peer whom no rule names
any more is cut, and so is an opaque tunnel, inside which nothing would ever be decided again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mesh.policy.decision import INBOUND, HttpRequest
from mesh.reasons import Reason
from sidecar.proxy.connect import TunnelRefused, judge_tunnel, without_asking
from sidecar.proxy.downstream import Downstream

if TYPE_CHECKING:
    from sidecar.proxy.listener import Connection
    from sidecar.proxy.pipeline import Pipeline


def cut_revoked(pipeline: Pipeline, connections: Iterable[Connection]) -> list[tuple[str, str, Reason]]:
    """Cut those of `connections` that the policy in force refuses; gives direction, peer and reason of each."""
    cut = []
    for connection in connections:
        if isinstance(connection, Downstream):
            reason = _refusal(pipeline, connection)
            if reason is not None:
                cut.append((connection.channel.direction, connection.channel.peer, reason))
                connection.abort()
    return cut


def _refusal(pipeline: Pipeline, connection: Downstream) -> Reason | None:
    channel, policy, tunnel = connection.channel, pipeline.policy, connection.tunnel
    if channel.direction == "inbound":
        decision = policy.meet(channel.principal)
        if decision.allowed and tunnel is not None:
            opaque = HttpRequest("CONNECT", "*")
            decision = without_asking(policy.decide(channel.principal, INBOUND, "connect", http=opaque))
        return None if decision.allowed else decision.reason
    if tunnel is None:
        return None
    judged = judge_tunnel(tunnel.host, tunnel.port, channel.principal, policy, pipeline.intercepts)
    if isinstance(judged.outcome, TunnelRefused):
        return judged.outcome.reason
    return Reason.CONNECT_REFUSED if judged.outcome.inspected else None
