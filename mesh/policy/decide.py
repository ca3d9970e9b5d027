"""The one function that decides, for one agent, under the policies that select it.

`may see` and `may call` cannot differ, since lists are filtered by asking the same function for each item.
Answers are remembered: rules depend on principal, target, method and name only, so each question is worked
out once and is a dictionary lookup from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mesh.policy.address_space import space_of_host
from mesh.policy.ballot import refuse, settle, strongest
from mesh.policy.boundary import Boundary, Reach, stops
from mesh.policy.decision import INBOUND, Decision, HttpRequest, Inbound, RequestContext, Route, Target
from mesh.policy.documents import Backend, BackendProtocol
from mesh.policy.entrances import Entrances
from mesh.policy.methods import KIND_SECTIONS, SUBJECT_METHODS, Section
from mesh.policy.narrowing import Narrowing, ToolNarrowing, closed, without_left_out
from mesh.policy.panel import Panel, Speaker
from mesh.policy.principal import Principal
from mesh.policy.routes import RouteTable
from mesh.policy.rules import AgentRules, Rule, Verdict, Vote
from mesh.reasons import Reason

MAX_CACHED = 4096
MAX_CACHED_NAME = 256
NO_POLICY = "no AgentPolicy selects this agent"
_MCP_TRANSPORT = frozenset({"GET", "DELETE"})

# A decision's key has five parts, that of a server's request three: they cannot be taken for one another.
_Key = tuple[str, Target, str, str | None, str | None] | tuple[str, Target, str]


class Policy:
    """What one agent may do. Only its memory of answers changes; other documents make another Policy."""

    __slots__ = (
        "_agents",
        "_boundary",
        "_cache",
        "_closed",
        "_panel",
        "_routes",
        "_tools",
        "backends",
        "entrances",
        "narrowing",
    )

    def __init__(
        self,
        backends: tuple[Backend, ...],
        agents: tuple[AgentRules, ...],
        boundary: Boundary | None = None,
        narrowing: Narrowing | None = None,
    ) -> None:
        self.backends = backends
        self.narrowing = narrowing or Narrowing()
        self._boundary = boundary or Boundary()
        self._agents = agents
        self._panel = Panel(backends, agents)
        self._routes = RouteTable(backends)
        self.entrances = Entrances(agents)
        self._cache: dict[_Key, Decision] = {}
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
        connection to a Backend with protocol TCP any method will do. No rule looks at `arguments` in this
        version.
        """
        key = (principal.id, target, method, name, None if http is None else http.method)
        decision = self._cache.get(key)
        if decision is None:
            decision = self._poll(principal, target, _question(target, method, name, http))
            if self._tools is not None and decision.allowed and http is None:
                decision = _narrowed(decision, self._tools, target, method, name or "")
            self._remember(key, len(method) + len(name or ""), decision)
        return decision

    def server_request(self, principal: Principal, target: Target, kind: str) -> Decision:
        """May the server `target` ask the agent for `kind`: sampling, elicitation or roots, or the method's
        name?

        With an Inbound the server is this workload and `principal` the peer it asks.
        """
        key = (principal.id, target, kind)
        decision = self._cache.get(key)
        if decision is None:
            decision = self._poll(principal, target, lambda rule: rule.vote_server_request(kind))
            self._remember(key, len(kind), decision)
        return decision

    def meet(self, principal: Principal) -> Decision:
        """May this peer connect at all? Asked once a connection, before it is asked what it wants."""
        return self._poll(
            principal, INBOUND, lambda rule: Vote(Verdict.GRANT, Reason.ALLOWED_BASE_PROTOCOL, rule.label)
        )

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
        speakers = self._panel.speakers(principal, target)
        rules = [rule for speaker in speakers for rule in speaker.rules]
        kept = [rule for speaker in speakers if not speaker.left_out for rule in speaker.rules]
        if isinstance(target, Backend):
            if target.protocol is not BackendProtocol.MCP:
                return bool(kept)
            if self._tools is not None and section is Section.TOOLS and not self._tools.total(target.name):
                return False
        granted = any(rule.mcp.grants_all(section) for rule in kept if rule.mcp is not None)
        return granted and not any(rule.mcp.denies_some(section) for rule in rules if rule.mcp is not None)

    def _poll(self, principal: Principal, target: Target, ask: Callable[[Rule], Vote]) -> Decision:
        """Ask every policy that speaks of the target, settle, and take away what is left out."""
        speakers = self._panel.speakers(principal, target)
        votes = [(speaker.enforce, _ballot(speaker, ask)) for speaker in speakers]
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

    def _remember(self, key: _Key, size: int, decision: Decision) -> None:
        """Keep an answer, within bounds: names come from the peer, and could be long and many."""
        if size <= MAX_CACHED_NAME:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[key] = decision


def _narrowed(decision: Decision, tools: ToolNarrowing, target: Target, method: str, name: str) -> Decision:
    """Take away a tool of an MCP Backend that the policies let pass."""
    if not isinstance(target, Backend) or target.protocol is not BackendProtocol.MCP:
        return decision
    if SUBJECT_METHODS.get(method) is not Section.TOOLS:
        return decision
    rule = tools.refusal(target.name, name)
    return decision if rule is None else Decision(False, Reason.NARROWED_BY_POD, rule)


def _egress_reason(agent: AgentRules) -> Reason:
    return Reason.EGRESS_DENIED if agent.egress_deny else Reason.EGRESS_PRIVATE_ADDRESS


def _ballot(speaker: Speaker, ask: Callable[[Rule], Vote]) -> Vote:
    """The verdict of one policy."""
    if not speaker.rules:
        return Vote(Verdict.SILENT, Reason.PEER_NOT_ALLOWED, f"{speaker.label} inbound")
    return strongest(map(ask, speaker.rules))


def _question(
    target: Target, method: str, name: str | None, http: HttpRequest | None
) -> Callable[[Rule], Vote]:
    """What to ask each rule."""
    if isinstance(target, Backend):
        if target.protocol is not BackendProtocol.MCP:
            return lambda rule: Vote(Verdict.GRANT, Reason.ALLOWED, rule.label)
        if http is not None and http.method in _MCP_TRANSPORT:
            # The stream that servers push on, and the end of a session (Streamable HTTP, up to 2025-11-25).
            return lambda rule: Vote(Verdict.GRANT, Reason.ALLOWED_BASE_PROTOCOL, rule.label)
    if http is not None:
        return Rule.vote_http
    return lambda rule: rule.vote(method, name)
