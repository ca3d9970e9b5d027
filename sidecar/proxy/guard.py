"""Content of MCP messages, looked at both ways: a request before it leaves, an answer before the agent has it.

Here what the engine found becomes what happens: a message goes on with something else in the place of what was
found, or an error in its own place, or a list without the item that is poisoned. Everything found is written down
by its kind and place, never by what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mesh.policy.compile import Policy
from mesh.policy.content import guardrails_of
from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import Message
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.vault import Vaults
from sidecar.proxy.guard_shared import Outside, Shared
from sidecar.proxy.guarded_answer import GuardedAnswers
from sidecar.proxy.guarded_request import Checked, GuardedRequests
from sidecar.proxy.held import HeldNotifications
from sidecar.proxy.in_force import InForce
from sidecar.proxy.offered import Offered
from sidecar.proxy.pinning import Pinning
from sidecar.proxy.plan import Plan
from sidecar.proxy.recent_results import RecentResults
from sidecar.telemetry.record import Recorder

__all__ = ["Checked", "Guard", "InForce", "Outside"]


class Guard:
    """What looks at the messages of one sidecar."""

    __slots__ = ("_answers", "_requests", "_shared")

    def __init__(
        self,
        policy: Policy,
        recorder: Recorder,
        clock: Callable[[], float],
        ask: Callable[[], Outside],
        pinning: Pinning | None = None,
    ) -> None:
        """`clock` in seconds. `ask` makes what asks detectors over HTTP, when a policy first has one. `pinning`
        keeps pins; by default in memory only."""
        self._shared = Shared(policy, recorder, clock, ask, pinning or Pinning(policy, recorder))
        self._requests = GuardedRequests(self._shared)
        self._answers = GuardedAnswers(self._shared)

    def use(self, policy: Policy) -> None:
        """Another policy is in force."""
        self._shared.engines.policy = policy
        self.pinning.use(policy)

    def in_force(self, plan: Plan) -> InForce | None:
        """What looks at the messages of this exchange; None where nothing does."""
        return self._shared.engines.of(plan)

    @staticmethod
    def warm() -> None:
        """Make what every engine shares: it takes a while, which the first message need not wait for. May run in a
        thread of its own."""
        Engine(guardrails_of(()))

    # What is known.

    @property
    def vaults(self) -> Vaults:
        """What was masked."""
        return self._shared.vaults

    @property
    def offered(self) -> Offered:
        """What servers offer."""
        return self._shared.offered

    @property
    def recent(self) -> RecentResults:
        """What tools gave last."""
        return self._shared.recent

    @property
    def pinning(self) -> Pinning:
        """What tools have to be like."""
        return self._shared.pinning

    @pinning.setter
    def pinning(self, pinning: Pinning) -> None:
        self._shared.pinning = pinning

    # What the agent says.

    def meant(self, plan: Plan, found: tuple[Message, ...]) -> tuple[Message, ...]:
        """The messages of a request as they are to be decided about, before anything is: with the values for which
        the agent wrote what it was shown in their place."""
        return self._requests.meant(plan, found)

    def request(self, plan: Plan, found: Sequence[Message], headers: Headers, size: int) -> Checked:
        """Look at the messages of a request, and change them in place where something has to be masked."""
        return self._requests.request(plan, found, headers, size)

    async def screen(self, plan: Plan, found: Sequence[Message], headers: Headers) -> Checked:
        """The same by detectors that are asked over HTTP; they see what is left after the local ones."""
        return await self._requests.screen(plan, found, headers)

    # What the server says.

    def begin(self, plan: Plan, *, alone: bool = False) -> None:
        """The messages of another answer, or of another event, are looked at now: they share their time. `alone`:
        there is one, and no array around it."""
        self._answers.begin(plan, alone=alone)

    def answer(self, plan: Plan, message: Message, value: dict[str, Any]) -> dict[str, Any] | None:
        """One message of the server's as it goes on: the very same where nothing is to be done, None where it does
        not go on and nobody waits for it."""
        return self._answers.answer(plan, message, value)

    def held(self, plan: Plan) -> HeldNotifications | None:
        """What holds notifications of this exchange's stream back whose text may go on in the next one; None where
        nothing in them is masked."""
        return self._answers.held(plan)

    def waits(self, plan: Plan) -> bool:
        """Whether answers to this have to wait for detectors that are asked over HTTP."""
        return self._answers.waits(plan)

    async def screen_answer(
        self, plan: Plan, message: Message, value: dict[str, Any]
    ) -> dict[str, Any] | None:
        """`answer`, by detectors that are asked over HTTP."""
        return await self._answers.screen(plan, message, value)
