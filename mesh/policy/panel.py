"""Which policies speak of a target, and with which of their rules.

Outbound, a policy speaks of a Backend when a rule of it names the Backend (or `*`). Inbound, a policy speaks
when it has an `inbound` section at all, even if no rule of it names the peer: then its silence is a refusal.
What a rule grants of MCP counts at and below its own path alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mesh.policy.arguments import Required
from mesh.policy.decision import Inbound, Target
from mesh.policy.documents import Backend
from mesh.policy.facts import Question
from mesh.policy.principal import Principal
from mesh.policy.rule_index import WORTH_IT, RuleIndex
from mesh.policy.rules import AgentRules, Rule
from mesh.policy.user_conditions import POSSIBLE, Standings
from mesh.policy.visible import names_of


@dataclass(frozen=True, slots=True)
class Speaker:
    """One policy, and its rules that apply to the question. `arguments`: what they require of those of calls."""

    label: str
    enforce: bool
    rules: tuple[Rule, ...]
    left_out: bool = False
    arguments: tuple[Required, ...] = ()
    index: RuleIndex | None = None

    @staticmethod
    def of(agent: AgentRules, rules: tuple[Rule, ...]) -> Speaker:
        """The policy with these of its rules."""
        index = RuleIndex(rules) if len(rules) >= WORTH_IT else None
        required = tuple(required for rule in rules for required in rule.arguments)
        return Speaker(agent.label, agent.enforce, rules, agent.left_out, required, index)

    def with_rules(self, rules: tuple[Rule, ...]) -> Speaker:
        """The same policy with these in the place of its rules, one for each."""
        return replace(self, rules=rules, index=None if self.index is None else RuleIndex(rules))

    def about(self, question: Question | None) -> tuple[Rule, ...]:
        """The rules to ask; all of them where nothing is known of the question."""
        if self.index is None or question is None or question.plain:
            return self.rules
        return self.index.about(question)


class _Numbered(dict[str, list[int]]):
    """Places of rules by a key, to be found for several keys in their order."""

    def add(self, key: str, index: int) -> None:
        self.setdefault(key, []).append(index)

    def at(self, keys: Iterable[str]) -> list[int]:
        return sorted(index for key in keys for index in self.get(key, ()))


_PATTERNS = ""
MAX_PEERS = 256
"""For how many callers and paths the rules that admit them are remembered."""


class _Agent:
    """One policy's rules, by the Backend that they name and by their exact sources."""

    __slots__ = ("_backends", "_sources", "rules")

    def __init__(self, rules: AgentRules) -> None:
        self.rules = rules
        self._backends, self._sources = _Numbered(), _Numbered()
        for index, grant in enumerate(rules.outbound):
            self._backends.add(grant.backend, index)
        for index, inbound in enumerate(rules.inbound or ()):
            for source in (_PATTERNS,) if inbound.exact is None else inbound.exact:
                self._sources.add(source, index)

    def outbound(self, names: Iterable[str]) -> tuple[Rule, ...]:
        """The rules that name a Backend by one of these."""
        return tuple(self.rules.outbound[index].rule for index in self._backends.at(names))

    def inbound(self, principal: str, path: str | None) -> tuple[Rule, ...]:
        """The rules that admit a peer, as they count at a path."""
        grants = self.rules.inbound or ()
        found = (grants[index] for index in self._sources.at((principal, _PATTERNS)))
        return tuple(grant.at(path) for grant in found if grant.admits(principal))


class Panel:
    """The selecting policies of one agent, arranged by whom to ask."""

    __slots__ = (
        "_agents",
        "_namespace",
        "_outbound",
        "_peers",
        "_speaks_inbound",
        "_users",
        "about_rates",
        "standings",
    )

    def __init__(
        self, backends: Sequence[Backend], agents: Sequence[AgentRules], namespace: str | None = None
    ) -> None:
        self._agents = tuple(map(_Agent, agents))
        self._namespace = namespace
        self.standings = Standings(rule.users for agent in agents for rule in _rules_of(agent))
        """What rules ask about users."""
        self._users: dict[tuple[_BackendKey, int], tuple[Speaker, ...]] = {}
        self._outbound = {_key(backend): self._speakers_of(backend) for backend in backends}
        self._peers: dict[tuple[str, str | None, int], tuple[Speaker, ...]] = {}
        self._speaks_inbound = any(agent.inbound is not None for agent in agents)
        self.about_rates = any(rule.rate is not None for agent in agents for rule in _rules_of(agent))
        """Whether any rule limits how often, how many at a time or how large."""

    def speakers(
        self, principal: Principal, target: Target, standing: int | None = None
    ) -> tuple[Speaker, ...]:
        """Who speaks of `principal` using `target`; empty when nobody does, which refuses. Whoever the user is,
        the same policies speak; rules about others grant nothing. `standing`: what holds for the user, where that
        is not to be looked up."""
        if standing is None:
            standing = self.standings.of(principal.user)
        if isinstance(target, Inbound):
            return self._inbound(principal.id, target.path, standing)
        return self._of_backend(_key(target), standing)

    def speaks_of(self, target: Target) -> bool:
        """Whether AgentPolicies say anything about the direction, so that their silence refuses: outbound they do
        as soon as there is one."""
        return self._speaks_inbound if isinstance(target, Inbound) else bool(self._agents)

    def _speakers_of(self, backend: Backend) -> tuple[Speaker, ...]:
        speakers = []
        for agent in self._agents:
            rules = agent.outbound(names_of(backend, self._namespace))
            if rules:
                speakers.append(Speaker.of(agent.rules, rules))
        return tuple(speakers)

    def _of_backend(self, key: _BackendKey, standing: int) -> tuple[Speaker, ...]:
        if not self.standings or standing == POSSIBLE:
            return self._outbound.get(key, ())
        found = self._users.get((key, standing))
        if found is None:
            given = self._outbound.get(key, ())
            found = tuple(self._for_user(speaker, standing) for speaker in given)
            if len(self._users) >= MAX_PEERS:
                self._users.clear()
            self._users[key, standing] = found
        return found

    def _for_user(self, speaker: Speaker, standing: int) -> Speaker:
        if all(rule.users is None for rule in speaker.rules):
            return speaker
        return speaker.with_rules(self._held(speaker.rules, standing))

    def _held(self, rules: tuple[Rule, ...], standing: int) -> tuple[Rule, ...]:
        """The rules as they are for a user."""
        return tuple(rule.for_others(self.standings.lacking(rule.users, standing)) for rule in rules)

    def _inbound(self, principal: str, path: str | None, standing: int) -> tuple[Speaker, ...]:
        found = self._peers.get((principal, path, standing))
        if found is None:
            speaking = [agent for agent in self._agents if agent.rules.inbound is not None]
            found = tuple(
                Speaker.of(agent.rules, self._held(agent.inbound(principal, path), standing))
                for agent in speaking
            )
            if len(self._peers) >= MAX_PEERS:
                self._peers.clear()
            self._peers[principal, path, standing] = found
        return found


_BackendKey = tuple[str | None, str]


def _rules_of(agent: AgentRules) -> Iterator[Rule]:
    yield from (grant.rule for grant in agent.outbound)
    yield from (grant.rule for grant in agent.inbound or ())


def _key(backend: Backend) -> _BackendKey:
    """By name, not by object: a connection routed under older documents meets today's rules."""
    return backend.namespace, backend.name
