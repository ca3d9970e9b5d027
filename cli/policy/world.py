"""Documents and agents together: the policy of each agent as its sidecar would compile it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.policy.agents import TRUST_DOMAIN, Agent
from mesh.policy import Backend, Documents, Policy, Principal, compile_policy
from mesh.policy.access.level import Trust
from mesh.policy.access.levels import Levels
from mesh.policy.documents import EVERY_BACKEND
from mesh.policy.principal import User

if TYPE_CHECKING:
    from cli.policy.plane import Plane


@dataclass
class World:
    """`documents` is everything there is. With a `plane` each agent has those that the control plane sends it;
    without, all of them, as a sidecar has that reads files. `unaccepted`: of files, something is not in force as
    it is written. `user`: on whose behalf it is asked, None: of nobody."""

    documents: Documents
    agents: list[Agent]
    plane: Plane | None = None
    trust_domain: str = TRUST_DOMAIN
    unaccepted: bool = False
    user: User | None = None
    _compiled: dict[str, Policy] = field(default_factory=dict)
    _levels: dict[str, Levels] = field(default_factory=dict)

    @property
    def trust(self) -> Trust:
        return Trust(self.trust_domain)

    def own(self, agent: Agent) -> Agent:
        """The agent of that name as it is in this world, where labels, account and annotations may be others."""
        return next((one for one in self.agents if one.title == agent.title), agent)

    def principal(self, agent: Agent, caller: str = "") -> Principal:
        """Who asks: the agent, or a caller of it."""
        return Principal(caller or self.own(agent).spiffe_id, self.user)

    def configured(self, agent: Agent) -> Documents:
        """The documents that an agent has."""
        return self.documents if self.plane is None else self.plane.configured(self.own(agent))

    def policy(self, agent: Agent) -> Policy:
        """What the sidecar of an agent enforces."""
        known = self._compiled.get(agent.title)
        if known is None:
            agent = self.own(agent)
            known = self._compiled[agent.title] = compile_policy(
                self.configured(agent),
                labels=agent.labels,
                namespace=agent.namespace,
                narrowing=agent.narrowing,
                trust=self.trust,
            )
        return known

    def levels(self, agent: Agent) -> Levels:
        """The access policies that concern an agent, by target."""
        known = self._levels.get(agent.title)
        if known is None:
            documents = self.configured(agent)
            known = self._levels[agent.title] = Levels(
                documents.access_policies, self.policy(agent).backends, documents.standing, self.trust
            )
        return known

    def backends(self, agent: Agent) -> tuple[Backend, ...]:
        """Those that an agent can see, by name."""
        return tuple(sorted(self.policy(agent).backends, key=lambda one: (one.name, one.namespace or "")))


def backend_title(backend: Backend, namespace: str) -> str:
    """The name that an agent's policies use for a Backend."""
    return backend.name if backend.namespace in (None, namespace) else f"{backend.namespace}/{backend.name}"


def names_backend(rule: str, backend: Backend, namespace: str) -> bool:
    """Whether `backend` of an outbound rule means this Backend, for an agent of `namespace`."""
    if backend.namespace in (None, namespace) and rule in (backend.name, EVERY_BACKEND):
        return True
    return rule == f"{backend.namespace}/{backend.name}"
