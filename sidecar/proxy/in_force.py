"""What looks at the messages between an agent and a target, made once for each set of rules."""

from __future__ import annotations

from operator import is_
from typing import NamedTuple

from mesh.policy.compile import Policy
from mesh.policy.guardrails import Action, DetectorKind, Direction, Guardrails, Part, Processor
from sidecar.guardrails.engine import Engine
from sidecar.proxy.plan import Plan

MOST_ENGINES = 64
"""Different guardrails that are in use at a time; there are as many as rules that differ."""


class InForce(NamedTuple):
    """What looks at the messages between an agent and a target."""

    guardrails: Guardrails
    engine: Engine
    reversible: bool
    masks_messages: bool
    """Whether something is masked in free text of a server's."""
    grounds: bool
    """Whether a detector may ask what tools gave last."""


class Engines:
    """Those of one sidecar, by the guardrails of `policy`, which may become another."""

    __slots__ = ("_known", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._known: dict[int, InForce] = {}

    def of(self, plan: Plan) -> InForce | None:
        """What looks at the messages of this exchange; None where nothing does."""
        asked = self.policy, plan.principal, plan.target
        answered = plan.guarded
        if answered is not None and all(map(is_, answered[0], asked)):
            return answered[1]
        known = self._found(plan)
        plan.guarded = asked, known
        return known

    def _found(self, plan: Plan) -> InForce | None:
        if plan.target is None:
            return None
        guardrails = self.policy.content(plan.principal, plan.target)[0]
        if not guardrails:
            return None
        known = self._known.get(id(guardrails))
        if known is None or known.guardrails is not guardrails:
            if len(self._known) >= MOST_ENGINES:
                self._known.clear()
            known = self._known[id(guardrails)] = _made(guardrails)
        return known


def _made(guardrails: Guardrails) -> InForce:
    # The engine has a clock of its own: an event loop's may stand still while it works.
    return InForce(
        guardrails,
        Engine(guardrails),
        guardrails.reversible,
        any(map(_masks_messages, guardrails.processors)),
        any(one.detector is DetectorKind.EXTERNAL for one in guardrails.processors),
    )


def _masks_messages(processor: Processor) -> bool:
    return (
        processor.action is Action.MASK
        and not processor.observe
        and processor.direction is not Direction.REQUEST
        and Part.MESSAGES in processor.parts
    )
