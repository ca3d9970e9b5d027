"""Notifications of an event stream that wait for the next one, because a value may go on in it.

The events keep their order and their ids: whatever waits goes ahead of what does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mesh.protocol.sse import SseEvent
from mesh.protocol.strict_json import encode, parse
from sidecar.guardrails.held_events import HeldEvents, free_text

Shown = tuple[SseEvent, str | None]
"""An event, and its data as it goes on."""


class HeldNotifications:
    """One stream's; `clock` in seconds. `release` is given the data of everything that goes on, waited or not, and
    gives what the agent gets: only then are its own values put back, which must not be looked at again."""

    __slots__ = ("_clock", "_events", "_held", "_release")

    def __init__(
        self, held: HeldEvents, clock: Callable[[], float], release: Callable[[str], str] = str
    ) -> None:
        self._held = held
        self._clock = clock
        self._release = release
        self._events: dict[int, tuple[SseEvent, dict[str, Any]]] = {}

    @property
    def deadline(self) -> float | None:
        """When something has to go on whatever comes; None: nothing waits."""
        return self._held.deadline

    def feed(self, event: SseEvent, shown: str | None) -> list[Shown]:
        """What goes on now that this event is here. Its data was parsed strictly before."""
        value = parse(shown.encode()).value if shown and '"notifications/' in shown else None
        if type(value) is not dict or free_text(value) is None:
            return [*self.flush(), (event, self._release(shown) if shown else shown)]
        self._events[id(value)] = event, value
        return self._shown(self._held.feed(value, self._clock()))

    def due(self) -> list[Shown]:
        """What has waited long enough."""
        return self._shown(self._held.due(self._clock()))

    def flush(self) -> list[Shown]:
        """All that waits."""
        return self._shown(self._held.flush()) if self._events else []

    def _shown(self, values: Iterable[dict[str, Any]]) -> list[Shown]:
        return [(self._events.pop(id(value))[0], self._release(encode(value).decode())) for value in values]
