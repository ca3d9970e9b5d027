"""The addresses of a host, remembered for a moment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

FRESH_SECONDS = 5.0
"""Short, because the addresses of a Service's pods change; long enough for the connections of one pool."""
MOST_REMEMBERED = 256


class Resolver:
    """Asks the system's resolver, off the event loop. `clock` is loop time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    async def addresses(self, host: str) -> frozenset[str]:
        """The addresses of `host` as text; empty where it has none. An address is its own."""
        known = self._known.get(host)
        if known is not None and self._clock() - known[0] < FRESH_SECONDS:
            return known[1]
        found = await _ask(host)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[host] = (self._clock(), found)
        return found


async def _ask(host: str) -> frozenset[str]:
    loop = asyncio.get_running_loop()
    try:
        answers = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(address[0]).partition("%")[0] for *_, address in answers)
