"""Whether API servers can call this replica, for its readiness probe.

The caBundle of a configuration may be reset by whoever deploys it, and is put right again within a second or two.
No replica could be called meanwhile anyway, and to take all of them out of the Service would only make it last
longer: so a replica that was ready stays so for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

GRACE_SECONDS = 10.0

Problems = Callable[[], list[str]]


class Readiness:
    """Asks every source of problems. `clock` gives seconds that only grow."""

    __slots__ = ("_clock", "_ready_at", "_sources")

    def __init__(self, sources: Sequence[Problems], clock: Callable[[], float]) -> None:
        self._sources = sources
        self._clock = clock
        self._ready_at: float | None = None

    def problems(self) -> list[str]:
        """Why this replica cannot be called; empty where it can, or could a moment ago."""
        found = [problem for source in self._sources for problem in source()]
        now = self._clock()
        if not found:
            self._ready_at = now
        elif self._ready_at is not None and now - self._ready_at < GRACE_SECONDS:
            return []
        return found
