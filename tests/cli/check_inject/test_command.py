from __future__ import annotations

import io
import json

import pytest
import yaml

from cli.main import main
from tests.support import outrider_cluster as cluster
from tests.support.cluster_over_http import kubeconfig, serving

ENABLED = ["--namespace-labels", "outrider.dev/injection=enabled"]


@pytest.fixture
def api():
    return cluster.over_http()


@pytest.fixture
def options(api, tmp_path):
    with serving(api) as url:
        yield ["--kubeconfig", str(kubeconfig(tmp_path, url))]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "pods.yaml"
    path.write_text(yaml.safe_dump_all([cluster.bare_pod(), cluster.workload()]))
    return str(path)


def test_files_are_explained_without_a_cluster(file, capsys) -> None:
    assert main(["check-inject", file]) == 0
    assert "skipped  not_opted_in" in capsys.readouterr().out
    assert main(["check-inject", file, "-o", "json", *ENABLED]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["subject"], one["verdict"]) for one in found] == [
        ("Pod agents/triage", "injected"),
        ("Deployment agents/triage", "injected"),
    ]


def test_standard_input_may_hold_the_charts_configuration(capsys, monkeypatch) -> None:
    configuration = {"kind": "MutatingWebhookConfiguration", "apiVersion": "admissionregistration.k8s.io/v1"}
    text = yaml.safe_dump_all([cluster.bare_pod(), {**configuration, **cluster.injector()}])
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["check-inject", "-", *ENABLED]) == 0
    assert "enabled.injector.outrider.dev   yes" in capsys.readouterr().out


def test_a_refusal_ends_with_one(file, capsys) -> None:
    assert main(["check-inject", file, "--namespace-labels", "outrider.dev/injection=nonsense"]) == 1
    assert "refused  namespace_label_invalid: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [", "not valid YAML"), ("kind: Service", "there is no pod and no workload in it")],
)
def test_files_that_hold_no_pod_end_with_two(tmp_path, capsys, text, words) -> None:
    (tmp_path / "x.yaml").write_text(text)
    assert main(["check-inject", str(tmp_path / "x.yaml")]) == 2
    assert words in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_with_two(capsys) -> None:
    assert main(["check-inject", "nowhere.yaml"]) == 2
    assert "nowhere.yaml:1: cannot be read" in capsys.readouterr().err


def test_settings_that_cannot_be_read_end_with_two(file, tmp_path, capsys) -> None:
    (tmp_path / "settings.yaml").write_text("imagge: a")
    assert main(["check-inject", file, "--settings", str(tmp_path / "settings.yaml")]) == 2
    assert "imagge" in capsys.readouterr().err


@pytest.mark.parametrize("subject", ["triage", "pod/triage", "deploy/triage"])
def test_objects_of_a_cluster_are_explained_with_what_they_have(subject, options, capsys) -> None:
    assert main(["check-inject", subject, *options, "-o", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "injected"
    assert found["live"] == (
        ["pod triage has a sidecar"] if "deploy" not in subject else ["no pod of it runs"]
    )
    assert [one["name"] for one in found["entries"] if one["asked"]] == ["enabled.injector.outrider.dev"]


def test_pods_of_a_workload_are_found_by_its_selector(api, options, capsys) -> None:
    path = "/apis/apps/v1/namespaces/agents/deployments/triage"
    api.objects[path] = cluster.changed(
        api.objects[path], "spec/selector", {"matchLabels": {"app": "triage"}}
    )
    api.lists["/api/v1/namespaces/agents/pods"].append(cluster.bare_pod("old"))
    assert main(["check-inject", "deploy/triage", *options]) == 1
    assert "Pod old was created without a sidecar: restart it." in capsys.readouterr().out


def test_a_workload_of_the_name_that_no_pod_has_is_proposed(api, options, capsys) -> None:
    api.objects["/apis/apps/v1/namespaces/agents/deployments/web"] = cluster.workload()
    assert main(["check-inject", "web", *options]) == 2
    assert "There is deployment/web: name it so." in capsys.readouterr().err


def test_a_workload_whose_pods_are_refused_is_told_with_the_refusal(api, options, capsys) -> None:
    owner = {"kind": "Deployment", "name": "triage", "controller": True}
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    api.lists["/apis/apps/v1/namespaces/agents/replicasets"] = [
        {
            "metadata": {"name": "triage-1", "ownerReferences": [owner]},
            "status": {"conditions": [refused]},
        },
        {"metadata": {"name": "other-1"}, "status": {"conditions": [refused]}},
    ]
    assert main(["check-inject", "deploy/triage", *options, "-o", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["problems"] == ["Deployment triage cannot create its pods: exceeded quota."]


def test_a_control_plane_without_endpoints_is_told(api, options, capsys) -> None:
    api.lists[f"/apis/discovery.k8s.io/v1/namespaces/{cluster.SPACE}/endpointslices"] = []
    assert main(["check-inject", "deploy/triage", *options]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "No replica of the control plane is ready to be asked, so that new pods are refused" in said


def test_the_settings_of_the_cluster_decide(api, options, capsys) -> None:
    path = f"/api/v1/namespaces/{cluster.SPACE}/configmaps/outrider-webhook-settings"
    api.objects[path] = {"data": {"settings.yaml": "ignoredNamespaces: [agents]"}}
    main(["check-inject", "triage", *options])
    assert "skipped  namespace_ignored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("subject", "words"),
    [("nobody", "not found"), ("service/x", "is neither a file nor an object"), ("job/", "neither")],
)
def test_what_is_not_there_ends_with_two_and_a_hint(subject, words, options, capsys) -> None:
    assert main(["check-inject", subject, *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n  ") == 1


def test_what_may_not_be_read_ends_with_two(api, options, capsys) -> None:
    api.status["/api/v1/namespaces/agents/pods/triage"] = 403
    assert main(["check-inject", "triage", *options]) == 2
    assert "does not let this user ask (403)" in capsys.readouterr().err


def test_configurations_that_may_not_be_read_are_not_guessed(api, options, capsys) -> None:
    api.status["/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"] = 403
    assert main(["check-inject", "triage", *options]) == 0
    assert "The webhook configurations are not known here" in capsys.readouterr().out
