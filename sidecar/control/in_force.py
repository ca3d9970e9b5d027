"""What is known of the configuration in force: which, where from, how old it may be, and what became of others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mesh.reasons import Reason
from sidecar.readiness import ConfigurationHealth, Refusal, Source


class InForce:
    """Kept by whoever puts configurations in force. `clock`: the wall clock, aware."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.version = ""
        self.connected = False
        self.refusal: Refusal | None = None
        self._source = Source.NONE
        self._applied: datetime | None = None
        self._since: datetime | None = None
        self._problem = ""
        self._current_until: datetime | None = None

    def applied(self, version: str, source: Source, at: datetime | None = None) -> None:
        """This version is in force; `at`: when that was, if not just now."""
        self.version, self._source = version, source
        self._applied = self._current_until = at or self._clock()
        self.refusal = None

    def refused(self, version: str, reason: Reason, detail: str) -> None:
        """This version did not come in force."""
        if self.refusal is None:
            self._current_until = self._clock()
        self.refusal = Refusal(version, reason, detail, self._clock())

    def taken_on(self) -> None:
        """The control plane is connected to."""
        if not self.connected:
            self._since = self._clock()
        self.connected, self._problem = True, ""

    def lost(self, problem: str) -> None:
        """It is not, because of `problem`."""
        if self.connected:
            self._since = self._clock()
            if self.refusal is None:
                self._current_until = self._since
        self.connected, self._problem = False, problem

    def age(self) -> float | None:
        """For how many seconds what is in force may have been out of date; None where nothing is in force."""
        if self._current_until is None or self._source is Source.NONE:
            return None
        if self.connected and self.refusal is None:
            return 0.0
        return max((self._clock() - self._current_until).total_seconds(), 0.0)

    def health(self) -> ConfigurationHealth:
        """For /readyz."""
        return ConfigurationHealth(
            self._source,
            self.version,
            self._applied,
            self.connected,
            self._since,
            self._problem,
            self.refusal,
        )
