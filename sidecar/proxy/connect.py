"""A tunnel to a destination, inspected, passed or refused: asked for by CONNECT, or by TLS that was captured.

What is inside a tunnel to a declared Backend must be inspected like everything else that goes there. Plain HTTP
inside can be (Node's fetch tunnels http:// URLs), and so can TLS where interception is on. Other TLS of the
application's own is refused where a policy on tools or paths would be bypassed by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from mesh.policy.compile import Policy
from mesh.policy.decision import Decision, RequestContext
from mesh.policy.documents import Backend, BackendProtocol
from mesh.policy.principal import Principal
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.http1.target import Target, authority_form
from mesh.reasons import Reason
from sidecar.proxy import replies
from sidecar.proxy.plan import Reply, Tunnel
from sidecar.proxy.pool import Destination, TlsMode
from sidecar.proxy.routing import UNDECLARED, destination_of, reach_of
from sidecar.telemetry.record import Recorder

if TYPE_CHECKING:
    from sidecar.proxy.channel import Channel


@dataclass(frozen=True, slots=True)
class TunnelRefused:
    """Why there is no tunnel, and to where."""

    reason: Reason
    where: str


def no_host(host: str, port: int) -> bool:
    """Where interception is off: it covers nothing."""
    return False


def as_it_is(host: str, port: int) -> Reason:
    """Why TLS is not inspected where interception is off."""
    return Reason.CONNECT_REFUSED


def tunnel_to(
    head: RequestHead,
    channel: Channel,
    policy: Policy,
    recorder: Recorder,
    intercepts: Callable[[str, int], bool] = no_host,
    unable: Callable[[str, int], Reason] = as_it_is,
) -> Tunnel | Reply:
    """Decide a CONNECT. Raises HttpRefused for a target that is no host:port."""
    host, port = authority_form(head.target)
    decided = decide_tunnel(host, port, channel, policy, recorder, intercepts, unable)
    if isinstance(decided, TunnelRefused):
        return replies.problem(403, decided.reason, decided.where)
    return decided


def decide_tunnel(
    host: str,
    port: int,
    channel: Channel,
    policy: Policy,
    recorder: Recorder,
    intercepts: Callable[[str, int], bool] = no_host,
    unable: Callable[[str, int], Reason] = as_it_is,
) -> Tunnel | TunnelRefused:
    """Decide a tunnel, and say so. `intercepts` tells to which host and port TLS can be ended here, `unable` why
    not."""
    decided, backend, decision = judge_tunnel(host, port, channel.principal, policy, intercepts, unable)
    if decision is not None:
        where = f"{host}:{port}"
        recorder.decision(channel.direction, channel.principal, backend, "connect", where, decision)
    elif isinstance(decided, TunnelRefused):
        recorder.refused_message("client", channel.peer, decided.reason, decided.where)
    return decided


class Judged(NamedTuple):
    """What becomes of a tunnel; `decision` None: no rule was asked about the tunnel itself."""

    outcome: Tunnel | TunnelRefused
    backend: str
    decision: Decision | None = None


def judge_tunnel(
    host: str,
    port: int,
    principal: Principal,
    policy: Policy,
    intercepts: Callable[[str, int], bool] = no_host,
    unable: Callable[[str, int], Reason] = as_it_is,
) -> Judged:
    """As `decide_tunnel`, without a word to anybody."""
    where = f"{host}:{port}"
    backends = policy.backends_at(host, port)
    if not backends:
        decision = policy.egress(host, port)
        destination = Destination(host, port, reach=policy.reach(host, port))
        tunnel = Tunnel(host, port, destination, UNDECLARED, inspected=False)
        return Judged(_if_allowed(tunnel, decision, where), UNDECLARED, decision)
    opaque = next((b for b in backends if _may_be_opaque(b)), None)
    if opaque is not None and all(_granted_whole(b, principal, policy) for b in backends if b is not opaque):
        known = RequestContext(host=host, port=port)
        decision = without_asking(policy.decide(principal, opaque, "connect", context=known))
        only_tls = opaque.tls.mode.value == TlsMode.PUBLIC
        destination = _tunnel_destination(opaque, host, port)
        tunnel = Tunnel(host, port, destination, opaque.name, inspected=False, only_tls=only_tls)
        return Judged(_if_allowed(tunnel, decision, where), opaque.name, decision)
    name = backends[0].name
    if all(b.tls.mode.value == TlsMode.PUBLIC for b in backends) and not intercepts(host, port):
        return Judged(TunnelRefused(unable(host, port), where), name)
    return Judged(Tunnel(host, port, Destination(host, port), name, inspected=True), name)


def _if_allowed(tunnel: Tunnel, decision: Decision, where: str) -> Tunnel | TunnelRefused:
    return tunnel if decision.allowed else TunnelRefused(decision.reason, where)


def _granted_whole(backend: Backend, principal: Principal, policy: Policy) -> bool:
    """Whether a tunnel that reaches this Backend too bypasses nothing: plain HTTP that is granted."""
    if backend.protocol is not BackendProtocol.HTTP or backend.credential is not None:
        return False
    return without_asking(policy.decide(principal, backend, "connect")).allowed


def without_asking(decision: Decision) -> Decision:
    """What is decided of bytes that nobody can be shown: no external authorization can be asked about them."""
    if not decision.checks:
        return decision
    return replace(decision, allowed=False, reason=Reason.EXTERNAL_AUTH_IMPOSSIBLE, checks=())


def _may_be_opaque(backend: Backend) -> bool:
    """Nothing inside a tunnel to it is subject to a policy, nor has to be put in: TCP, or HTTPS of which every
    path is granted and that gets no credential."""
    if backend.protocol is BackendProtocol.TCP:
        return True
    if backend.credential is not None:
        return False
    whole = backend.protocol is BackendProtocol.HTTP and backend.path == "/"
    return whole and backend.tls.mode.value == TlsMode.PUBLIC


def _tunnel_destination(backend: Backend, host: str, port: int) -> Destination:
    """TCP to a Mesh backend is wrapped in mutual TLS; HTTPS of the agent's own goes as it is."""
    if backend.tls.mode.value == TlsMode.MESH:
        return destination_of(backend, Target("http", host, port, b"/"))
    return Destination(host, port, reach=reach_of(backend))
