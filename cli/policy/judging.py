"""What one agent may do with one name: the sidecar's decision, and what it depends on besides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cli.policy.access import Needs, needs_of
from cli.policy.agents import Agent
from cli.policy.world import World, names_backend
from mesh.policy import AgentPolicy, Backend, BackendProtocol, Decision, Principal, RequestContext
from mesh.policy.decision import Target
from mesh.policy.documents import ArgumentRule
from mesh.policy.facts import ANY_ARGUMENTS
from mesh.policy.globs import EntryList
from mesh.reasons import Reason

METHODS = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read"}


class State(StrEnum):
    """What becomes of a call. HIDDEN: refused, and left out of lists. ARGUMENTS: as its arguments are.
    CONDITIONAL: as its request is, by HTTP fields, time or an expression. EXTERNAL: as somebody else says.
    OBSERVED: it passes, and enforcing would refuse it. NO_USER: granted, and refused for want of a user."""

    ALLOWED = "allowed"
    HIDDEN = "hidden"
    ARGUMENTS = "arguments"
    CONDITIONAL = "conditional"
    EXTERNAL = "external"
    OBSERVED = "observed"
    NO_USER = "no user"


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
        return self.state not in (State.HIDDEN, State.NO_USER)


def judge(world: World, agent: Agent, backend: Backend, kind: str, name: str) -> Verdict:
    """May `agent` use the tool, prompt or resource `name` of `backend`?"""
    agent = world.own(agent)
    required = requirements(world, agent, backend, name) if kind == "tool" else []
    return _judge(world, agent, world.principal(agent), backend, METHODS[kind], name, required)


def judge_inbound(world: World, agent: Agent, caller: str, path: str, kind: str, name: str) -> Verdict:
    """May the peer `caller` use `name` of `agent`, at `path`?"""
    target = world.policy(agent).inbound(path)
    required = inbound_requirements(world, agent, name) if kind == "tool" else []
    return _judge(world, agent, world.principal(agent, caller), target, METHODS[kind], name, required)


def judge_method(world: World, agent: Agent, backend: Backend, method: str) -> Verdict:
    """May `agent` use a method of `backend` that names nothing?"""
    agent = world.own(agent)
    return _judge(world, agent, world.principal(agent), backend, method, None, [])


def _judge(
    world: World,
    agent: Agent,
    principal: Principal,
    target: Target,
    method: str,
    name: str | None,
    required: list[ArgumentRule],
) -> Verdict:
    context = request_to(target) if isinstance(target, Backend) else RequestContext("POST", path=target.path)
    decision = world.policy(agent).decide(principal, target, method, name, ANY_ARGUMENTS, context=context)
    needs = needs_of(world, agent, principal, target, method, name, context)
    return _verdict(decision, needs, tuple(one.require for one in required))


def _verdict(decision: Decision, needs: Needs, required: tuple[str, ...]) -> Verdict:
    reason, rule = str(decision.reason), decision.rule
    possible = decision.reason is Reason.ACCESS_POLICY_NOT_GRANTED and needs.possible
    if not decision.allowed and not possible:
        return Verdict(State.HIDDEN, reason, rule)
    told = (*required, *needs.arguments, *needs.request, *(f"{one} says yes" for one in needs.asked))
    if decision.observed:
        state = State.OBSERVED
    elif needs.request:
        state = State.CONDITIONAL
    elif needs.asked:
        state = State.EXTERNAL
    else:
        state = State.ARGUMENTS if required or needs.arguments else State.ALLOWED
    return Verdict(state, reason, rule, told)


def verdict_of(decision: Decision) -> Verdict:
    """The state that a decision by itself means."""
    reason, rule = str(decision.reason), decision.rule
    if not decision.allowed:
        return Verdict(State.HIDDEN, reason, rule)
    asked = tuple(f"{one.name} says yes" for one in decision.checks)
    state = State.OBSERVED if decision.observed else State.EXTERNAL if asked else State.ALLOWED
    return Verdict(state, reason, rule, asked)


def request_to(backend: Backend, **more: Any) -> RequestContext:
    """The request that carries a call to a Backend, as far as it is known beforehand."""
    if backend.host.startswith("*."):
        return RequestContext(method="POST", port=backend.port, path=backend.path, **more)
    return RequestContext("POST", backend.host, backend.port, backend.path, **more)


def selecting(world: World, agent: Agent) -> list[AgentPolicy]:
    """The AgentPolicies that select an agent, by name."""
    agent = world.own(agent)
    found = [
        one
        for one in world.configured(agent).policies
        if one.namespace in (None, agent.namespace) and dict(one.match_labels).items() <= agent.labels.items()
    ]
    return sorted(found, key=lambda one: one.name)


def requirements(world: World, agent: Agent, backend: Backend, tool: str) -> list[ArgumentRule]:
    """What the policies of an agent want of the arguments of a tool."""
    if backend.protocol is not BackendProtocol.MCP:
        return []
    grants = (
        rule.mcp
        for policy in selecting(world, agent)
        for rule in policy.outbound
        if names_backend(rule.backend, backend, agent.namespace)
    )
    return list(_about(tool, (one for grant in grants for one in grant.arguments)))


def inbound_requirements(world: World, agent: Agent, tool: str) -> list[ArgumentRule]:
    """What the policies of an agent want of the arguments of its own tools."""
    grants = (rule.mcp for policy in selecting(world, agent) for rule in policy.inbound or () if rule.mcp)
    return list(_about(tool, (one for grant in grants for one in grant.arguments)))


def _about(tool: str, rules: Iterator[ArgumentRule]) -> Iterator[ArgumentRule]:
    return (one for one in rules if EntryList((one.tool,)).find(tool) is not None)
