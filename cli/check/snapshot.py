"""The cluster as it was read, once: everything that checks look at, and nothing that asks anew.

Objects are plain dictionaries. A `Part` that could not be read says why, and the checks that need it are skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cli.check.sidecar_state import NO_STATES, States
from cli.cluster.answers import Obj
from cli.cluster.parts import NOT_ASKED, Part
from mesh.settings import installation
from webhook.admission.settings import InjectionSettings


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """Something that somebody may or may not do. `namespace` and `name` are empty where they do not matter,
    `subresource` where it is the object itself."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        part = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        what = f"{part}.{self.group}" if self.group else part
        return f"{self.verb} {what}{f' {self.name}' if self.name else ''}{where}"


@dataclass(frozen=True, slots=True)
class DataPlane:
    """One namespace with agents in it.

    `events` tell of pods that controllers created, or could not create. `troubles` is what sidecars that are not
    ready say of what they wait for, by pod, and `states` what they say of their configuration. `policies` is the
    ConfigMap that sidecars without a control plane read; `access_policies` are those of every namespace, as far as
    they may be read. `secrets` are those that credentials name, without what they hold.
    """

    namespace: str
    pods: Part = NOT_ASKED
    workloads: Part = NOT_ASKED
    replica_sets: Part = NOT_ASKED
    events: Part = NOT_ASKED
    policies: Part = NOT_ASKED
    network_policies: Part = NOT_ASKED
    services: Part = NOT_ASKED
    agent_policies: Part = NOT_ASKED
    backends: Part = NOT_ASKED
    access_policies: Part = NOT_ASKED
    secrets: Part = NOT_ASKED
    troubles: Mapping[str, str] = field(default_factory=dict)
    states: States = NO_STATES


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it. `namespace` is where Outrider is installed, or is to be.

    `known_settings` are the platform's settings where they were read already; else `settings` has their ConfigMap.
    `unready` is what replicas of the control plane say of why they are not ready, by pod; `authority` the Secret
    of the mesh's own CA without what it holds. `may` answers, for each Access that was asked about, whether it is
    granted; what could not be asked is absent.
    """

    namespace: str = installation.NAMESPACE
    version: Part = NOT_ASKED
    nodes: Part = NOT_ASKED
    namespaces: Part = NOT_ASKED
    deployment: Part = NOT_ASKED
    pods: Part = NOT_ASKED
    unready: Mapping[str, str] = field(default_factory=dict)
    disruption_budget: Part = NOT_ASKED
    settings: Part = NOT_ASKED
    service: Part = NOT_ASKED
    endpoint_slices: Part = NOT_ASKED
    secret: Part = NOT_ASKED
    lease: Part = NOT_ASKED
    control_service: Part = NOT_ASKED
    control_slices: Part = NOT_ASKED
    authority: Part = NOT_ASKED
    roots: Part = NOT_ASKED
    mutating: Part = NOT_ASKED
    validating: Part = NOT_ASKED
    admission_policies: Part = NOT_ASKED
    admission_bindings: Part = NOT_ASKED
    crds: Part = NOT_ASKED
    csi_drivers: Part = NOT_ASKED
    cluster_roles: Part = NOT_ASKED
    injected: Part = NOT_ASKED
    may: Mapping[Access, bool] = field(default_factory=dict)
    data: DataPlane | None = None
    known_settings: InjectionSettings | None = None

    def namespace_object(self, name: str) -> Obj | None:
        """The Namespace of that name."""
        return self.namespaces.named(name)
