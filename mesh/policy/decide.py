"""The one function that decides, for one agent, under the policies that select it.

`may see` and `may call` cannot differ, since lists are filtered by asking the same function for each item.
Answers are remembered: nearly all rules depend on principal, target, method and name only, so each question is
worked out once and is a dictionary lookup from then on. Where an answer depends on more (arguments, HTTP fields,
expressions), what is left to ask is remembered.

AgentPolicies are one level, the access policies of each target another: each level that speaks has to let it pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeVar

from mesh.policy.access.level import Trust
from mesh.policy.access.levels import Levels
from mesh.policy.address_space import space_of_host
from mesh.policy.arguments import Required, about
from mesh.policy.ballot import refuse, settle
from mesh.policy.boundary import Boundary, Reach, stops
from mesh.policy.conditional import AgentAnswer, Conditional
from mesh.policy.content import guardrails_of, rates_of
from mesh.policy.decision import INBOUND, Decision, HttpRequest, Inbound, RequestContext, Route, Target
from mesh.policy.documents import Backend, BackendProtocol
from mesh.policy.entrances import Entrances
from mesh.policy.facts import ANY_ARGUMENTS, Facts, Question
from mesh.policy.guardrails import Guardrails, Processor, RateLimits
from mesh.policy.methods import KIND_METHODS, KIND_SECTIONS, SERVER_BASE_METHODS, SUBJECT_METHODS, Section
from mesh.policy.narrowing import Narrowing, ToolNarrowing, closed, without_left_out
from mesh.policy.panel import Panel
from mesh.policy.principal import Principal
from mesh.policy.questions import ballot_of, ballot_paper, narrowed, question_of
from mesh.policy.routes import RouteTable
from mesh.policy.rules import AgentRules, Rule, Verdict, Vote
from mesh.policy.user_auth import UserAuth
from mesh.policy.user_conditions import POSSIBLE
from mesh.reasons import Reason

T = TypeVar("T")

Content = tuple[Guardrails, tuple[RateLimits, ...]]

MAX_CACHED = 4096
MAX_CACHED_NAME = 256
NO_POLICY = "no AgentPolicy selects this agent"
ACCESS_POLICIES = "XAccessPolicies of the target"
NO_VOTES: Final[Mapping[int, Vote]] = MappingProxyType({})

# A decision's key has five parts, that of a server's request three: they cannot be taken for one another.
_Who = str | tuple[str, int]
_Key = tuple[_Who, Target, str, str | None, str | None] | tuple[_Who, Target, str]


class Policy:
    """What one agent may do. Only its memory of answers changes; other documents make another Policy."""

    __slots__ = (
        "_agents",
        "_boundary",
        "_cache",
        "_closed",
        "_conditional",
        "_content",
        "_guardrails",
        "_levels",
        "_panel",
        "_routes",
        "_standings",
        "_tools",
        "backends",
        "entrances",
        "narrowing",
        "needs_context",
        "users",
    )

    def __init__(
        self,
        backends: tuple[Backend, ...],
        agents: tuple[AgentRules, ...],
        boundary: Boundary | None = None,
        narrowing: Narrowing | None = None,
        *,
        levels: Levels | None = None,
        namespace: str | None = None,
        users: UserAuth | None = None,
    ) -> None:
        self.backends = backends
        self.users = users
        """How users' tokens are verified; None where no policy speaks of users."""
        self.narrowing = narrowing or Narrowing()
        self._boundary = boundary or Boundary()
        self._agents = agents
        self._panel = Panel(backends, agents, namespace)
        self._standings = self._panel.standings or None
        self._levels = levels or Levels((), (), (), Trust())
        self._routes = RouteTable(backends)
        everywhere = {"/"} if self._panel.speaks_of(INBOUND) else set()
        self.entrances = Entrances(agents, self._levels.paths - everywhere)
        self.needs_context = self._levels.need_context
        """Whether some answer depends on the HTTP request that a message comes with."""
        self._cache: dict[_Key, Decision] = {}
        self._conditional: dict[_Key, Conditional] = {}
        self._content: dict[tuple[_Who, Target], Content] = {}
        self._guardrails: dict[Guardrails, Guardrails] = {}
        self._tools: ToolNarrowing | None = None
        if self.narrowing.about_tools:
            self._tools = ToolNarrowing(self.narrowing, (backend.name for backend in backends))
        self._closed: Decision | None = None
        if self.narrowing.policies is not None and all(agent.left_out for agent in agents):
            self._closed = closed(self.narrowing.policies)

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies that select this agent, like `AgentPolicy/triage`."""
        return tuple(agent.label for agent in self._agents)

    @property
    def idle(self) -> dict[str, list[str]] | None:
        """What annotations name that there is not: policies that select this agent, and Backends."""
        names = (label.removeprefix("AgentPolicy/") for label in self.policies)
        return self.narrowing.idle(names, (backend.name for backend in self.backends))

    def route(self, host: str, port: int, path: str) -> Route:
        """The Backend of a request. `host` is lower case without trailing dot, `path` without query."""
        return self._routes.find(host, port, path)

    def backends_at(self, host: str, port: int) -> tuple[Backend, ...]:
        """The Backends with this host and port, those with the longest path first."""
        return self._routes.backends_at(host, port)

    def inbound(self, path: str) -> Inbound:
        """What a peer's request is decided as. `path` is plain and without query."""
        return self.entrances.find(path)

    def decide(
        self,
        principal: Principal,
        target: Target,
        method: str,
        name: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        http: HttpRequest | None = None,
        context: RequestContext | None = None,
    ) -> Decision:
        """May `principal` do this at `target`?

        `method` is a JSON-RPC method and `name` its subject: tool, prompt, resource URI or URI template.
        With `http` the request carries no MCP message, and `method` and `name` do not count. For a TCP
        connection to a Backend with protocol TCP any method will do. `arguments` are those of the call, None where
        it has none, and ANY_ARGUMENTS where they are not known yet: so lists are filtered. `context` is the HTTP
        request that it came with, for lists that of the list; what is not known of it is taken for what no rule
        matches.
        """
        standings = self._standings
        who = principal.id if standings is None else (principal.id, standings.of(principal.user))
        key = (who, target, method, name, None if http is None else http.method)
        decision = self._cache.get(key)
        if decision is None:
            conditional = self._conditional.get(key)
            if conditional is None:
                conditional = self._prepare(principal, target, method, name, http)
                if conditional.settled:
                    decision = conditional.resolve(Facts(conditional.question, ANY_ARGUMENTS, None, None))
                    self._remember(self._cache, key, len(method) + len(name or ""), decision)
                    return decision
                self._remember(self._conditional, key, len(method) + len(name or ""), conditional)
            decision = conditional.resolve(Facts(conditional.question, arguments, http, context))
        return decision

    def shows(
        self,
        principal: Principal,
        target: Target,
        method: str,
        name: str,
        context: RequestContext | None = None,
    ) -> Decision:
        """Is an item of a list shown? As `decide` on calling it, for arguments that are not known yet."""
        return self.decide(principal, target, method, name, ANY_ARGUMENTS, context=context)

    def _prepare(
        self, principal: Principal, target: Target, method: str, name: str | None, http: HttpRequest | None
    ) -> Conditional:
        """Everything about a question that does not depend on the request."""
        question = question_of(principal, target, method, name, http)
        levels = self._levels.at(target)
        agent: AgentAnswer | None = None
        if (
            self._closed is not None
            or not any(level.decides for level in levels)
            or self._panel.speaks_of(target)
        ):
            agent = self._ask_agents(principal, target, question, http)
        refusal = None
        if self._tools is not None and http is None:
            refusal = narrowed(self._tools, target, method, name or "")
        return Conditional(question, agent, tuple(level.answer(question) for level in levels), refusal)

    def _ask_agents(
        self, principal: Principal, target: Target, question: Question, http: HttpRequest | None
    ) -> AgentAnswer:
        """What AgentPolicies say, which arguments apart."""
        ask = ballot_paper(target, question, http)
        decision = self._poll(principal, target, ask, question)
        required: tuple[tuple[int, tuple[Required, ...]], ...] = ()
        if not question.plain and SUBJECT_METHODS.get(question.method) is Section.TOOLS:
            speakers = self._panel.speakers(principal, target)
            asked = ((i, about(question.name or "", s.arguments)) for i, s in enumerate(speakers))
            required = tuple((index, rules) for index, rules in asked if rules)
        return AgentAnswer(decision, required, partial(self._poll, principal, target, ask, question))

    def server_request(self, principal: Principal, target: Target, kind: str) -> Decision:
        """May the server `target` ask the agent for `kind`: sampling, elicitation or roots, or the method's
        name?

        With an Inbound the server is this workload and `principal` the peer it asks.
        """
        key = (self._who(principal), target, kind)
        decision = self._cache.get(key)
        if decision is None:
            if self._alone(target):
                decision = self._server_request_alone(principal, target, kind)
            else:
                decision = self._poll(principal, target, lambda rule: rule.vote_server_request(kind))
            self._remember(self._cache, key, len(kind), decision)
        return decision

    def content(self, principal: Principal, target: Target) -> Content:
        """What is done with the content of messages between the two, and how often they may pass."""
        key = (self._who(principal), target)
        known = self._content.get(key)
        if known is None:
            speakers = self._panel.speakers(principal, target)
            limits = rates_of(speakers, self.narrowing.rates, target)
            guardrails = guardrails_of(speakers, self.narrowing.guardrails)
            # One object for all that are alike: what is made for it is found again by it.
            known = self._guardrails.setdefault(guardrails, guardrails), limits
            if len(self._content) >= MAX_CACHED:
                self._content.clear()
            self._content[key] = known
        return known

    @property
    def detectors(self) -> tuple[tuple[str, Processor], ...]:
        """Every processor that some rule names, with the rule's label."""
        rules = [grant.rule for agent in self._agents for grant in agent.outbound]
        rules += [grant.rule for agent in self._agents for grant in agent.inbound or ()]
        return tuple(
            (rule.label, one) for rule in rules if rule.guardrails for one in rule.guardrails.processors
        )

    @property
    def about_rates(self) -> bool:
        """Whether any rule, or any annotation, limits how often, how many at a time or how large."""
        return bool(self.narrowing.rates) or self._panel.about_rates

    def _who(self, principal: Principal) -> _Who:
        """What of a principal its answers are remembered by: of its user no more than rules ask about."""
        if self._standings is None:
            return principal.id
        return principal.id, self._standings.of(principal.user)

    @property
    def about_credentials(self) -> bool:
        """Whether it says anything of users' tokens, or of what is put into requests."""
        return self.users is not None or any(backend.credential is not None for backend in self.backends)

    @property
    def asks_about_users(self) -> bool:
        """Whether some rule grants on behalf of some users only."""
        return self._standings is not None

    def _alone(self, target: Target) -> bool:
        """Whether access policies decide about a target without AgentPolicies."""
        if self._closed is not None or self._panel.speaks_of(target):
            return False
        return any(level.decides for level in self._levels.at(target))

    def _server_request_alone(self, principal: Principal, target: Target, kind: str) -> Decision:
        """Access policies do not speak of what servers ask: only who has a rule without MCP restriction may be
        asked, and nobody for whom an authorization service would have to be, which hears of no such thing."""
        refused = Decision(False, Reason.ACCESS_POLICY_NOT_GRANTED, ACCESS_POLICIES)
        if kind not in SERVER_BASE_METHODS:
            decision = self._prepare(principal, target, kind, None, None).resolve(_nothing(principal, kind))
            return refused if decision.checks else decision
        known = all(level.knows(principal.id) for level in self._levels.at(target))
        return Decision(True, Reason.ALLOWED_BASE_PROTOCOL, ACCESS_POLICIES) if known else refused

    def meet(self, principal: Principal) -> Decision:
        """May this peer connect at all? Asked once a connection, before it is asked what it wants and on whose
        behalf: it may, if it may for some user."""
        places = (*self.entrances.declared, INBOUND)
        if any(self._alone(place) for place in places):
            return self._meet_alone(principal, places)
        return self._poll(
            principal,
            INBOUND,
            lambda rule: Vote(Verdict.GRANT, Reason.ALLOWED_BASE_PROTOCOL, rule.label),
            standing=POSSIBLE,
        )

    def _meet_alone(self, principal: Principal, places: Iterable[Inbound]) -> Decision:
        """Whether there is a place of this workload where access policies know the peer."""
        for place in places:
            levels = self._levels.at(place)
            if self._alone(place) and all(level.knows(principal.id) for level in levels):
                return Decision(True, Reason.ALLOWED_BASE_PROTOCOL, ACCESS_POLICIES)
        return Decision(False, Reason.PEER_NOT_ALLOWED, ACCESS_POLICIES)

    def egress(self, host: str, port: int, path: str | None = None) -> Decision:
        """May the agent reach a destination that is no Backend? `path` is None where it cannot be known.

        A host and port that some Backend has are never open by default: another path of theirs is
        PATH_NOT_DECLARED, and a tunnel to them CONNECT_REFUSED, since what it carries could be what the
        Backend's rules are about. A host that is an address which is not public is EGRESS_PRIVATE_ADDRESS; what
        addresses a name may have, `reach` says.
        """
        decision = self._egress(host, port, path)
        return self._closed if self._closed is not None and decision.allowed else decision

    def _egress(self, host: str, port: int, path: str | None) -> Decision:
        if self._routes.backends_at(host, port):
            reason = Reason.PATH_NOT_DECLARED if path is not None else Reason.CONNECT_REFUSED
            return self._refuse_by_all(reason, "outbound")
        if not self._agents:
            return Decision(False, Reason.EGRESS_DENIED, NO_POLICY)
        private = stops(self.reach(host, port), space_of_host(host))
        closed = [
            (agent.enforce, Vote(Verdict.DENY, _egress_reason(agent), f"{agent.label} egress"))
            for agent in self._agents
            if agent.egress_deny or private
        ]
        if closed:
            return refuse(closed)
        return Decision(True, Reason.ALLOWED_EGRESS_DEFAULT, f"{self._agents[0].label} egress")

    def reach(self, host: str, port: int) -> str:
        """Which addresses (`Reach`) a destination may have that is no Backend, where `egress` lets it pass."""
        if not self._boundary.holds_for(host, port) or self._routes.backends_at(host, port):
            return Reach.ANYWHERE
        return Reach.PUBLIC if any(agent.enforce for agent in self._agents) else Reach.OBSERVED

    def total(self, principal: Principal, target: Target, kind: str) -> bool:
        """True when every well-formed name of a kind (tool, prompt, resource, template) is allowed, so that
        hiding makes no difference between callers. Ill-formed names are decided one by one even then."""
        section = KIND_SECTIONS[kind]
        levels = self._levels.at(target)
        if not all(level.total(principal.id, method) for level in levels for method in KIND_METHODS[kind]):
            return False
        if self._alone(target):
            return self._tools is None or section is not Section.TOOLS
        speakers = self._panel.speakers(principal, target)
        if section is Section.TOOLS and any(speaker.arguments for speaker in speakers):
            return False
        rules = [rule for speaker in speakers for rule in speaker.rules]
        kept = [rule for speaker in speakers if not speaker.left_out for rule in speaker.rules]
        if isinstance(target, Backend):
            if target.protocol is not BackendProtocol.MCP:
                return any(not rule.withheld for rule in kept)
            if self._tools is not None and section is Section.TOOLS and not self._tools.total(target.name):
                return False
        granted = any(rule.grants_all(section) for rule in kept)
        return granted and not any(rule.denies_some(section) for rule in rules)

    def _poll(
        self,
        principal: Principal,
        target: Target,
        ask: Callable[[Rule], Vote],
        question: Question | None = None,
        instead: Mapping[int, Vote] = NO_VOTES,
        *,
        standing: int | None = None,
    ) -> Decision:
        """Ask every policy that speaks of the target, settle, and take away what is left out. `instead` has the
        votes of some of them, by their index; `standing` is as for Panel.speakers."""
        speakers = self._panel.speakers(principal, target, standing)
        votes = [
            (speaker.enforce, instead.get(index) or ballot_of(speaker, ask, question))
            for index, speaker in enumerate(speakers)
        ]
        if votes:
            decision = settle(votes)
        elif isinstance(target, Backend):
            decision = self._refuse_by_all(Reason.BACKEND_NOT_GRANTED, "outbound")
        else:
            decision = self._refuse_by_all(Reason.NO_INBOUND_RULE, "inbound")
        if self.narrowing.policies is None or not decision.allowed:
            return decision
        if self._closed is not None or not votes:
            return self._closed or decision
        return without_left_out(
            decision, [(one.left_out, *vote) for one, vote in zip(speakers, votes, strict=True)]
        )

    def _refuse_by_all(self, reason: Reason, section: str) -> Decision:
        """A refusal because no policy says anything: every selecting policy stands for it by its silence."""
        if not self._agents:
            return Decision(False, reason, NO_POLICY)
        votes = [
            (agent.enforce, Vote(Verdict.SILENT, reason, f"{agent.label} {section}"))
            for agent in self._agents
        ]
        return refuse(votes)

    def _remember(self, cache: dict[_Key, T], key: _Key, size: int, answer: T) -> None:
        """Keep an answer, within bounds: names come from the peer, and could be long and many."""
        if size <= MAX_CACHED_NAME:
            if len(cache) >= MAX_CACHED:
                cache.clear()
            cache[key] = answer


def _egress_reason(agent: AgentRules) -> Reason:
    return Reason.EGRESS_DENIED if agent.egress_deny else Reason.EGRESS_PRIVATE_ADDRESS


def _nothing(principal: Principal, method: str) -> Facts:
    """No request at all: what depends on one is refused."""
    return Facts(Question(principal.id, method, None), None, None, None)
