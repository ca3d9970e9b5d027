"""The command line as a process against a cluster that is well, and with faults as operators have them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.api import JSON_PATCH
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, Late, pod, workload
from e2e.cluster.test_before_install import checked, outrider_command
from e2e.cluster.test_workloads import policies
from e2e.pods import document
from mesh.settings import installation as names

ENABLED = {"outrider.dev/injection": "enabled"}
UNHURRIED: dict[str, Any] = {"terminationGracePeriodSeconds": 60}


@pytest.fixture(scope="module")
def well(outrider: Installation) -> Installation:
    """A cluster that has all that agents need."""
    return outrider


@pytest.fixture
def agents(well: Installation, kube: Kube, make_namespace: MakeNamespace) -> str:
    """A namespace with policies and one agent that runs."""
    namespace = make_namespace(**ENABLED)
    kube.apply(policies(document("AgentPolicy", "nothing", outbound=[])), namespace=namespace)
    kube.create(pod("agent", **UNHURRIED), namespace=namespace)
    kube.wait_ready("agent", namespace)
    return namespace


def asked(kube: Kube, *words: str) -> tuple[int, Any]:
    """A command's exit code and its answer for programs."""
    code, out, complaint = outrider_command(kube.kubeconfig, *words, "--output", "json")
    assert not complaint
    return code, json.loads(out)


def failed(checks: dict[str, Any]) -> set[str]:
    return {name for name, one in checks.items() if one["state"] == "failed"}


@contextlib.contextmanager
def stopped(kube: Kube, outrider: Installation) -> Iterator[None]:
    """No control plane, until the block ends."""
    kube.patch("Deployment", names.WEBHOOK, {"spec": {"replicas": 0}}, outrider.namespace)
    try:
        kube.until(lambda: not outrider.pods(), "no replica", outrider.namespace)
        kube.until(lambda: not endpoints(kube, outrider), "no endpoint", outrider.namespace)
        yield
    finally:
        kube.patch("Deployment", names.WEBHOOK, {"spec": {"replicas": 2}}, outrider.namespace)
        outrider.ready()


def endpoints(kube: Kube, outrider: Installation) -> list[Any]:
    slices = kube.items("EndpointSlice", outrider.namespace, f"kubernetes.io/service-name={names.WEBHOOK}")
    return [one for found in slices for one in found["endpoints"] or []]


def until_nothing_is_said(kube: Kube, *words: str) -> None:
    """An installation of this moment may still be about to take up what it was given."""
    said: dict[str, Any] = {}

    def look() -> bool:
        said.clear()
        _, checks = checked(kube.kubeconfig, *words)
        said.update({name: one for name, one in checks.items() if one["state"] not in ("ok", "skipped")})
        return not said

    try:
        kube.until(look, "nothing to complain of")
    except Late as late:
        raise AssertionError(said) from late


def test_a_cluster_that_is_well_has_nothing_to_complain_of(
    well: Installation, kube: Kube, agents: str
) -> None:
    for words in ((), ("--namespace", agents)):
        until_nothing_is_said(kube, *words)
    code, out, _ = outrider_command(kube.kubeconfig, "check", "--namespace", agents)
    assert code == 0
    assert "failed" not in out
    assert "\x1b" not in out


def test_a_pod_with_its_sidecar_is_explained_and_described(kube: Kube, agents: str) -> None:
    code, (explained,) = asked(kube, "check-inject", "agent", "--namespace", agents)
    assert (code, explained["verdict"], explained["problems"]) == (0, "injected", [])
    assert [one["name"] for one in explained["entries"] if one["asked"]] == [names.ENABLED_ENTRY]
    code, described = asked(kube, "describe", "pod", "agent", "--namespace", agents)
    identity = f"spiffe://cluster.local/ns/{agents}/sa/default"
    assert (code, described["injected"]) == (0, True)
    assert described["identity"]["actual"] == identity
    assert described["policies"]["selecting"] == ["AgentPolicy/nothing (enforce, egress: deny)"]
    code, out, _ = outrider_command(kube.kubeconfig, "describe", "pod", "agent", "--namespace", agents)
    assert code == 0
    assert identity in "".join(out.split())


def test_a_stopped_control_plane(well: Installation, kube: Kube) -> None:
    with stopped(kube, well):
        code, checks = checked(kube.kubeconfig)
        assert code == 1
        gone = {"control-plane-available", "webhook-endpoints", "control-service"}
        assert gone <= failed(checks) <= gone | {"leader-lease"}
        assert checks["webhook-endpoints"]["hint"]
    assert checked(kube.kubeconfig, "--wait", "20")[0] == 0


def test_an_emptied_authority_is_named_and_comes_back_with_the_control_plane(
    well: Installation, kube: Kube
) -> None:
    entries = kube.the("MutatingWebhookConfiguration", names.INJECTOR)["webhooks"]
    emptied = [
        {"op": "remove", "path": f"/webhooks/{at}/clientConfig/caBundle"} for at in range(len(entries))
    ]
    with stopped(kube, well):
        kube.patch("MutatingWebhookConfiguration", names.INJECTOR, emptied, how=JSON_PATCH)
        code, checks = checked(kube.kubeconfig)
        assert code == 1
        assert checks["ca-bundles"]["state"] == "failed"
        assert names.REQUIRED_ENTRY in str(checks["ca-bundles"]["seen"])
    assert checked(kube.kubeconfig, "--wait", "20")[0] == 0
    assert len(well.authorities()) == 1


