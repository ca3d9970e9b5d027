"""Proof that redirection works, from inside the pod and before anything else runs in it.

Rules that read back well may still do nothing: a kernel without the hooks, a sandbox that pretends, rules of
somebody else in front. So a connection is made to an address that exists nowhere (RFC 5737, RFC 3849), by a
process that is not exempt, and it has to arrive at the redirect port with that address as its original
destination; QUIC and a direct hit have to be refused at once. What comes in cannot be sent from inside: for that
the rules are read back (`backends.Installer.missing`).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sidecar.capture.original_destination import original_destination
from sidecar.redirect.rules import DOCUMENTATION, HTTPS, Family, first_captured
from sidecar.redirect.settings import RedirectSettings

PROBE_SECONDS: Final = 3.0
PROBE_PORTS: Final = (80, 8080, 33434, 49151)
LOOPBACK: Final = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}
SOCKETS: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EACCES})


class NotRedirected(Exception):
    """Traffic passes around the sidecar, or it cannot be shown that it does not."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was shown for one IP version, in words; `probed` is False where the pod has no route."""

    family: Family
    probed: bool
    words: str


def verify(settings: RedirectSettings, captured: tuple[Family, ...]) -> tuple[Proof, ...]:
    """Probe each IP version. Raises NotRedirected at the first failure, and where no version could be probed."""
    if (os.geteuid(), os.getegid()) == (settings.uid, settings.gid):
        raise NotRedirected(
            f"this process runs as the sidecar ({settings.uid}:{settings.gid}), which is exempt, and can prove "
            "nothing; run the step as another user"
        )
    proofs = tuple(_prove(settings, family) for family in captured)
    if not any(proof.probed for proof in proofs):
        raise NotRedirected("the pod has no route in any IP version, so that nothing could be probed")
    return proofs


def _prove(settings: RedirectSettings, family: Family) -> Proof:
    address = _address(settings, family)
    if not _routed(family, address):
        return Proof(family, False, "rules are in place; there is no route out, so that none could be probed")
    outbound = _outbound(settings, family, address)
    _direct_hit(settings, family)
    quic = _quic(settings, family, address)
    return Proof(family, True, f"{outbound}; {quic}; direct hits are refused")


def _routed(family: Family, address: str) -> bool:
    """Whether the pod has a route there. A UDP socket asks its own kernel only: a router's answer is no proof."""
    with socket.socket(SOCKETS[family], socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((address, PROBE_PORTS[0]))
        except OSError as error:
            if error.errno in _NO_ROUTE:
                return False
            raise NotRedirected(f"whether {address} can be reached is unknown: {error}") from error
    return True


def _address(settings: RedirectSettings, family: Family) -> str:
    """The documentation address that the guard lets this process answer for."""
    address = first_captured(settings, DOCUMENTATION[family])
    if address is None:
        raise NotRedirected(
            f"every {family.title} documentation address is excluded, so that none can be probed"
        )
    return str(address)


def _outbound(settings: RedirectSettings, family: Family, address: str) -> str:
    port = next((port for port in PROBE_PORTS if port not in settings.exclude_outbound_ports), None)
    if port is None:
        raise NotRedirected(f"every probe port is excluded: {PROBE_PORTS}")
    where = f"{family.title} TCP to {address} port {port}"
    with _listening(family, settings.outbound_port) as listener, socket.socket(SOCKETS[family]) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect((address, port))
        except OSError as error:
            raise NotRedirected(f"{where} did not reach the redirect port: {error}") from error
        if listener is None:
            return f"{where} was accepted on the redirect port by what listens there"
        return _arrived(listener, where, (address, port))


def _arrived(listener: socket.socket, where: str, dialled: tuple[str, int]) -> str:
    try:
        accepted, _ = listener.accept()
    except TimeoutError as error:
        raise NotRedirected(f"{where} was accepted, but not on the redirect port") from error
    with accepted:
        found = original_destination(accepted)
    if found != dialled:
        raise NotRedirected(f"{where} reached the redirect port with the original destination {found}")
    return f"{where} reached the redirect port"


def _direct_hit(settings: RedirectSettings, family: Family) -> None:
    for port in settings.redirect_ports:
        with _listening(family, port), socket.socket(SOCKETS[family]) as probe:
            probe.settimeout(PROBE_SECONDS)
            try:
                probe.connect((LOOPBACK[family], port))
            except ConnectionRefusedError:
                continue
            except OSError as error:
                raise NotRedirected(
                    f"{family.title}: a direct hit on port {port} ended oddly: {error}"
                ) from error
        raise NotRedirected(f"{family.title}: port {port} can be dialled directly")


def _quic(settings: RedirectSettings, family: Family, address: str) -> str:
    if HTTPS in settings.exclude_outbound_ports:
        return "QUIC is excluded"
    with socket.socket(SOCKETS[family], socket.SOCK_DGRAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect((address, HTTPS))
            probe.send(b"\0")
            probe.recv(1)
        except (ConnectionRefusedError, PermissionError):
            return "QUIC is refused"
        except OSError as error:
            raise NotRedirected(
                f"{family.title} UDP to {address} port {HTTPS} is not refused: {error}"
            ) from error
    raise NotRedirected(f"{family.title} UDP to {address} port {HTTPS} was answered")


@contextmanager
def _listening(family: Family, port: int) -> Iterator[socket.socket | None]:
    """A listener on a redirect port; None where somebody listens already, as in a pod that runs."""
    with socket.socket(SOCKETS[family]) as listener:
        listener.settimeout(PROBE_SECONDS)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield listener if _bound(listener, (LOOPBACK[family], port)) else None


def _bound(listener: socket.socket, address: tuple[str, int]) -> bool:
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise NotRedirected(f"{address[0]} port {address[1]} cannot be bound: {error}") from error
    return True
