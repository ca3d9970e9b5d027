"""The listener of the telemetry port, which is open to everybody and must answer the kubelet whoever else calls.

It takes few connections, and where they are many it ends one that is open rather than refuse the one that comes:
a kubelet whose probe is refused takes the sidecar for dead. Ended is a connection of whoever holds the most, so
that a crowd from one place is a trouble to itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from sidecar.proxy.listener import Connection, Listener

PROBE_CONNECTIONS: Final = 64


class ProbeListener(Listener):
    """A listener that makes room for a new connection at the expense of an old one."""

    def opened(self, connection: Connection) -> None:
        if self.full and not self.draining:
            self._make_room(_peer(connection))
        super().opened(connection)

    def _make_room(self, newcomer: str) -> None:
        if not self._connections:
            return
        held = Counter([newcomer, *map(_peer, self._connections)])
        most = max(held.values())
        crowd = [one for one in self._connections if held[_peer(one)] == most]
        # The one that ends first has been silent longest; one that waits for the application never ends by itself.
        victim = min(crowd, key=lambda one: one.deadline)
        # At once, and not when its loss is reported: the new one is counted before that.
        self.closed(victim)
        victim.transport.abort()


def _peer(connection: Connection) -> str:
    """The address that a connection comes from; one that is gone already has none."""
    name = connection.transport.get_extra_info("peername")
    return str(name[0]) if name else ""
