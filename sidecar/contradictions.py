"""Settings that are each well formed, and together cannot work or give away what they shall protect.

Pure functions, one per contradiction. Each gives the path where the likely cause stands, and a sentence that
says what would happen and what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from sidecar.addresses import Address, is_loopback, overlap, spelled
from sidecar.identity.endpoint import ENDPOINT_VARIABLE, endpoint_fault
from sidecar.settings import (
    AgentSettings,
    ApplicationSettings,
    ControlSettings,
    IdentitySettings,
    ListenSettings,
    Provider,
)


class Contradiction(NamedTuple):
    """What contradicts another setting: its path in the file, and the sentence."""

    path: str
    message: str


def in_listeners(listen: ListenSettings) -> Iterator[Contradiction]:
    """What contradicts itself among the listeners."""
    serving = (listen.forward, listen.inbound, listen.redirect_outbound, listen.redirect_inbound)
    if not any(serving):
        yield Contradiction(
            "listen",
            "forward and inbound are both off, so nothing would be served; set forward for an agent that calls"
            " others, inbound for one that is called",
        )
    if listen.forward is not None and not is_loopback(listen.forward[0]):
        yield Contradiction(
            "listen.forward",
            f"{spelled(listen.forward)} is reached from other machines, which could then act with this agent's"
            " identity and grants; listen on 127.0.0.1, [::1] or localhost",
        )
    for (first, one), (second, other) in combinations(_bound(listen), 2):
        if one[1] == other[1] and overlap(one[0], other[0]):
            yield Contradiction(
                f"listen.{second}",
                f"{spelled(other)} overlaps listen.{first}, which is {spelled(one)}; give each listener a port"
                " of its own",
            )


def with_application(listen: ListenSettings, application: ApplicationSettings) -> Iterator[Contradiction]:
    """What contradicts between the listeners and where inbound traffic goes."""
    if listen.inbound is not None and not application.ports:
        yield Contradiction(
            "listen.inbound",
            "application.ports is empty, so that every request of a peer would fail; list the application's"
            " ports there, or switch listen.inbound off",
        )
    for index, port in enumerate(application.ports):
        for name, (host, taken) in _bound(listen):
            if port == taken and overlap(application.host, host):
                yield Contradiction(
                    f"application.ports[{index}]",
                    f"{spelled((application.host, port))} is listen.{name} of the sidecar itself, which would"
                    " call itself; write the port that the application listens on, or move the listener",
                )


def with_identity(listen: ListenSettings, identity: IdentitySettings) -> Iterator[Contradiction]:
    """What contradicts between the listeners and the identity."""
    for name, address in (("inbound", listen.inbound), ("redirectInbound", listen.redirect_inbound)):
        if address is not None and identity.provider is Provider.NONE:
            yield Contradiction(f"listen.{name}", "mutual TLS needs an identity; set identity.provider")


def without_control(identity: IdentitySettings) -> Iterator[Contradiction]:
    """What needs a control plane, where there is none."""
    if identity.provider is Provider.BUILTIN:
        yield Contradiction(
            "identity.provider",
            "builtin has its SVID from the control plane; add the section control, or choose another provider",
        )


def in_control(
    policies: Sequence[object], control: ControlSettings | None, agent: AgentSettings
) -> Iterator[Contradiction]:
    """What contradicts between the two places where policies can come from, and what one of them needs."""
    if control is None:
        if not policies:
            yield Contradiction("policies", "missing; at least one file or folder, or the section control")
        return
    if policies:
        yield Contradiction(
            "policies",
            "the control plane gives the policies, and would not know of these; remove policies, or the section"
            " control where the files shall decide",
        )
    for name, value in (("namespace", agent.namespace), ("uid", agent.uid)):
        if not value:
            yield Contradiction(
                f"agent.{name}", "missing; the control plane has to be told which pod this sidecar serves"
            )


def in_identity(identity: IdentitySettings, environment_socket: str | None) -> Iterator[Contradiction]:
    """What contradicts itself in the identity; `environment_socket` is what the endpoint variable holds."""
    if identity.provider is Provider.WORKLOAD_API and not identity.socket:
        if not environment_socket:
            fault: str | None = f"missing; set it, or {ENDPOINT_VARIABLE} in the environment"
        elif fault := endpoint_fault(environment_socket):
            fault = f"not set, and {ENDPOINT_VARIABLE} in its place: {fault}"
        if fault:
            yield Contradiction("identity.socket", fault)
    if identity.provider is Provider.FILES and identity.files is None:
        yield Contradiction("identity.files", "missing; it says where the identity comes from")
    given = {"socket": identity.socket, "spiffeId": identity.spiffe_id, "files": identity.files}
    for name in (name for name, value in given.items() if value is not None):
        uses = _USES[name]
        if identity.provider in uses:
            continue
        none = ", which means no identity and no mutual TLS" if identity.provider is Provider.NONE else ""
        yield Contradiction(
            f"identity.{name}",
            f"has no effect with provider {identity.provider}{none}; write provider {uses[0]}, or remove {name}",
        )


_USES = {
    "socket": (Provider.WORKLOAD_API,),
    "spiffeId": (Provider.WORKLOAD_API, Provider.FILES, Provider.BUILTIN),
    "files": (Provider.FILES,),
}
"""Which providers heed a key of the section."""


def _bound(listen: ListenSettings) -> list[tuple[str, Address]]:
    """The listeners whose address is known; port 0 takes one that is free."""
    named = {
        "forward": listen.forward,
        "inbound": listen.inbound,
        "telemetry": listen.telemetry,
        "redirectOutbound": listen.redirect_outbound,
        "redirectInbound": listen.redirect_inbound,
    }
    return [(name, address) for name, address in named.items() if address is not None and address[1]]
