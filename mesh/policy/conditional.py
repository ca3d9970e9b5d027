"""An answer that waits for the request: what depends on arguments, HTTP fields, expressions or the time.

Everything else about the question is settled by then: which policies speak, what they say to the name, which rules
of access policies remain and on which conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mesh.policy.access.level import Answer, Option
from mesh.policy.access.methods import is_base
from mesh.policy.arguments import Required
from mesh.policy.decision import Decision, ExternalCheck
from mesh.policy.facts import ANY_ARGUMENTS, Facts, Question
from mesh.policy.rules import Vote
from mesh.reasons import Reason

Poll = Callable[[Mapping[int, Vote]], Decision]
"""What AgentPolicies decide, with the votes of some of them replaced (by their index)."""


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What AgentPolicies say: `decision`, if the arguments are as `required` (index of the policy, its rules)."""

    decision: Decision
    required: tuple[tuple[int, tuple[Required, ...]], ...]
    poll: Poll

    def resolve(self, facts: Facts) -> Decision:
        """The decision on a call with these arguments."""
        if not self.required or not self.decision.allowed or facts.arguments is ANY_ARGUMENTS:
            return self.decision
        arguments = facts.arguments or {}
        votes = {}
        for index, rules in self.required:
            refusal = next((vote for vote in (rule.refusal(arguments) for rule in rules) if vote), None)
            if refusal is not None:
                votes[index] = refusal
        return self.poll(votes) if votes else self.decision


class Conditional:
    """What AgentPolicies and each level of access policies say to one question; None where the former are silent.
    All have to let it pass, and `narrowed`, if there is one, refuses it even then.
    """

    __slots__ = ("_agent", "_answers", "_narrowed", "question")

    def __init__(
        self,
        question: Question,
        agent: AgentAnswer | None,
        answers: tuple[Answer, ...],
        narrowed: Decision | None,
    ) -> None:
        self.question = question
        self._agent = agent
        self._answers = answers
        self._narrowed = narrowed

    @property
    def settled(self) -> bool:
        """Whether the answer is the same for every request."""
        agent = self._agent
        if agent is not None and not agent.decision.allowed:
            return True
        if any(answer.refuses for answer in self._answers):
            return True
        return (agent is None or not agent.required) and all(answer.settled for answer in self._answers)

    def resolve(self, facts: Facts) -> Decision:
        """The decision on one request."""
        decision = None if self._agent is None else self._agent.resolve(facts)
        if decision is not None and not decision.allowed:
            return decision
        checks: list[ExternalCheck] = []
        granting = ""
        for answer in self._answers:
            for group in answer.groups:
                option = _first(group, facts)
                if option is None:
                    return _refused(answer, group)
                granting = granting or option.rule
            if answer.check is not None and answer.check not in checks and _asks(answer.triggers, facts):
                checks.append(answer.check)
        if self._narrowed is not None:
            return self._narrowed
        if decision is None:
            base = not self.question.plain and is_base(self.question.method)
            reason = Reason.ALLOWED_BASE_PROTOCOL if base else Reason.ALLOWED
            decision = Decision(True, reason, granting)
        return replace(decision, checks=tuple(checks)) if checks else decision


def _first(group: tuple[Option, ...], facts: Facts) -> Option | None:
    """The first option that holds. What cannot be told grants nothing."""
    return next((option for option in group if option.conditions.holds(facts) is True), None)


def _asks(triggers: tuple[Option, ...], facts: Facts) -> bool:
    """Whether an authorization has to be asked. What cannot be told not to need it does."""
    return any(option.conditions.may_hold(facts) for option in triggers)


def _refused(answer: Answer, group: tuple[Option, ...]) -> Decision:
    message = next((said for said in (option.conditions.message for option in group) if said), "")
    return Decision(False, Reason.ACCESS_POLICY_NOT_GRANTED, answer.rule, message=message)
