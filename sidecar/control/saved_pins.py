"""Pins that outlive the process, in the folder of the last configuration.

A container may start anew at any time, and a first use that is had again with each start would be none. What could
not be written is counted and told; what is pinned holds all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mesh.pins.book import KeptBook
from sidecar.config import AgentSettings
from sidecar.control.saved import SavedState, SavedUnusable
from sidecar.identity.holder import utc_now
from sidecar.identity.told_once import ToldOnce
from sidecar.tasks import spawn
from sidecar.telemetry import names
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics


class SavedPins:
    """The file `pins`, written whole each time, by one writer at a time."""

    def __init__(
        self,
        folder: Path,
        agent: AgentSettings,
        log: Log,
        metrics: Metrics,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._saved = SavedState(folder, f"{agent.namespace}/{agent.name}/{agent.uid}")
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._waiting: Callable[[], dict[str, KeptBook]] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._not_saved = ToldOnce(lambda sentence: log.write("pins_not_saved", detail=sentence))

    def load(self) -> dict[str, KeptBook]:
        """What was kept last. Reads one small file, once, at the start."""
        try:
            return self._saved.pins()
        except SavedUnusable as unusable:
            self._log.write("saved_unusable", detail=str(unusable))
            return {}

    def save(self, books: Callable[[], dict[str, KeptBook]]) -> None:
        """Keep what `books` gives, soon; while one is being written, the last of those that wait counts."""
        self._waiting = books
        if self._writer is None or self._writer.done():
            self._writer = spawn(self._write(), name="save pins")

    async def _write(self) -> None:
        while self._waiting is not None:
            books, self._waiting = self._waiting(), None
            try:
                await asyncio.to_thread(self._saved.save_pins, books, self._clock())
            except OSError as failed:
                self._metrics.count(names.PIN_SAVE_FAILURES)
                cause = failed.strerror or str(failed)
                self._not_saved.problem(cause, f"{self._saved.folder}: {cause}")
            else:
                self._not_saved.over()
