"""The chart, rendered by Helm's own engine. Where that has no wheel its tests are skipped, and say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "charts" / "outrider"
NAMESPACE = "outrider-system"

Manifests = list[dict[str, Any]]
Render = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def helm() -> Any:
    """Helm's engine as a library."""
    return pytest.importorskip("helm_python", reason="helm-python-sdk has no wheel for this machine")


@pytest.fixture(scope="session")
def render(helm: Any) -> Render:
    """Every template with what it renders to, for given values; raises helm_python.HelmError."""
    chart = helm.Chart.load(CHART)

    def rendered(values: dict[str, Any] | None = None, namespace: str = NAMESPACE) -> dict[str, str]:
        return chart.render(values or {}, name="outrider", namespace=namespace)

    return rendered


@pytest.fixture(scope="session")
def manifests(render: Render) -> Callable[..., Manifests]:
    """Every object of a release, for given values."""

    def objects(values: dict[str, Any] | None = None, namespace: str = NAMESPACE) -> Manifests:
        files = sorted(render(values, namespace).items())
        texts = [text for name, text in files if name.endswith(".yaml")]
        return [one for text in texts for one in yaml.safe_load_all(text) if one]

    return objects


@pytest.fixture(scope="session")
def find(manifests: Callable[..., Manifests]) -> Callable[..., dict[str, Any]]:
    """The one object of a kind, by name where there are several."""

    def one(kind: str, name: str | None = None, values: dict[str, Any] | None = None) -> dict[str, Any]:
        (found,) = [
            each
            for each in manifests(values)
            if each["kind"] == kind and name in (None, each["metadata"]["name"])
        ]
        return found

    return one
