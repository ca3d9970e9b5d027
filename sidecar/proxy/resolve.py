"""The addresses that a host has, or had a moment ago.

A name with many addresses answers with some of them, and with others the next time, while the agent that was told
the first still dials them. So what a host answered is kept for a while after it was last heard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.proxy.bounded import Lookup

FRESH_SECONDS = 5.0
"""How long an answer will do without asking again."""
KEPT_SECONDS = 300.0
"""How long an address counts after the host last had it."""
MOST_REMEMBERED = 256


class Resolver:
    """Asks `lookup`, and remembers. `clock` is loop time."""

    def __init__(self, lookup: Lookup, clock: Callable[[], float]) -> None:
        self._lookup = lookup
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._heard: dict[str, dict[str, float]] = {}

    async def addresses(self, host: str) -> frozenset[str]:
        """The addresses of `host` as text; empty where it has none. An address is its own."""
        if self._clock() - self._asked.get(host, float("-inf")) >= FRESH_SECONDS:
            await self._ask(host)
        oldest = self._clock() - KEPT_SECONDS
        return frozenset(text for text, heard in self._heard.get(host, {}).items() if heard >= oldest)

    async def _ask(self, host: str) -> None:
        try:
            found = await self._lookup(host, 0)
        except OSError:
            return  # asked again the next time; what it had before still counts
        now = self._clock()
        if len(self._heard) >= MOST_REMEMBERED:
            self._heard.clear()
            self._asked.clear()
        self._asked[host] = now
        kept = {
            text: heard for text, heard in self._heard.get(host, {}).items() if heard >= now - KEPT_SECONDS
        }
        self._heard[host] = {**kept, **{text.partition("%")[0]: now for _, text, _ in found}}
