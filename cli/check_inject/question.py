"""What `check-inject` is asked about: one pod or pod template, where it is, and what the cluster knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from cli.check.stuck import Stuck
from cli.cluster.answers import Obj
from cli.cluster.parts import NOT_ASKED, Part
from cli.workloads import Workload
from webhook.admission.outcome import Namespace
from webhook.admission.settings import InjectionSettings


@dataclass(frozen=True, slots=True)
class Question:
    """`namespace_object` and `live` are None for what is only in a file. `live` is the pod as it runs, or for a
    workload its pods, and `stuck` says that they cannot be created. `endpoints` are the EndpointSlices of the
    control plane. `configurations` is None where nobody could tell what the API server asks; `assumed` why the
    settings are not the installation's."""

    workload: Workload
    namespace: Namespace
    settings: InjectionSettings
    configurations: tuple[Obj, ...] | None
    namespace_object: Obj | None = None
    live: tuple[Obj, ...] | None = None
    stuck: tuple[Stuck, ...] = ()
    endpoints: Part = NOT_ASKED
    assumed: str = ""

    @property
    def name(self) -> str:
        """As people would say it."""
        return f"{self.workload.kind} {self.namespace.name}/{self.workload.name}"
