"""What to say to the control plane next: a function of what was heard and of time. No sockets, no clock.

Times are seconds of one clock that only goes forward. A conversation ends when nothing was heard for too long,
when what proved us has ended, when the control plane has asked us to go, or with its connection.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from mesh.distribution.messages import (
    ALIVE_SECONDS,
    MAX_SERVER_LINE_BYTES,
    SILENCE_SECONDS,
    Configuration,
    FromSidecar,
    Hello,
    Leave,
    read_from_control,
    write_line,
)
from sidecar.control.lines import Lines

LONGEST_LEAVE = 600.0
"""More than that nobody means who asks us to come back."""

NEVER = float("inf")


class Over(StrEnum):
    """Why there is nothing more to say."""

    SILENCE = "silence"
    """Nothing was heard for SILENCE_SECONDS."""
    PROOF_ENDED = "proof_ended"
    """The SVID with which the connection was made has ended."""
    LEAVE = "leave"
    """The control plane asked us to connect anew, and it is time."""


class Conversation:
    """One conversation.

    now         when it begins
    proof_ends  when what proves us ends
    draw        a number from 0 up to 1; no secret
    """

    def __init__(
        self, now: float, *, proof_ends: float = NEVER, draw: Callable[[], float] = lambda: 0.5
    ) -> None:
        self._lines = Lines(MAX_SERVER_LINE_BYTES)
        self._heard = self._said = now
        self._proof_ends = proof_ends
        self._draw = draw
        self._leave_at = NEVER
        self.begun = False
        """Whether the control plane has said anything at all that can be read."""

    def hello(self, hello: Hello, now: float) -> bytes:
        """The first line."""
        return self._say(FromSidecar(hello=hello), now)

    def say(self, message: FromSidecar, now: float) -> bytes:
        """What became of a configuration, as a line."""
        return self._say(message, now)

    def hear(self, data: bytes, now: float) -> list[Configuration]:
        """Take in what arrived; gives the configurations that are whole. Raises DocumentInvalid."""
        self._heard = now
        found: list[Configuration] = []
        for line in self._lines.feed(data):
            message = read_from_control(line)
            self.begun = True
            if message.configuration is not None:
                found.append(message.configuration)
            if message.leave is not None:
                self._leave(message.leave, now)
        return found

    def due(self, now: float) -> bytes | Over:
        """What has to be said at `now`: a line, nothing (empty), or that it is over."""
        if now >= self._heard + SILENCE_SECONDS:
            return Over.SILENCE
        if now >= self._proof_ends:
            return Over.PROOF_ENDED
        if now >= self._leave_at:
            return Over.LEAVE
        if now >= self._said + ALIVE_SECONDS:
            return self._say(FromSidecar(alive=True), now)
        return b""

    def wait(self, now: float) -> float:
        """Seconds until `due` has something to say, if nothing is heard before."""
        next_due = min(
            self._heard + SILENCE_SECONDS, self._said + ALIVE_SECONDS, self._proof_ends, self._leave_at
        )
        return max(next_due - now, 0.0)

    def absence(self, now: float) -> float:
        """For how many seconds the control plane asked us to stay away, where it ends the connection first."""
        return 0.0 if self._leave_at == NEVER else max(self._leave_at - now, 0.0)

    def _leave(self, leave: Leave, now: float) -> None:
        """Spread out: many were asked at the same time. Until then there is no reason to hear nothing."""
        seconds = min(max(leave.seconds, 0.0), LONGEST_LEAVE)
        self._leave_at = now + seconds * (0.75 + self._draw() / 2)

    def _say(self, message: FromSidecar, now: float) -> bytes:
        self._said = now
        return write_line(message)
