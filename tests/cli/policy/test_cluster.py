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
