from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from webhook.admission.outcome import Namespace
from webhook.admission.settings import InjectionSettings

Build = Callable[..., dict[str, Any]]


def make_pod(
    *, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "triage", "namespace": "agents"}
    if labels is not None:
        metadata["labels"] = labels
    if annotations is not None:
        metadata["annotations"] = annotations
    spec.setdefault("containers", [{"name": "agent", "image": "agent:1"}])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.fixture
def pod() -> Build:
    return make_pod


@pytest.fixture
def enabled() -> Namespace:
    return Namespace("agents", {"outrider.dev/injection": "enabled"})


@pytest.fixture
def required() -> Namespace:
    return Namespace("agents", {"outrider.dev/injection": "required"})


@pytest.fixture
def settings() -> InjectionSettings:
    return InjectionSettings()
