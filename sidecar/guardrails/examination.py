"""One message under way: every detector is asked about every reading of every slice, as long as there is time.

A scan cannot be stopped, so slices are small enough that one takes milliseconds, and the clock is asked between
any two. Whoever was late or raised is not asked again for this message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import re2

from mesh.reasons import Reason
from sidecar.guardrails.found import Found, distinct
from sidecar.guardrails.hit import SEPARATOR, Detector, DetectorFailed, Hit
from sidecar.guardrails.leaves import Sheet
from sidecar.guardrails.slices import LENGTH, Slice, slices
from sidecar.guardrails.views import CUT

FAULTS: Final = (
    *(DetectorFailed, re2.error),
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError),
    *(MemoryError, RecursionError),
)
"""What a mistake in a detector raises. Detectors read what strangers wrote, so that one such mistake must cost a
message and not the sidecar; the failure mode decides about the message. Nothing that means to stop the process is
among them, nor OSError: detectors do no I/O."""


class Reading(Protocol):
    """A View."""

    name: str
    text: str

    def origin(self, start: int, end: int) -> tuple[int, int]: ...


class Asked(NamedTuple):
    """A detector, and the seconds it may take for one message."""

    detector: Detector
    limit: float


class Examination:
    """One message under way. `failed`: detectors, by index, that were late or raised."""

    __slots__ = ("_asked", "_clock", "_deadline", "_found", "_sheet", "_spent", "anything", "failed")

    def __init__(
        self, asked: tuple[Asked, ...], sheet: Sheet, clock: Callable[[], float], deadline: float
    ) -> None:
        self._asked = asked
        self._sheet = sheet
        self._clock = clock
        self._deadline = deadline
        self._found: list[list[Found]] = [[] for _ in asked]
        self._spent = [0.0] * len(asked)
        self.anything = False
        self.failed: dict[int, Reason] = {}

    def run(self, read: Callable[[str], Iterator[Reading]]) -> None:
        """Ask every detector about every reading of every slice, as long as there is time."""
        text, cut = self._sheet.text, False
        parts = slices(text) if len(text) > LENGTH else (Slice(0, len(text), 0, len(text)),)
        for number, part in enumerate(parts):
            piece = text if part.end - part.start == len(text) else text[part.start : part.end]
            try:
                for view in read(piece):
                    if view.name == CUT:
                        cut = True
                    elif not self._ask_all(view, part, number):
                        return
            except FAULTS:
                self._fail_all(Reason.GUARD_FAILED)
                return
        if cut:
            # Something was left undecoded; it is as unseen as what comes too late.
            self._fail_all(Reason.GUARD_TIMEOUT)

    def distinct(self) -> list[list[Found]]:
        """What each detector found, each thing once."""
        return [distinct(some) for some in self._found]

    def _ask_all(self, view: Reading, part: Slice, number: int) -> bool:
        """False when nobody is left to ask, or no time."""
        text, failed = view.text, self.failed
        before = self._clock()
        for index, (detector, limit) in enumerate(self._asked):
            if index in failed:
                continue
            if before > self._deadline:
                self._fail_all(Reason.GUARD_TIMEOUT)
                return False
            if self._spent[index] > limit:
                failed[index] = Reason.GUARD_TIMEOUT
                continue
            try:
                hits = detector.scan(text)
                if hits:
                    self._keep(index, hits, view, part, number)
            except FAULTS as fault:
                if isinstance(fault, DetectorFailed) and fault.hits:
                    self._keep(index, fault.hits, view, part, number)
                failed[index] = Reason.GUARD_FAILED
            now = self._clock()
            self._spent[index] += now - before
            before = now
        return len(failed) < len(self._asked)

    def _fail_all(self, reason: Reason) -> None:
        for index in range(len(self._asked)):
            self.failed.setdefault(index, reason)

    def _keep(self, index: int, hits: Sequence[Hit], view: Reading, part: Slice, number: int) -> None:
        """Where in the sheet the hits of one reading are."""
        sheet, found = self._sheet, self._found[index]
        for hit in hits:
            start, end = view.origin(hit.start, hit.end)
            start, end = start + part.start, end + part.start
            if start >= part.until or end <= part.since:
                continue
            if sheet.text[start] == SEPARATOR:
                start += 1
            text = sheet.index_at(start)
            end = min(end, sheet.span(text)[1])
            if start < end:
                found.append(Found(text, hit.kind, start, end, hit, view.name, number))
                self.anything = True