def test_a_namespace_that_was_labelled_after_its_pods_were_made(
    well: Installation, kube: Kube, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    kube.apply(policies(document("AgentPolicy", "nothing", outbound=[])), namespace=namespace)
    kube.create(pod("late", **UNHURRIED), namespace=namespace)
    kube.wait_ready("late", namespace)
    kube.patch("Namespace", namespace, {"metadata": {"labels": ENABLED}})
    code, checks = checked(kube.kubeconfig, "--namespace", namespace)
    assert (code, failed(checks)) == (1, {"pods-injected"})
    assert "pod late has none" in str(checks["pods-injected"]["seen"])
    assert "Delete and create anew Pod late." in checks["pods-injected"]["hint"]
    code, (explained,) = asked(kube, "check-inject", "late", "--namespace", namespace)
    assert code == 1
    assert "restart it" in explained["problems"][0]
    code, described = asked(kube, "describe", "pod", "late", "--namespace", namespace)
    assert (code, described["injected"]) == (0, False)


def test_a_workload_whose_pods_are_refused(
    well: Installation, kube: Kube, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace(**ENABLED)
    kube.apply(policies(document("AgentPolicy", "nothing", outbound=[])), namespace=namespace)
    for kind in ("Deployment", "Job"):
        wrong = workload(kind, f"wrong-{kind.lower()}", pod("wrong", **UNHURRIED))
        wrong["spec"]["template"]["metadata"].setdefault("annotations", {})["outrider.dev/captrue"] = "x"
        kube.apply(wrong, namespace=namespace)
        kube.wait_event("FailedCreate", namespace)
    code, checks = checked(kube.kubeconfig, "--namespace", namespace, "--wait", "1")
    assert (code, failed(checks)) == (1, {"pods-created"})
    seen = str(checks["pods-created"]["seen"])
    assert "Deployment wrong-deployment cannot create its pods" in seen
    assert "Job wrong-job cannot create its pods" in seen
    assert "outrider.dev/captrue" in seen
    code, (explained,) = asked(kube, "check-inject", "deployment/wrong-deployment", "--namespace", namespace)
    assert code == 1
    assert "cannot create its pods" in str(explained["problems"])


def test_a_label_on_the_deployment_in_place_of_its_template(
    well: Installation, kube: Kube, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    asking = workload("Deployment", "web", pod("web"))
    asking["metadata"]["labels"]["outrider.dev/inject"] = "true"
    kube.apply(asking, namespace=namespace)
    (made,) = kube.wait_rollout("web", namespace)
    assert "initContainers" not in made["spec"]
    _, checks = checked(kube.kubeconfig, "--namespace", namespace)
    assert checks["workload-labels"]["state"] == "warning"
    assert "Deployment web itself has outrider.dev/inject" in str(checks["workload-labels"]["seen"])
    _, findings = asked(kube, "analyze", "--live", "--namespace", namespace)
    assert [one["object"] for one in findings if one["code"] == "OUT0101"] == [f"Deployment {namespace}/web"]
    words = ("analyze", "--live", "--namespace", namespace, "--fail-on", "warning")
    assert asked(kube, *words)[0] == 1


def test_a_namespace_without_its_policies(
    well: Installation, kube: Kube, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace(**ENABLED)
    kube.create(pod("waiting", **UNHURRIED), namespace=namespace)
    kube.wait_ready("waiting", namespace)
    code, checks = checked(kube.kubeconfig, "--namespace", namespace)
    assert code == 1
    assert "policies-present" in failed(checks)
    assert f"kubectl -n {namespace} apply" in checks["policies-present"]["hint"]
    _, findings = asked(kube, "analyze", "--live", "--namespace", namespace)
    assert "OUT0206" in {one["code"] for one in findings}


def test_a_missing_configuration(well: Installation, kube: Kube) -> None:
    kept = kube.the("ValidatingAdmissionPolicyBinding", names.FINAL_STATE_POLICY)
    kube.delete("ValidatingAdmissionPolicyBinding", names.FINAL_STATE_POLICY)
    try:
        code, checks = checked(kube.kubeconfig)
        assert (code, failed(checks)) == (1, {"final-state-binding"})
    finally:
        kept["metadata"] = {key: kept["metadata"][key] for key in ("name", "labels", "annotations")}
        kube.create(kept)


REFUSED = pod("wrong", annotations={"outrider.dev/memory": "lots"})


def test_a_manifest_is_explained_with_the_clusters_own_settings(
    well: Installation, kube: Kube, make_namespace: MakeNamespace, tmp_path: Path
) -> None:
    namespace = make_namespace(**ENABLED)
    file = tmp_path / "pod.yaml"
    file.write_text(yaml.safe_dump(REFUSED), encoding="utf-8")
    words = (
        "check-inject",
        str(file),
        "--namespace",
        namespace,
        "--namespace-labels",
        "outrider.dev/injection=enabled",
    )
    code, (explained,) = asked(kube, *words)
    assert (code, explained["verdict"], explained["reason"]) == (1, "refused", "annotation_invalid")
    code, findings = asked(kube, "analyze", str(file), "--live", "--namespace", namespace)
    assert code == 1
    assert "lots" in str(findings)


@pytest.mark.parametrize(
    "words",
    [("describe", "pod", "nobody"), ("check-inject", "nobody"), ("check-inject", "deployment/nobody")],
)
def test_what_is_not_there_is_said_and_is_another_exit_code(
    words: tuple[str, ...], well: Installation, kube: Kube
) -> None:
    code, out, complaint = outrider_command(kube.kubeconfig, *words, "--namespace", "default")
    assert (code, out) == (2, "")
    assert "nobody" in complaint
