"""The golden files of injection before a real API server, which is the judge of what admission makes.

Nothing of Outrider's is installed here, so every case has settings of its own. The API server gets what admission
made and fills in defaults and the account's token; then admission is shown the pod that would be stored, as on a
second call, and has to leave it as it is. `test_golden_answers.py` asks the webhook in the cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from e2e.cluster.api import Json
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.goldens import (
    Asked,
    Namespaces,
    ask,
    containers_of,
    differences,
    essence,
    every_pod,
    known_to,
    resubmitted,
    with_defaults_of_probes,
    without_schemes,
)
from e2e.cluster.kube import Kube
from mesh.settings.table import RESERVED_CONTAINERS, RESERVED_VOLUMES, SIDECAR_CONTAINER
from tests.support import json_patch
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Refusal

EVERY = every_pod()
PARTS = ("initContainers", "containers", "volumes")
RESERVED = RESERVED_CONTAINERS | RESERVED_VOLUMES


@pytest.fixture(scope="module")
def namespaces(kube: Kube) -> Iterator[Namespaces]:
    made = Namespaces(kube, "golden")
    yield made
    made.remove()


@pytest.mark.parametrize("asked", EVERY, ids=lambda one: one.title)
def test_the_api_server_takes_what_admission_makes_and_a_second_call_changes_nothing(
    asked: Asked, kube: Kube, namespaces: Namespaces, plane: ControlPlane
) -> None:
    if not known_to(plane.version, asked.since):
        pytest.skip(f"needs Kubernetes {asked.since}")
    namespace = namespaces.real(asked.namespace)
    namespaces.furnish(asked.pod, namespace.name)
    outcome = inject(asked.pod, namespace, asked.settings)
    if not isinstance(outcome, Injection):
        return
    stored = ask(kube, json_patch.apply(outcome.patch, asked.pod), namespace.name)
    assert stored.pod is not None, stored.refusal
    again = inject(stored.pod, namespace, asked.settings)
    assert isinstance(again, Injection)
    became = json_patch.apply(again.patch, stored.pod)
    assert differences(without_schemes(others(stored.pod)), without_schemes(others(became))) == [], (
        "what is not ours stays as it is, to the letter"
    )
    assert not account_tokens(became), "the sidecar gets none of what the API server gives to every container"
    anew = ask(kube, resubmitted(became), namespace.name)
    assert anew.pod is not None, anew.refusal
    assert differences(essence(stored.pod), essence(anew.pod)) == []


def others(pod: Json) -> Json:
    """A pod without what admission makes anew each time."""
    spec = {key: value for key, value in pod["spec"].items() if key not in PARTS}
    parts = {key: [one for one in pod["spec"].get(key) or [] if one["name"] not in RESERVED] for key in PARTS}
    return {"metadata": pod["metadata"], "spec": spec | parts}


def account_tokens(pod: Json) -> list[str]:
    """Mounts of the account's token in the sidecar."""
    (sidecar,) = (one for one in containers_of(pod) if one["name"] == SIDECAR_CONTAINER)
    return [one["name"] for one in sidecar["volumeMounts"] if one["name"].startswith("kube-api-access")]


@pytest.mark.parametrize("asked", EVERY, ids=lambda one: one.title)
def test_defaults_of_the_api_server_do_not_change_what_admission_decides(
    asked: Asked, kube: Kube, namespaces: Namespaces, plane: ControlPlane
) -> None:
    if not known_to(plane.version, asked.since):
        pytest.skip(f"needs Kubernetes {asked.since}")
    namespace = namespaces.real(asked.namespace)
    namespaces.furnish(asked.pod, namespace.name)
    plain = ask(kube, asked.pod, namespace.name)
    if plain.pod is None:
        return  # such a pod cannot be, whatever admission says
    raw = inject(asked.pod, namespace, asked.settings)
    defaulted = inject(plain.pod, namespace, asked.settings)
    assert type(defaulted) is type(raw)
    assert defaulted.reason == raw.reason
    if isinstance(raw, Refusal) and isinstance(defaulted, Refusal):
        assert sorted(re.split("[;:] ", defaulted.sentence)) == sorted(re.split("[;:] ", raw.sentence))
    if isinstance(raw, Injection) and isinstance(defaulted, Injection):
        assert defaulted.warnings == raw.warnings
        one = ask(kube, json_patch.apply(raw.patch, asked.pod), namespace.name)
        other = ask(kube, json_patch.apply(defaulted.patch, resubmitted(plain.pod)), namespace.name)
        assert one.pod is not None, one.refusal
        assert other.pod is not None, other.refusal
        assert differences(*map(with_defaults_of_probes, map(essence, (one.pod, other.pod)))) == []
