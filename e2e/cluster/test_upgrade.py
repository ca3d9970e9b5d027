"""`helm upgrade` and `helm rollback` while pods are created: nobody notices."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helm_python import HelmError

from e2e.cluster.api import Json
from e2e.cluster.conftest import MakeNamespace, remove_namespace
from e2e.cluster.handshakes import steady_handshakes
from e2e.cluster.helm import release
from e2e.cluster.installation import CHART, RELEASE, VALUES, Installation
from e2e.cluster.kube import Kube, pod
from e2e.cluster.steady import steady_creation
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER

ENABLED = {"outrider.dev/injection": "enabled"}
POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: all}
spec:
  selector: {}
  outbound: [{backend: "*", tools: {allow: ["*"]}}]
"""


@pytest.fixture
def agents(make_namespace: MakeNamespace) -> str:
    return make_namespace(**ENABLED)


def injected(made: Json) -> bool:
    return bool((made["spec"].get("initContainers") or [{}])[0].get("name") == SIDECAR_CONTAINER)


def shape(made: Json) -> str:
    """A pod without what differs between two that are made in the same way."""
    spec = json.dumps(
        {"spec": made["spec"], "annotations": made["metadata"].get("annotations")}, sort_keys=True
    )
    for volume in made["spec"]["volumes"]:
        if volume["name"].startswith("kube-api-access-"):
            spec = spec.replace(volume["name"], "kube-api-access")
    return spec


def same(number: int) -> Json:
    """Always the same pod, but for the name that the API server gives it."""
    made = pod("agent")
    del made["metadata"]["name"]
    made["metadata"]["generateName"] = "agent-"
    return made


def secret(outrider: Installation) -> dict[str, bytes]:
    return dict(outrider.kube.secret(names.WEBHOOK_SECRET, outrider.namespace))


def test_pods_are_created_all_the_time_while_it_is_upgraded_and_rolled_back(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    before, trusted = secret(outrider), outrider.authorities()
    with steady_creation(kube, agents, same) as creation, steady_handshakes(outrider) as handshakes:
        upgraded = outrider.upgrade(replicas=3, image={"tag": "0.1.1"}, podAnnotations={"changed": "yes"})
        assert len(upgraded) == 3
        assert {one["spec"]["containers"][0]["image"] for one in upgraded} == {"outrider/webhook:0.1.1"}
        assert secret(outrider) == before
        assert outrider.authorities() == trusted
        assert len(outrider.rollback()) == 2
        assert secret(outrider) == before
        assert outrider.authorities() == trusted
        count = len(creation.created)
        kube.until(lambda: len(creation.created) > count + 10, "pods after", agents)
    print(f"upgrades and rollbacks: {len(creation.created)} pods, slowest {creation.slowest:.2f} s")
    assert not creation.failed, creation.failed[:3]
    assert not handshakes.failed, handshakes.failed[:3]
    assert all(map(injected, creation.created))


def test_the_control_plane_moves_to_another_port_while_pods_are_created(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    with steady_creation(kube, agents, same) as creation:
        kube.until(lambda: len(creation.created) > 5, "pods before", agents)
        for port, values in ((10260, {"port": 10260}), (10250, {})):
            moved = outrider.upgrade(**values)
            count = len(creation.created)
            kube.until(lambda count=count: len(creation.created) > count + 5, "pods after", agents)
            for one in moved:
                (container,) = one["spec"]["containers"]
                assert container["ports"][0]["containerPort"] == port
    assert not creation.failed, creation.failed[:3]
    assert all(map(injected, creation.created))


OTHER = {
    "settings": {
        "ports": {"forward": 15102, "telemetry": 15120},
        "policyConfigMap": "others",
        "uid": 1775,
        "nativeSidecars": "never",
    },
    "sidecarImage": {"repository": "mirror/sidecar", "tag": "0.1.1"},
}


def test_while_replicas_with_old_and_new_settings_serve_each_pod_is_made_by_one_of_them(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    old = shape(kube.create(same(0), namespace=agents, dry_run=True))
    with steady_creation(kube, agents, same) as creation:
        kube.until(lambda: len(creation.created) > 5, "pods before", agents)
        # As the chart's README says of the repository, which the final state knows.
        both = {"images": ["outrider/sidecar", "mirror/sidecar"]}
        outrider.upgrade(**OTHER, finalState=both)
        new = shape(kube.create(same(0), namespace=agents, dry_run=True))
        outrider.upgrade(finalState=both)
        outrider.upgrade()
        count = len(creation.created)
        kube.until(lambda: len(creation.created) > count + 5, "pods after", agents)
    assert not creation.failed, creation.failed[:3]
    assert {shape(made) for made in creation.created} == {old, new}


def test_kinds_are_upgraded_with_the_chart_and_what_is_stored_of_them_stays(
    outrider: Installation, kube: Kube, agents: str, tmp_path: Path
) -> None:
    chart = tmp_path / "outrider"
    shutil.copytree(CHART, chart)
    kinds = chart / "templates" / "crds" / "agentpolicies.yaml"
    text = kinds.read_text(encoding="utf-8")
    assert "\n    - name: Age\n" in text
    kinds.write_text(text.replace("\n    - name: Age\n", "\n    - name: Since\n"), encoding="utf-8")

    def columns() -> list[str]:
        found = kube.the("CustomResourceDefinition", "agentpolicies.outrider.dev")["spec"]["versions"][0]
        return [one["name"] for one in found["additionalPrinterColumns"]]

    kube.apply(POLICY, namespace=agents)
    outrider.helm.upgrade(chart, RELEASE, dict(VALUES))
    assert "Since" in columns()
    outrider.upgrade()
    assert "Since" not in columns()
    assert kube.get("AgentPolicy", "all", agents)
    kube.delete("AgentPolicy", "all", agents)


def test_a_secret_that_somebody_deleted_comes_back_with_the_next_upgrade(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    before = secret(outrider)
    with steady_creation(kube, agents, same) as creation:
        kube.delete("Secret", names.WEBHOOK_SECRET, outrider.namespace)
        outrider.upgrade()
        kube.until(lambda: secret(outrider) or None, "it is filled again", outrider.namespace)
    assert not creation.failed, creation.failed[:3]
    assert secret(outrider) == before


def test_a_second_release_is_refused_by_name_of_what_it_would_take_from_the_first(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    with release(kube.kubeconfig, "another", "another-system") as helm, pytest.raises(HelmError) as caught:
        helm.install(CHART, "another", dict(VALUES))
    assert "outrider" in str(caught.value)
    assert "release-name" in str(caught.value)
    remove_namespace(kube, "another-system")
    assert len(outrider.ready()) == 2
    assert injected(kube.create(pod("agent"), namespace=agents, dry_run=True))
