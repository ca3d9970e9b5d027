"""What one agent may do with one name: the sidecar's decision, and what it depends on besides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cli.policy.agents import Agent
from cli.policy.world import World
from mesh.policy import AgentPolicy, Backend, BackendProtocol, Decision, Principal, RequestContext
from mesh.policy.documents import EVERY_BACKEND, ArgumentRule
from mesh.policy.globs import EntryList

METHODS = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read"}


class State(StrEnum):
    """What becomes of a call. HIDDEN: refused, and left out of lists. ARGUMENTS: as its arguments are. EXTERNAL:
    as somebody else says. OBSERVED: it passes, and enforcing would refuse it."""

    ALLOWED = "allowed"
    HIDDEN = "hidden"
    ARGUMENTS = "arguments"
    EXTERNAL = "external"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state, the decision's reason and rule, and in `needs` what has to hold besides."""

    state: State
    reason: str
    rule: str
    needs: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether some call passes."""
        return self.state is not State.HIDDEN


def judge(world: World, agent: Agent, backend: Backend, kind: str, name: str) -> Verdict:
    """May `agent` use the tool, prompt or resource `name` of `backend`?"""
    decision = world.policy(agent).decide(
        agent.principal, backend, METHODS[kind], name, context=request_to(backend)
    )
    needs = requirements(world, agent, backend, name) if kind == "tool" else ()
    return verdict_of(decision, tuple(told(one) for one in needs))


def judge_inbound(world: World, agent: Agent, caller: str, path: str, kind: str, name: str) -> Verdict:
    """May the peer `caller` use `name` of `agent`, at `path`?"""
    policy = world.policy(agent)
    decision = policy.decide(Principal(caller), policy.inbound(path), METHODS[kind], name)
    needs = inbound_requirements(world, agent, name) if kind == "tool" else ()
    return verdict_of(decision, tuple(told(one) for one in needs))


def verdict_of(decision: Decision, needs: tuple[str, ...] = ()) -> Verdict:
    """The state that a decision means, where it was asked for a list: arguments do not count in it."""
    reason, rule = str(decision.reason), decision.rule
    if not decision.allowed:
        return Verdict(State.HIDDEN, reason, rule)
    asked = tuple(f"{one.name} says yes" for one in decision.checks)
    if decision.observed:
        return Verdict(State.OBSERVED, reason, rule, (*needs, *asked))
    if asked:
        return Verdict(State.EXTERNAL, reason, rule, (*needs, *asked))
    return Verdict(State.ARGUMENTS if needs else State.ALLOWED, reason, rule, needs)


def request_to(backend: Backend, **more: Any) -> RequestContext:
    """The request that carries a call to a Backend, as far as it is known beforehand."""
    if backend.host.startswith("*."):
        return RequestContext(method="POST", port=backend.port, path=backend.path, **more)
    return RequestContext("POST", backend.host, backend.port, backend.path, **more)


def selecting(world: World, agent: Agent) -> list[AgentPolicy]:
    """The AgentPolicies that select an agent, by name."""
    found = [
        one
        for one in world.documents.policies
        if one.namespace in (None, agent.namespace) and dict(one.match_labels).items() <= agent.labels.items()
    ]
    return sorted(found, key=lambda one: one.name)


def names_backend(rule_backend: str, backend: Backend, namespace: str) -> bool:
    """Whether a rule of an agent in `namespace` is about a Backend."""
    space, slash, name = rule_backend.rpartition("/")
    if slash:
        return (backend.namespace, backend.name) == (space, name)
    return rule_backend in (EVERY_BACKEND, backend.name) and backend.namespace in (None, namespace)


def requirements(world: World, agent: Agent, backend: Backend, tool: str) -> list[ArgumentRule]:
    """What the policies of an agent want of the arguments of a tool."""
    if backend.protocol is not BackendProtocol.MCP:
        return []
    grants = [
        rule.mcp
        for policy in selecting(world, agent)
        for rule in policy.outbound
        if names_backend(rule.backend, backend, agent.namespace)
    ]
    return [
        one for grant in grants for one in grant.arguments if EntryList((one.tool,)).find(tool) is not None
    ]


def inbound_requirements(world: World, agent: Agent, tool: str) -> list[ArgumentRule]:
    """What the policies of an agent want of the arguments of its own tools."""
    grants = [rule.mcp for policy in selecting(world, agent) for rule in policy.inbound or () if rule.mcp]
    return [
        one for grant in grants for one in grant.arguments if EntryList((one.tool,)).find(tool) is not None
    ]


def told(rule: ArgumentRule) -> str:
    """A rule about arguments in one line."""
    return rule.require
