"""One question to a policy: an agent, what it wants to use, and the request that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cli.policy.agents import Agent
from cli.policy.judging import METHODS, request_to
from cli.policy.known_users import known, refusal
from cli.policy.users import told
from cli.policy.world import World, backend_title
from mesh.policy import Backend, Decision, Principal, RequestContext
from mesh.policy.decision import Target
from mesh.policy.principal import User
from mesh.reasons import Reason

MCP_PATH = "/mcp"


@dataclass(frozen=True, slots=True)
class Question:
    """`backend` is "" and `caller` a SPIFFE ID where a peer asks the agent itself, at `path`.

    `kind` is tool, prompt, resource or method; `arguments` None: as a list asks, for which they do not count.
    """

    agent: str
    kind: str
    name: str
    backend: str = ""
    caller: str = ""
    path: str = MCP_PATH
    arguments: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    time: datetime | None = None
    user: User | None = None

    @property
    def method(self) -> str:
        return METHODS.get(self.kind, self.name)

    @property
    def subject(self) -> str | None:
        """The name that a decision is about."""
        return self.name if self.kind in METHODS else None

    @property
    def sentence(self) -> str:
        """In words."""
        what = f"{self.kind} {self.name}{told(self.user)}"
        if self.caller:
            return f"{self.caller} calling {self.agent}: {what}"
        return f"{self.agent} using {self.backend}: {what}"


class NoSuchBackend(Exception):
    """Whoever asks is at fault: the agent sees no Backend of that name."""


def ask(world: World, agent: Agent, question: Question) -> Decision:
    """What becomes of it at the sidecar of `agent`. Raises NoSuchBackend."""
    return decided(world, agent, question)[0]


def decided(world: World, agent: Agent, question: Question) -> tuple[Decision, str]:
    """What becomes of it, and a sentence where more than policies decide. Raises NoSuchBackend."""
    principal, target = parties(world, agent, question)
    refused = refusal(world, agent, target, question.user)
    if refused is not None and refused[0].reason is Reason.TOKEN_ISSUER:
        return refused  # at the door, before policies are asked
    decision = _by_policy(world, agent, question, principal, target)
    return refused if refused is not None and decision.allowed else (decision, "")


def _by_policy(
    world: World, agent: Agent, question: Question, principal: Principal, target: Target
) -> Decision:
    return world.policy(agent).decide(
        principal,
        target,
        question.method,
        question.subject,
        question.arguments,
        context=context_of(target, question),
    )


def parties(world: World, agent: Agent, question: Question) -> tuple[Principal, Target]:
    """Who asks, and what of. Raises NoSuchBackend."""
    user = known(world, agent, question.user)
    if question.caller:
        return Principal(question.caller, user), world.policy(agent).inbound(question.path)
    return Principal(agent.spiffe_id, user), find_backend(world, agent, question.backend)


def find_backend(world: World, agent: Agent, name: str) -> Backend:
    """The Backend that the agent's policies call `name`. Raises NoSuchBackend."""
    for backend in world.backends(agent):
        if name in (backend_title(backend, agent.namespace), f"{backend.namespace}/{backend.name}"):
            return backend
    known = ", ".join(backend_title(one, agent.namespace) for one in world.backends(agent))
    raise NoSuchBackend(f"{agent.title} sees no Backend {name}; known to it: {known or 'none'}")


def context_of(target: Target, question: Question) -> RequestContext:
    """The HTTP request: what the target says of it, and what was asked with. Headers that are not named are
    absent.
    """
    headers = {name.lower(): value for name, value in question.headers.items()}
    if isinstance(target, Backend):
        return request_to(target, headers=headers, time=question.time)
    return replace(RequestContext(method="POST", path=question.path), headers=headers, time=question.time)
