"""Watching over a client's connection in the states of which no event tells.

    deaf         it is not read, so that the loop would miss its end
    stuck        its client takes nothing of its answer
    leaving      it is being closed, and its client does not take what is left
    half open    one end of a tunnel has ended, and the other may never

Looked at on each tick while one of them lasts; a connection that flows costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.reasons import Reason
from sidecar.proxy.socket_state import broken, hung_up, unsent
from sidecar.proxy.ticker import NEVER

if TYPE_CHECKING:
    from sidecar.proxy.downstream import Downstream
    from sidecar.proxy.listener import Listener
    from sidecar.proxy.pipeline import Pipeline


class Vigil:
    """Over one connection, from when it is first told that something cannot be seen any more."""

    __slots__ = ("_backlog", "_connection", "_leaves", "_listener", "_pipeline", "_stalls")

    def __init__(self, connection: Downstream, pipeline: Pipeline, listener: Listener) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._listener = listener
        self._backlog = 0  # what the client had not taken at the last look
        self._stalls = NEVER  # when a client that takes nothing is given up
        self._leaves = NEVER  # when a connection that is being closed is cut

    def begin(self) -> None:
        """Look at the connection from the next tick on."""
        self._listener.watch(self)

    def stuck(self) -> None:
        """More waits for the client than may."""
        limit = self._pipeline.limits.stall_seconds
        if limit and self._leaves == NEVER and not self._connection.tunnelled:
            self._stalls = self._pipeline.clock() + limit
            self._backlog = unsent(self._connection.transport)
            self.begin()

    def taking(self) -> None:
        """The client takes its answer again."""
        self._stalls = NEVER

    def leaving(self) -> None:
        """The connection is being closed."""
        self._stalls = NEVER
        self._leaves = self._pipeline.clock() + self._pipeline.limits.linger_seconds
        self.begin()

    def end(self) -> None:
        """There is no connection any more."""
        self._stalls = self._leaves = NEVER

    def look(self, now: float) -> bool:
        """The ticker; False once there is nothing left to look for."""
        connection = self._connection
        self._note_progress(now)
        if now >= self._leaves:
            connection.abort()
        elif now >= self._stalls:
            self._give_up()
        elif (connection.deaf and hung_up(connection.transport)) or (
            connection.half_open and broken(connection.transport)
        ):
            connection.abort()
        return self._leaves < NEVER or self._stalls < NEVER or connection.deaf or connection.half_open

    def _note_progress(self, now: float) -> None:
        """A client that reads slowly is not one that does not read."""
        if self._stalls < NEVER:
            backlog = unsent(self._connection.transport)
            if backlog < self._backlog:
                self._stalls = now + self._pipeline.limits.stall_seconds
            self._backlog = backlog

    def _give_up(self) -> None:
        self._stalls = NEVER
        detail = f"nothing taken for {self._pipeline.limits.stall_seconds:g} s"
        peer = self._connection.channel.peer
        self._pipeline.recorder.refused_message("client", peer, Reason.CLIENT_STALLED, detail)
        self._connection.abort()
