"""The golden files of injection by way of the cluster's webhook, with all that the API server does around it.

A pod comes out as if its recorded output had been created where there is no webhook, apart from the account's
token: the API server gives that to every container, and the webhook's second call takes it from the sidecar again.
"""

from __future__ import annotations

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
    with_defaults_of_probes,
)
from e2e.cluster.installation import WITHOUT_CONTROL, Installation, installed
from e2e.cluster.kube import Kube
from mesh.settings.table import RESERVED_CONTAINERS
from tests.support import json_patch
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Refusal

IGNORED = "kube-system"  # where the webhook is not asked, and no policy looks
EVERY = [one for one in every_pod() if one.defaults]


@pytest.fixture(scope="module")
def outrider(kube: Kube) -> Iterator[Installation]:
    """As most goldens are recorded: without a control plane that sidecars ask."""
    with installed(kube, **WITHOUT_CONTROL) as made:
        yield made


@pytest.fixture(scope="module")
def namespaces(outrider: Installation, kube: Kube) -> Iterator[Namespaces]:
    made = Namespaces(kube, "answer")
    yield made
    made.remove()


def without_token(pod: Json) -> Json:
    """A stored pod whose sidecar and redirection have no token of the account."""
    for container in containers_of(pod):
        if container["name"] in RESERVED_CONTAINERS:
            mounts = container["volumeMounts"]
            container["volumeMounts"] = [one for one in mounts if one["name"] != "kube-api-access"]
    return pod


@pytest.mark.parametrize("asked", EVERY, ids=lambda one: one.title)
def test_the_webhook_of_the_cluster_answers_as_recorded(
    asked: Asked, kube: Kube, namespaces: Namespaces, plane: ControlPlane
) -> None:
    if not known_to(plane.version, asked.since):
        pytest.skip(f"needs Kubernetes {asked.since}")
    namespace = namespaces.real(asked.namespace)
    namespaces.furnish(asked.pod, namespace.name)
    outcome = inject(asked.pod, namespace, asked.settings)
    answer = ask(kube, asked.pod, namespace.name)
    if isinstance(outcome, Refusal):
        assert answer.pod is None
        assert f"({outcome.reason})" in answer.refusal
    elif isinstance(outcome, Injection):
        assert answer.pod is not None, answer.refusal
        namespaces.furnish(asked.pod, IGNORED)
        direct = ask(kube, json_patch.apply(outcome.patch, asked.pod), IGNORED)
        assert direct.pod is not None, direct.refusal
        ends = [without_token(with_defaults_of_probes(essence(pod))) for pod in (direct.pod, answer.pod)]
        assert differences(*ends) == []
        assert essence(answer.pod) == without_token(essence(answer.pod))
        shown = {warning for warning in answer.warnings if warning.startswith("outrider: ")}
        assert {one[:119] for one in shown} == {f"outrider: {one}"[:119] for one in outcome.warnings}
    else:
        assert answer.pod is None or not containers_of(answer.pod)[0]["name"].startswith("outrider-")
