"""Where requests with one target go, found out once, and what HTTP+SSE servers announced beside it.

The answer depends on the policy and on what is part of the key, so it is kept until the policy changes, or an
announcement does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.policy.compile import Policy
from mesh.policy.documents import Backend
from mesh.policy.principal import Principal
from mesh.protocol.http1.heads import RequestHead
from sidecar.capture import forward_proxy
from sidecar.capture import inbound as inbound_capture
from sidecar.capture.forward_proxy import captured_to
from sidecar.proxy.endpoint import Endpoints
from sidecar.proxy.plan import Plan, Routed
from sidecar.proxy.routing import route_outbound
from sidecar.proxy.routing_inbound import endpoint_key, route_inbound

if TYPE_CHECKING:
    from sidecar.proxy.channel import Channel

MAX_REMEMBERED = 1024
"""Targets whose route is kept; more than that is somebody trying, and the memory is simply cleared."""

MAX_REMEMBERED_BYTES = 512
"""Target and Host of a route that is kept; who uses longer ones pays for them."""


class KnownRoutes:
    """The routes of one policy after the other."""

    def __init__(self, policy: Policy, application: inbound_capture.Application) -> None:
        self._policy = policy
        self._application = application
        self._routes: dict[tuple[object, ...], Routed] = {}
        self._endpoints: Endpoints[Backend] = Endpoints()
        self._inbound_endpoints: Endpoints[str] = Endpoints()

    def use(self, policy: Policy) -> None:
        """Another policy is in force."""
        self._policy = policy
        self._routes.clear()
        self._endpoints.keep(policy.backends)

    def find(self, head: RequestHead, channel: Channel, principal: Principal) -> Routed:
        """The remembered route, or a new one. Raises HttpRefused for a target that could mean two things."""
        inbound = channel.direction == "inbound"
        if inbound:
            key: tuple[object, ...] = (
                head.target,
                head.fields.get(b"host"),
                principal.id if principal.user is None else principal,
                channel.arrived,
            )
        else:
            key = (head.target, channel.tunnel, channel.secure)
            if channel.captured is not None or channel.tunnel is not None:
                key = (*key, channel.captured, head.fields.get(b"host"))
        routed = self._routes.get(key)
        if routed is None:
            routed = self._inbound(head, channel, principal) if inbound else self._outbound(head, channel)
            if len(self._routes) >= MAX_REMEMBERED:
                self._routes.clear()
            if len(head.target) + len(head.fields.get(b"host", b"")) <= MAX_REMEMBERED_BYTES:
                self._routes[key] = routed
        return routed

    def _outbound(self, head: RequestHead, channel: Channel) -> Routed:
        if channel.captured is not None:
            target = captured_to(head, channel.captured[1])
        else:
            target = forward_proxy.where_to(head, channel.tunnel, secure=channel.secure)
        return route_outbound(self._policy, target, self._endpoints.owners)

    def _inbound(self, head: RequestHead, channel: Channel, principal: Principal) -> Routed:
        application, path = inbound_capture.where_to(head, self._application, channel.arrived)
        authority = head.fields.get(b"host", b"")
        learned = self._inbound_endpoints.owners
        return route_inbound(self._policy, principal, application, path, authority, learned)

    def learn_endpoint(self, plan: Plan, path: str) -> None:
        """An HTTP+SSE server told where its messages go (MCP 2024-11-05, HTTP with SSE)."""
        (host, port), target = plan.routed.destination[:2], plan.target
        if plan.routed.direction == "inbound":
            learned = self._learn_inbound(plan, endpoint_key(port, path), path)
        else:
            learned = (
                isinstance(target, Backend)
                and _may_announce(plan, target)
                and self._endpoints.learn(f"{host}:{port}{path}", target)
            )
        if learned:
            self._routes.clear()

    def _learn_inbound(self, plan: Plan, key: str, path: str) -> bool:
        """Only from the stream that a client opens at a declared path; by that path, which outlives policies."""
        owner = self._policy.inbound(plan.routed.plain_path).path
        # A path that only what is about every path covers is the stream's, whose policies may be stricter.
        wide = self._policy.inbound(path).path in (None, "/")
        if owner in (None, "/") or plan.head.method != "GET" or not wide:
            return False
        return self._inbound_endpoints.learn(key, owner)


def _may_announce(plan: Plan, target: Backend) -> bool:
    """Whether a stream may say where a Backend's messages go.

    Where we give that Backend a credential, no stream but its own may: any other path of the host could have the
    credential brought to a place of its choice.
    """
    return target.credential is None or plan.routed.target is target
