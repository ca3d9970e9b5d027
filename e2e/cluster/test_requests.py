"""What remains of a request for a pod: for its author, in the audit log, and in what replicas have counted."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from e2e.cluster.api import ApiError
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod, workload
from mesh.settings import installation as names
from mesh.settings.table import SIDECAR_CONTAINER, VERSION
from webhook.admission.review import fingerprint
from webhook.admission.settings_file import parse_settings

ENABLED = {"outrider.dev/injection": "enabled"}
COUNTED = re.compile(r'^outrider_admissions_total\{result="(\w+)",reason="(\w+)"\} (\d+)$', re.MULTILINE)
Counts = Counter[tuple[str, str]]


def counts(outrider: Installation) -> Counts:
    """Answers of all replicas by result and reason."""
    total: Counts = Counter()
    for replica in outrider.ready():
        url = f"http://{replica['status']['podIP']}:15020/metrics"
        text = urllib.request.urlopen(url, timeout=5).read().decode()
        total.update({(result, reason): int(count) for result, reason, count in COUNTED.findall(text)})
    return total


def counted(outrider: Installation, act: Callable[[], object]) -> Counts:
    """What an act has added."""
    before = counts(outrider)
    act()
    return counts(outrider) - before


@pytest.fixture
def agents(outrider: Installation, make_namespace: MakeNamespace) -> str:
    return make_namespace(**ENABLED)


def refused(kube: Kube, asked: dict[str, Any], namespace: str) -> str:
    with pytest.raises(ApiError) as error:
        kube.create(asked, namespace=namespace)
    return error.value.message


def test_a_dry_run_shows_the_pod_and_counts_apart(outrider: Installation, kube: Kube, agents: str) -> None:
    made: list[dict[str, Any]] = []
    added = counted(outrider, lambda: made.append(kube.create(pod("agent"), namespace=agents, dry_run=True)))
    assert made[0]["spec"]["initContainers"][0]["name"] == SIDECAR_CONTAINER
    assert kube.get("Pod", "agent", agents) is None
    # Twice: the API server asks again after it has given the sidecar the account's token.
    assert added == {("dry_run", "injected"): 2}
    real = counted(outrider, lambda: kube.create(pod("agent"), namespace=agents))
    assert real == {("injected", "injected"): 2}
    stored = kube.the("Pod", "agent", agents)
    assert made[0]["spec"]["initContainers"][0]["env"] == stored["spec"]["initContainers"][0]["env"]


def test_refusals_and_skips_are_counted_by_their_reason(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    wrong = pod("wrong", annotations={"outrider.dev/memory": "lots"})
    added = counted(outrider, lambda: refused(kube, wrong, agents))
    assert added == {("refused", "annotation_invalid"): 1}
    on_host = pod("host", hostNetwork=True)
    added = counted(outrider, lambda: kube.create(on_host, namespace=agents))
    assert added == {("skipped", "host_network"): 1}
    out = pod("out", labels={"outrider.dev/inject": "false"})
    assert counted(outrider, lambda: kube.create(out, namespace=agents)) == {}


def test_warnings_reach_whoever_creates_a_pod(outrider: Installation, kube: Kube, agents: str) -> None:
    kube.create(
        pod("agent", annotations={"outrider.dev/capture": "transparent"}), namespace=agents, dry_run=True
    )
    (warning,) = kube.warnings
    assert warning.startswith("outrider: container app could undo capture; set capabilities.drop: [ALL]")
    assert len(warning) <= 120
    for asked, told in (
        (pod("quiet"), []),
        (pod("host", hostNetwork=True), ["outrider: no sidecar (host_network)"]),
    ):
        kube.create(asked, namespace=agents, dry_run=True)
        assert list(kube.warnings) == told


def audited(kube: Kube, plane: ControlPlane, namespace: str, name: str | None) -> dict[str, str]:
    """What the audit log has of ours about the creation of a pod, without the entry's name."""

    def look() -> list[dict[str, Any]]:
        lines = plane.audit(verb="create", resource="pods", namespace=namespace)
        creations = [line for line in lines if "subresource" not in line["objectRef"]]
        return [line for line in creations if line["objectRef"].get("name") == name]

    (line,) = kube.until(look, f"the audit log knows {name or 'of a pod without a name'}")
    ours = {
        key: text for key, text in line["annotations"].items() if key.startswith(f"{names.ENABLED_ENTRY}/")
    }
    return {key.partition("/")[2]: text for key, text in ours.items()}


def test_the_audit_log_says_what_was_decided_by_what(
    outrider: Installation, kube: Kube, agents: str, plane: ControlPlane
) -> None:
    text = kube.the("ConfigMap", names.WEBHOOK_SETTINGS, outrider.namespace)["data"][names.SETTINGS_KEY]
    settings = parse_settings(text, "settings.yaml").injection
    roots = kube.the("ConfigMap", names.ROOTS, outrider.namespace)["data"][names.ROOTS_KEY]
    # With what `auto` came to, and what vouches for the control plane.
    decided = fingerprint(settings.for_cluster(native_sidecars=True).with_roots(roots))
    version = {"version": VERSION, "config-hash": decided}
    kube.create(pod("plain"), namespace=agents)
    assert audited(kube, plane, agents, "plain") == {"decision": "injected", "reason": "injected", **version}
    kube.create(pod("tuned", annotations={"outrider.dev/memory": "100Mi"}), namespace=agents)
    assert audited(kube, plane, agents, "tuned")["layers"] == "memory=pod"
    refused(kube, pod("wrong", annotations={"outrider.dev/memory": "lots"}), agents)
    expected = {"decision": "refused", "reason": "annotation_invalid", **version}
    assert audited(kube, plane, agents, "wrong") == expected


def test_the_audit_log_knows_pods_of_controllers(
    outrider: Installation, kube: Kube, agents: str, plane: ControlPlane
) -> None:
    kube.apply(workload("Deployment", "web", pod("web")), namespace=agents)
    kube.until(lambda: kube.items("Pod", agents, "app=web"), "its pod")
    # The log has the name that was asked for, and controllers leave it to the API server.
    assert audited(kube, plane, agents, None)["decision"] == "injected"


def test_nobody_of_the_cluster_is_asked_about_what_is_no_pod(
    outrider: Installation, kube: Kube, agents: str
) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
    kube.create(pod("agent"), namespace=agents)

    def edit() -> None:
        kube.apply(config, namespace=agents)
        kube.patch("Pod", "agent", {"metadata": {"annotations": {"a": "b"}}}, agents)

    assert counted(outrider, edit) == {}
