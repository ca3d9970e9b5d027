"""Documents and agents together: the policy of each agent as its sidecar would compile it."""

from __future__ import annotations

from dataclasses import dataclass, field

from cli.policy.agents import Agent
from mesh.policy import Backend, Documents, Policy, compile_policy


@dataclass
class World:
    """`policy` compiles once for each agent."""

    documents: Documents
    agents: list[Agent]
    _compiled: dict[str, Policy] = field(default_factory=dict)

    def policy(self, agent: Agent) -> Policy:
        """What the sidecar of an agent enforces."""
        known = self._compiled.get(agent.title)
        if known is None:
            known = self._compiled[agent.title] = compile_policy(
                self.documents, labels=agent.labels, namespace=agent.namespace, narrowing=agent.narrowing
            )
        return known

    def backends(self, agent: Agent) -> tuple[Backend, ...]:
        """Those that an agent can see, by name."""
        return tuple(sorted(self.policy(agent).backends, key=lambda one: (one.name, one.namespace or "")))


def backend_title(backend: Backend, namespace: str) -> str:
    """The name that an agent's policies use for a Backend."""
    return backend.name if backend.namespace in (None, namespace) else f"{backend.namespace}/{backend.name}"
