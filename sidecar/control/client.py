"""One connection to the control plane after another, for as long as the process lives.

A connection that ends is made anew at once, then less and less often, each time after a delay drawn at random: a
control plane that comes back is asked by every sidecar that there is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from mesh.distribution.messages import Configuration, FromSidecar, Hello
from mesh.protocol.http1.target import Target
from sidecar.control.conversation import NEVER, Conversation, Over
from sidecar.control.failed import CallFailed
from sidecar.control.link import Link
from sidecar.control.proof import Proof
from sidecar.control.trust import ControlTrust
from sidecar.identity.backoff import Backoff
from sidecar.identity.endless import endless

LONGEST_DELAY = 20.0
LONGEST_RETRY_AFTER = 300.0
SETTLED_SECONDS = 5.0
"""A connection that lasted this long was a good one: the next attempt is made at once."""

Prove = Callable[[bool], tuple[Proof, float]]
"""What proves us now, and in how many seconds that ends. True: the last attempt failed, so try the other proof."""


class ControlClient:
    """Holds the conversation.

    prove        see Prove
    hello        who we are, with the version in force
    configured   is given each configuration
    connected    is called when the control plane has taken us on
    lost         is told why there is no connection any more, or none yet
    """

    def __init__(
        self,
        server: Target,
        trust: ControlTrust,
        *,
        prove: Prove,
        hello: Callable[[], Hello],
        configured: Callable[[Configuration], None],
        connected: Callable[[], None],
        lost: Callable[[CallFailed | Over], None],
        unforeseen: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._server = server
        self._trust = trust
        self._prove = prove
        self._hello = hello
        self._configured = configured
        self._connected = connected
        self._lost = lost
        self._unforeseen = unforeseen
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._backoff = Backoff(first=0.2, longest=LONGEST_DELAY, draw=draw)
        self._restarts = Backoff(first=1.0, longest=LONGEST_DELAY)
        self._failed = False
        self._link: Link | None = None

    async def run(self) -> None:
        """Until cancelled."""
        what = "the connection to the control plane"
        await endless(self._keep, self._unforeseen, self._restarts, self._sleep, what)

    def say(self, message: FromSidecar) -> None:
        """Tell the control plane, if there is a connection."""
        if self._link is not None:
            self._link.say(message)

    async def _keep(self) -> None:
        while True:
            await self._sleep(await self._attempt())

    async def _attempt(self) -> float:
        """One connection; returns after how many seconds to make the next."""
        begun = self._clock()
        proof, lasts = self._prove(self._failed)
        ends = NEVER if lasts == NEVER else begun + lasts
        conversation = Conversation(begun, proof_ends=ends, draw=self._draw)
        self._link = Link(
            self._server,
            conversation,
            clock=self._clock,
            configured=self._configured,
            answered=self._connected,
        )
        try:
            over = await self._link.run(self._trust, proof, self._hello())
        except CallFailed as failed:
            self._failed = not conversation.begun
            self._lost(failed)
            return max(self._delay(begun, conversation), self._asked(failed, conversation))
        finally:
            self._link = None
        self._failed = False
        self._lost(over)
        return self._soon(begun)

    def _soon(self, begun: float) -> float:
        """It ended well. Who asks us to leave at once, again and again, is asked less and less often."""
        if self._clock() - begun < SETTLED_SECONDS:
            return self._backoff.next()
        self._backoff.reset()
        return 0.0

    def _delay(self, begun: float, conversation: Conversation) -> float:
        if conversation.begun and self._clock() - begun >= SETTLED_SECONDS:
            self._backoff.reset()
        return self._backoff.next()

    def _asked(self, failed: CallFailed, conversation: Conversation) -> float:
        """How long the control plane wants us to stay away."""
        return max(min(failed.retry_after or 0.0, LONGEST_RETRY_AFTER), conversation.absence(self._clock()))
