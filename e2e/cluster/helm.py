"""Releases on the test's cluster, through Helm's own engine inside this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from helm_python import Config

from mesh.settings.installation import NAMESPACE

SECONDS: Final = 120


class Helm:
    """Releases in one namespace. Every action raises HelmError with Helm's own words."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.namespace = namespace
        self._config = Config(kubeconfig_path=kubeconfig, namespace=namespace, qps=200, burst_limit=400)

    def install(
        self, chart: Path, name: str, values: dict[str, Any] | None = None, *, wait: bool = False
    ) -> Any:
        """Install a chart, making the namespace; with `wait`, until its workloads are ready."""
        how = "watcher" if wait else None
        return self._config.install(
            chart, name, values, namespace=self.namespace, create_namespace=True, wait=how, timeout=SECONDS
        )

    def upgrade(
        self, chart: Path, name: str, values: dict[str, Any] | None = None, *, wait: bool = False
    ) -> Any:
        """Upgrade a release to a chart and exactly these values."""
        how = "watcher" if wait else None
        return self._config.upgrade(chart, name, values, namespace=self.namespace, wait=how, timeout=SECONDS)

    def rollback(self, name: str, revision: int | None = None, *, wait: bool = False) -> None:
        """Back to a revision, or to the one before."""
        how = "watcher" if wait else None
        self._config.rollback(name, version=revision, wait=how, timeout=SECONDS)

    def uninstall(self, name: str) -> None:
        """Remove a release; what is not there is fine."""
        self._config.uninstall(name, ignore_not_found=True, timeout=SECONDS)

    def history(self, name: str) -> list[dict[str, Any]]:
        return self._config.history(name)

    def close(self) -> None:
        self._config.close()


@contextlib.contextmanager
def release(kubeconfig: Path, name: str, namespace: str = NAMESPACE) -> Iterator[Helm]:
    """Helm, and the release of this name uninstalled in the end."""
    helm = Helm(kubeconfig, namespace)
    try:
        yield helm
    finally:
        helm.uninstall(name)
        helm.close()
