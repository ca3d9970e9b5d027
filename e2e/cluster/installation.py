"""Outrider on the test's cluster: the chart installed by Helm, its control plane as processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from e2e.cluster.api import Json
from e2e.cluster.helm import Helm
from e2e.cluster.kube import Kube
from e2e.processes import ROOT
from mesh.settings import installation as names

CHART: Final = ROOT / "charts" / "outrider"
RELEASE: Final = "outrider"
ROLLOUT_SECONDS: Final = 60.0
# Policies outlive an uninstallation by default; a test's cluster has to be empty afterwards.
VALUES: Final[Mapping[str, Any]] = {"crds": {"keep": False}, "drainSeconds": 1}
WITHOUT_CONTROL: Final[Mapping[str, Any]] = {"control": {"enabled": False}, "identity": {"provider": "spire"}}
"""Sidecars that read ConfigMaps, and have their identity from SPIRE."""


@dataclass(slots=True)
class Installation:
    """A release of the chart. What it changes is waited for."""

    kube: Kube
    helm: Helm
    values: dict[str, Any] = field(default_factory=lambda: dict(VALUES))

    @property
    def namespace(self) -> str:
        return self.helm.namespace

    def install(self, **values: Any) -> list[Json]:
        """Install it; the control plane's pods once they serve a certificate that the API server trusts."""
        self.helm.install(CHART, RELEASE, {**self.values, **values})
        return self.ready()

    def upgrade(self, **values: Any) -> list[Json]:
        """Upgrade it to other values."""
        self.helm.upgrade(CHART, RELEASE, {**self.values, **values})
        return self.ready()

    def rollback(self) -> list[Json]:
        self.helm.rollback(RELEASE)
        return self.ready()

    def uninstall(self) -> None:
        """Remove the release, until its pods are gone. The namespace stays, as with Helm."""
        self.helm.uninstall(RELEASE)
        self.kube.until(lambda: not self.kube.items("Pod", self.namespace), "no pods", self.namespace)

    def ready(self) -> list[Json]:
        """The control plane's pods, once all are ready."""
        return self.kube.wait_rollout(names.WEBHOOK, self.namespace, ROLLOUT_SECONDS)

    def pods(self) -> list[Json]:
        """The control plane's pods, whatever they do."""
        return self.kube.items("Pod", self.namespace)

    def authorities(self) -> set[str]:
        """The caBundles of all webhook entries, as base64; one where all agree."""
        configurations = [
            self.kube.the("MutatingWebhookConfiguration", names.INJECTOR),
            self.kube.the("ValidatingWebhookConfiguration", names.VALIDATOR),
        ]
        return {
            entry["clientConfig"].get("caBundle", "") for one in configurations for entry in one["webhooks"]
        }

    def log(self) -> str:
        """What all control-plane pods have written."""
        return self.kube.describe(self.namespace)


@contextlib.contextmanager
def installed(kube: Kube, namespace: str = names.NAMESPACE, **values: Any) -> Iterator[Installation]:
    """Outrider, installed and ready, until the block ends."""
    with contextlib.ExitStack() as stack:
        helm = Helm(kube.kubeconfig, namespace)
        stack.callback(helm.close)
        made = Installation(kube, helm)
        stack.callback(made.uninstall)
        made.install(**values)
        yield made
