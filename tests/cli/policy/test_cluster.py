"""`explain --live-cluster`: what is in a cluster, compiled as its control plane does."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.cli.policy.conftest import POLICIES
from tests.cli.policy.test_access import ACCESS
from tests.support.cluster_over_http import Cluster, kubeconfig, serving

LISTS = {
    "Pod": "/api/v1/pods",
    "Service": "/api/v1/services",
    "Backend": "/apis/outrider.dev/v1alpha1/backends",
    "AgentPolicy": "/apis/outrider.dev/v1alpha1/agentpolicies",
    "XAccessPolicy": "/apis/agentic.networking.x-k8s.io/v1alpha1/xaccesspolicies",
    "XBackend": "/apis/agentic.networking.x-k8s.io/v0alpha0/xbackends",
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "triage-1", "namespace": "agents", "labels": {"app": "triage"}},
    "spec": {"serviceAccountName": "triage", "containers": [{"name": "agent", "image": "agent"}]},
    "status": {"phase": "Running"},
}


@pytest.fixture
def cluster() -> Cluster:
    lists: dict[str, list[dict]] = {path: [] for path in (*LISTS.values(), "/api/v1/namespaces")}
    for document in yaml.safe_load_all(f"{POLICIES}---\n{ACCESS}"):
        if document["kind"] in LISTS:
            lists[LISTS[document["kind"]]].append(document)
    server = {**POD, "metadata": {"name": "search-1", "namespace": "tools"}}
    server["metadata"]["labels"] = {"app": "search", "outrider.dev/injected": "true"}
    lists[LISTS["Pod"]] = [POD, {**server, "spec": {**POD["spec"], "serviceAccountName": "search"}}]
    return Cluster(lists=lists)


def asked(outrider, cluster: Cluster, tmp_path, *arguments: str) -> tuple[int, str, str]:
    with serving(cluster) as url:
        config = str(kubeconfig(tmp_path, url))
        return outrider("explain", *arguments, "--live-cluster", "--kubeconfig", config, "-o", "json")


def test_a_pod_of_the_cluster_is_explained(outrider, cluster, tmp_path) -> None:
    code, out, err = asked(outrider, cluster, tmp_path, "triage-1", "github", "delete_list")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["agent"], found["reason"]) == ("agents/triage-1", "tool_denied")


def test_access_policies_hold_where_no_policy_selects(outrider, cluster, tmp_path) -> None:
    cluster.lists[LISTS["AgentPolicy"]] = []
    code, out, err = asked(outrider, cluster, tmp_path, "agents/triage-1", "tools/search", "find")
    assert (code, err) == (0, "")
    assert json.loads(out)["rule"] == "XAccessPolicy/tools/readers triage"


def test_files_are_laid_over_the_cluster(outrider, cluster, tmp_path, write) -> None:
    changed = write("changed.yaml", POLICIES.replace("*delete*", "*purge*"))
    _, out, _ = asked(outrider, cluster, tmp_path, "agents/triage-1", "github", "list_delete", changed)
    assert json.loads(out)["allowed"]


def test_a_document_that_cannot_be_read_is_told_and_closed(outrider, cluster, tmp_path) -> None:
    cluster.lists[LISTS["AgentPolicy"]][0]["spec"]["egress"] = "maybe"
    code, out, err = asked(outrider, cluster, tmp_path, "agents/triage-1", "github", "get_issue")
    assert code == 0
    assert "AgentPolicy agents/triage: a closed one is in force" in err
    assert not json.loads(out)["allowed"]


def test_the_trust_domain_is_the_control_planes(outrider, cluster, tmp_path) -> None:
    cluster.lists[LISTS["AgentPolicy"]] = []
    container = {"name": "webhook", "args": ["--port", "1", "--trust-domain", "corp.example"]}
    cluster.objects["/apis/apps/v1/namespaces/outrider-system/deployments/outrider-webhook"] = {
        "spec": {"template": {"spec": {"containers": [container]}}}
    }
    for more, domain in (((), "corp.example"), (("--trust-domain", "other.example"), "other.example")):
        _, out, _ = asked(outrider, cluster, tmp_path, "tools/search-1", "search", "find", *more)
        assert f"not spiffe://{domain}/ns/tools/sa/search" in json.loads(out)["votes"][0]["note"]


def test_without_the_right_to_read_policies_there_is_a_hint(outrider, cluster, tmp_path) -> None:
    cluster.status[LISTS["AgentPolicy"]] = 403
    code, _, err = asked(outrider, cluster, tmp_path, "agents/triage-1", "github", "x")
    assert code == 2
    assert "agentpolicies cannot be listed" in err
    assert "Ask for the right" in err


def test_what_else_cannot_be_read_is_told(outrider, cluster, tmp_path) -> None:
    cluster.status[LISTS["Service"]] = 403
    code, _, err = asked(outrider, cluster, tmp_path, "agents/triage-1", "github", "get_issue")
    assert code == 0
    assert "services cannot be listed, and are not looked at" in err


def test_without_a_cluster_there_is_a_hint(outrider, tmp_path) -> None:
    code, _, err = outrider("explain", "a/b", "c", "d", "--live-cluster", "--kubeconfig", tmp_path / "none")
    assert code == 2
    assert "There is no kubeconfig" in err


def replica(name: str, *, injected: bool) -> dict:
    """A pod of Deployment triage."""
    labels = {"app": "triage", "pod-template-hash": "7d4b9"}
    labels |= {"outrider.dev/injected": "true"} if injected else {}
    owner = {"kind": "ReplicaSet", "name": "triage-7d4b9", "controller": True}
    metadata = {"name": name, "namespace": "agents", "labels": labels, "ownerReferences": [owner]}
    return {**POD, "metadata": metadata}


NAMES = ["agents/triage", "agents/deployment/triage", "agents/deploy/triage", "agents/triage-7d4b9-b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_is_one_of_its_pods_with_a_sidecar(outrider, cluster, tmp_path, name) -> None:
    pods = [replica("triage-7d4b9-a", injected=False), replica("triage-7d4b9-b", injected=True)]
    cluster.lists[LISTS["Pod"]] = pods
    code, out, _ = asked(outrider, cluster, tmp_path, name, "github", "get_issue")
    assert code == 0
    assert json.loads(out)["agent"] == "agents/triage-7d4b9-b"


def test_a_kind_and_a_name_are_of_the_namespace_that_is_asked_for(outrider, cluster, tmp_path) -> None:
    cluster.lists[LISTS["Pod"]] = [replica("triage-7d4b9-b", injected=True)]
    options = ("deployment/triage", "github", "get_issue", "-n", "agents")
    _, out, _ = asked(outrider, cluster, tmp_path, *options)
    assert json.loads(out)["agent"] == "agents/triage-7d4b9-b"
    assert asked(outrider, cluster, tmp_path, "statefulset/triage", *options[1:])[0] == 2


def test_a_pod_of_a_cron_job_is_found_by_it(outrider, cluster, tmp_path) -> None:
    pod = replica("nightly-28391920-x", injected=True)
    pod["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "nightly-28391920", "controller": True}]
    cluster.lists[LISTS["Pod"]] = [pod]
    _, out, _ = asked(outrider, cluster, tmp_path, "agents/cronjob/nightly", "github", "get_issue")
    assert json.loads(out)["agent"] == "agents/nightly-28391920-x"


def test_who_is_not_there_is_told_with_the_pods_that_have_sidecars(outrider, cluster, tmp_path) -> None:
    code, _, err = asked(outrider, cluster, tmp_path, "agents/nobody", "github", "x")
    assert code == 2
    assert "pods with a sidecar: tools/search-1. Name a pod" in err
    cluster.lists[LISTS["Pod"]] = [replica("triage-7d4b9-a", injected=False)]
    code, _, err = asked(outrider, cluster, tmp_path, "agents/triage", "github", "x")
    assert code == 2
    assert "no pod of agents/triage has a sidecar; name one of them" in err
    assert "agents/triage-7d4b9-a" in err


def in_cluster(outrider, cluster: Cluster, tmp_path, *arguments: str) -> tuple[int, str, str]:
    with serving(cluster) as url:
        config = str(kubeconfig(tmp_path, url))
        return outrider("test", *arguments, "--live-cluster", "--kubeconfig", config, "-o", "json")


def test_a_cluster_is_tested_by_a_pod_of_each_workload(outrider, cluster, tmp_path) -> None:
    replicas = [replica(f"triage-7d4b9-{n}", injected=n != "a") for n in "abc"]
    cluster.lists[LISTS["Pod"]] = replicas
    code, out, err = in_cluster(outrider, cluster, tmp_path)
    assert code == 0
    assert "NoIdentity" in err  # a remark on what somebody else applied, no mistake of whoever asks
    assert {row["agent"] for row in json.loads(out)} == {"agents/triage-7d4b9-b"}
    _, out, _ = in_cluster(outrider, cluster, tmp_path, "--agent", "agents/triage-7d4b9-c")
    assert {row["agent"] for row in json.loads(out)} == {"agents/triage-7d4b9-c"}


def test_what_is_expected_of_a_workload_is_asked_of_its_pod(outrider, cluster, tmp_path, write) -> None:
    cluster.lists[LISTS["Pod"]] = [replica("triage-7d4b9-b", injected=True)]
    expected = "[{agent: agents/triage, backend: github, tool: get_issue, allowed: true}]"
    code, out, _ = in_cluster(outrider, cluster, tmp_path, "--expect", write("expect.yaml", expected))
    assert code == 0
    assert json.loads(out)[0]["ok"]


def test_without_files_and_cluster_there_is_nothing_to_test(outrider) -> None:
    code, _, err = outrider("test")
    assert code == 2
    assert "name files" in err
    assert "--live-cluster" in err
