"""What guardrails share that look at requests and at answers: what is known, who is asked, and what is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mesh.policy.compile import Policy
from mesh.policy.decision import Decision
from mesh.policy.guardrails import Action, Direction, Processor
from mesh.protocol.jsonrpc import Message
from mesh.protocol.mcp.places import Root
from mesh.reasons import Reason
from sidecar.guardrails.vault import Vault, Vaults
from sidecar.guardrails.verdict import Finding, Verdict
from sidecar.proxy.in_force import Engines
from sidecar.proxy.offered import Offered
from sidecar.proxy.pinning import Pinning
from sidecar.proxy.plan import Plan
from sidecar.proxy.recent_results import RecentResults
from sidecar.proxy.spoken_of import session_of, tool_of
from sidecar.proxy.told import told
from sidecar.telemetry.record import Recorder


class Outside(Protocol):
    """Who asks detectors over HTTP."""

    async def examine(
        self,
        processors: Sequence[Processor],
        roots: Sequence[Root],
        direction: Direction,
        documents: Sequence[str],
    ) -> Verdict:
        """As `Engine.examine`. `documents` are what tools gave last in this session. Raises nothing: who does not
        answer is told in `failed`, and blocks where that is its processor's failure mode."""
        ...


class Shared:
    """What is known of the exchanges of one sidecar."""

    __slots__ = ("_ask", "_outside", "clock", "engines", "offered", "pinning", "recent", "recorder", "vaults")

    def __init__(
        self,
        policy: Policy,
        recorder: Recorder,
        clock: Callable[[], float],
        ask: Callable[[], Outside],
        pinning: Pinning,
    ) -> None:
        self._ask = ask
        self._outside: Outside | None = None
        self.clock = clock
        self.recorder = recorder
        self.pinning = pinning
        self.engines = Engines(policy)
        self.vaults = Vaults(clock)
        self.offered = Offered()
        self.recent = RecentResults()

    def vault(self, plan: Plan) -> Vault:
        """What was masked in this session of this agent's with this server."""
        return self.vaults.of(session_of(plan))

    async def ask_others(
        self, plan: Plan, processors: Sequence[Processor], roots: Sequence[Root], direction: Direction
    ) -> Verdict:
        """What detectors find that are asked over HTTP."""
        if self._outside is None:
            self._outside = self._ask()
        documents = self.recent.of(session_of(plan))
        return await self._outside.examine(processors, roots, direction, documents)

    def kept_back(self, plan: Plan, message: Message, reason: Reason, *, answer: bool = False) -> None:
        """Write down that a request, or the answer to one, does not pass, though the policy allows it."""
        routed, asked = plan.routed, plan.asked_for(message) if answer else message
        method, name = (None, None) if asked is None else (asked.method, tool_of(asked))
        self.recorder.withheld(
            routed.direction,
            plan.principal,
            routed.backend,
            method or message.method or "response",
            name,
            Decision(False, reason, "guardrails"),
            "its answer" if answer else "",
        )

    def record(self, plan: Plan, verdict: Verdict) -> None:
        """Write down what was found, and who failed."""
        routed = plan.routed
        for one in told(verdict.findings):
            self.recorder.finding(
                routed.direction, plan.principal.id, routed.backend, plan.tool, **one._asdict()
            )
        for name, reason in verdict.failed:
            self.recorder.detector_failed(routed.backend, name, reason)


def masks(finding: Finding) -> bool:
    """Whether something else has to stand in its place."""
    return finding.processor.action is Action.MASK and not finding.processor.observe
