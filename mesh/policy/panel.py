"""Which policies speak of a target, and with which of their rules.

Outbound, a policy speaks of a Backend when a rule of it names the Backend (or `*`). Inbound, a policy speaks
when it has an `inbound` section at all, even if no rule of it names the peer: then its silence is a refusal.
What a rule grants of MCP counts at and below its own path alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.policy.arguments import Required
from mesh.policy.decision import Inbound, Target
from mesh.policy.documents import Backend
from mesh.policy.principal import Principal
from mesh.policy.rules import AgentRules, Rule
from mesh.policy.visible import names


@dataclass(frozen=True, slots=True)
class Speaker:
    """One policy, and its rules that apply to the question."""

    label: str
    enforce: bool
    rules: tuple[Rule, ...]
    left_out: bool = False

    @property
    def arguments(self) -> tuple[Required, ...]:
        """What it requires of the arguments of calls."""
        return tuple(required for rule in self.rules for required in rule.arguments)


class Panel:
    """The selecting policies of one agent, arranged by whom to ask."""

    __slots__ = ("_agents", "_namespace", "_outbound", "_speaks_inbound")

    def __init__(
        self, backends: Sequence[Backend], agents: Sequence[AgentRules], namespace: str | None = None
    ) -> None:
        self._agents = tuple(agents)
        self._namespace = namespace
        self._outbound = {_key(backend): self._speakers_of(backend) for backend in backends}
        self._speaks_inbound = any(agent.inbound is not None for agent in agents)

    def speakers(self, principal: Principal, target: Target) -> tuple[Speaker, ...]:
        """Who speaks of `principal` using `target`; empty when nobody does, which refuses."""
        if isinstance(target, Inbound):
            return self._inbound(principal, target.path)
        return self._outbound.get(_key(target), ())

    def speaks_of(self, target: Target) -> bool:
        """Whether AgentPolicies say anything about the direction, so that their silence refuses: outbound they do
        as soon as there is one."""
        return self._speaks_inbound if isinstance(target, Inbound) else bool(self._agents)

    def _speakers_of(self, backend: Backend) -> tuple[Speaker, ...]:
        speakers = []
        for agent in self._agents:
            rules = tuple(
                grant.rule for grant in agent.outbound if names(grant.backend, backend, self._namespace)
            )
            if rules:
                speakers.append(Speaker(agent.label, agent.enforce, rules, agent.left_out))
        return tuple(speakers)

    def _inbound(self, principal: Principal, path: str | None) -> tuple[Speaker, ...]:
        speakers = []
        for agent in self._agents:
            if agent.inbound is not None:
                rules = tuple(grant.at(path) for grant in agent.inbound if grant.admits(principal.id))
                speakers.append(Speaker(agent.label, agent.enforce, rules, agent.left_out))
        return tuple(speakers)


def _key(backend: Backend) -> tuple[str | None, str]:
    """By name, not by object: a connection routed under older documents meets today's rules."""
    return backend.namespace, backend.name
