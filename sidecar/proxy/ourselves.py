"""Connections that would lead from this sidecar into itself.

A name, a wildcard or the pod's own address can all mean one of our listeners; which it is shows only once the
connection stands. So it is looked at then, before anyone else sees it, and only where the port is one of ours.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sidecar.addresses import Address, Host, is_loopback, is_wildcard, places, read_host


class Ourselves:
    """The addresses that this sidecar's listeners are bound to."""

    __slots__ = ("_bound", "_everywhere")

    def __init__(self) -> None:
        self._bound: dict[int, set[Host]] = {}
        self._everywhere: set[int] = set()

    def add(self, wanted: Address, bound: Address) -> None:
        """A listener that was asked for at `wanted` has come to be at `bound`.

        Both count, because a name such as localhost is bound at several addresses of which `bound` is one.
        """
        hosts = {wanted[0], bound[0]} if wanted[1] == bound[1] else {bound[0]}
        for host in hosts:
            self._bound.setdefault(bound[1], set()).update(places(host))
            if is_wildcard(host):
                self._everywhere.add(bound[1])

    def listens_on(self, port: int) -> bool:
        """Whether a connection to `port` can be one to us at all."""
        return port in self._bound

    def reached(self, peer: Address, local: Address) -> bool:
        """Whether a connection from `local` to `peer` (its two socket names) ended in one of our listeners.

        Whoever connects to an address of the own machine comes from that same address, or from loopback.
        """
        host, port = peer
        if port not in self._bound:
            return False
        here = is_loopback(host) or is_loopback(local[0]) or read_host(host) == read_host(local[0])
        return read_host(host) in self._bound[port] or (here and port in self._everywhere)


class Guard(asyncio.Protocol):
    """Stands before `protocol` until it is known who answers, then steps aside; or ends the connection."""

    def __init__(self, protocol: asyncio.Protocol, own: Ourselves) -> None:
        self.refused = False
        self._protocol = protocol
        self._own = own

    def connection_made(self, transport: Any) -> None:
        """Hand the connection on, unless it leads to ourselves."""
        peer, local = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        # A connection that is gone already has no names; whoever waits for it hears of its loss.
        if peer and local and self._own.reached(peer[:2], local[:2]):
            self.refused = True
            transport.abort()
            return
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(transport)
