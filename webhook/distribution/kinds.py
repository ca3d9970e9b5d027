"""The kinds of objects that a sidecar's configuration is made of, and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mesh.policy.access.documents import (
    AGENTIC_GROUP,
    GATEWAY_GROUP,
    GATEWAY_X_GROUP,
    OUTRIDER_GROUP,
    TargetRef,
)
from webhook.cluster.client import Collection

API_VERSION: Final = f"{OUTRIDER_GROUP}/v1alpha1"
GATEWAY_CLASS: Final = "outrider"
"""`gatewayClassName` of Gateways that stand for every Backend and workload of their namespace."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of policy object. `seniority` orders kinds where two objects of different kinds claim the same."""

    group: str
    version: str
    name: str
    plural: str
    seniority: int = 0

    @property
    def collection(self) -> Collection:
        """All objects of the cluster."""
        return Collection(f"/apis/{self.group}/{self.version}", self.plural)

    @property
    def api_version(self) -> str:
        """As objects carry it."""
        return f"{self.group}/{self.version}"

    def __str__(self) -> str:
        return f"{self.name}.{self.group}"


STANDING: Final = Kind(OUTRIDER_GROUP, "v1alpha1", "Standing", "")
"""No object of the cluster: what a pod stands behind, told to its own sidecar."""

AGENT_POLICY: Final = Kind(OUTRIDER_GROUP, "v1alpha1", "AgentPolicy", "agentpolicies")
BACKEND: Final = Kind(OUTRIDER_GROUP, "v1alpha1", "Backend", "backends")
ACCESS_POLICY: Final = Kind(AGENTIC_GROUP, "v1alpha1", "XAccessPolicy", "xaccesspolicies")
AGENTIC_BACKEND: Final = Kind(AGENTIC_GROUP, "v0alpha0", "XBackend", "xbackends", 2)
GATEWAY_BACKEND: Final = Kind(GATEWAY_X_GROUP, "v1alpha1", "XBackend", "xbackends", 1)
GATEWAY: Final = Kind(GATEWAY_GROUP, "v1", "Gateway", "gateways")

KINDS: Final = (AGENT_POLICY, BACKEND, ACCESS_POLICY, AGENTIC_BACKEND, GATEWAY_BACKEND, GATEWAY)
BACKEND_KINDS: Final = frozenset({BACKEND, AGENTIC_BACKEND, GATEWAY_BACKEND})

PODS: Final = Collection("/api/v1", "pods")
SERVICES: Final = Collection("/api/v1", "services")
INJECTED_SELECTOR: Final = f"{OUTRIDER_GROUP}/injected=true"


@dataclass(frozen=True, slots=True)
class Key:
    """One policy object of the cluster."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"

    @property
    def target(self) -> TargetRef:
        """The object as others refer to it."""
        return TargetRef(self.kind.group, self.kind.name, self.namespace, self.name)
