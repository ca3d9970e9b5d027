from __future__ import annotations

import pytest
import yaml

from cli.main import main
from tests.support import outrider_cluster as cluster
from tests.support.cluster_over_http import kubeconfig, serving
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace
from webhook.admission.settings import InjectionSettings

EXPECTED = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: outrider-mesh-ports-only
  namespace: agents
spec:
  podSelector:
    matchLabels:
      outrider.dev/injected: 'true'
  policyTypes:
  - Ingress
  ingress:
  - ports:
    - protocol: TCP
      port: 15443
    - protocol: TCP
      port: 15020
"""


def printed(capsys, *arguments: str) -> str:
    assert main(["networkpolicy", "-n", "agents", *arguments]) == 0
    return capsys.readouterr().out


def test_only_the_ports_of_the_mesh_stay_open_and_egress_is_not_touched(capsys) -> None:
    assert printed(capsys) == EXPECTED


def test_whose_ports_they_are_is_said(tmp_path, capsys) -> None:
    assert main(["networkpolicy", "-n", "agents"]) == 0
    assert "those of the built-in settings (--live takes the cluster's)" in capsys.readouterr().err


def test_the_ports_of_the_installation_are_taken_where_it_is_asked(tmp_path, capsys) -> None:
    api = cluster.over_http()
    path = f"/api/v1/namespaces/{cluster.SPACE}/configmaps/outrider-webhook-settings"
    api.objects[path] = {"data": {"settings.yaml": "ports: {inbound: 16443}"}}
    with serving(api) as url:
        options = ["--live", "--kubeconfig", str(kubeconfig(tmp_path, url))]
        assert printed(capsys, *options) == EXPECTED.replace("15443", "16443")
        api.status[path] = 403
        assert main(["networkpolicy", "-n", "agents", *options]) == 2
    out, report = capsys.readouterr()
    assert (out, "are not known" in report) == ("", True)


# NetworkPolicy of networking.k8s.io/v1, as far as it may be used here: key -> what stands below it.
SHAPE = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str, "namespace": str},
    "spec": {
        "podSelector": {"matchLabels": dict},
        "policyTypes": list,
        "ingress": [{"ports": [{"protocol": str, "port": int}]}],
    },
}


def fits(value: object, shape: object) -> bool:
    if isinstance(shape, type):
        return type(value) is shape
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    assert isinstance(shape, dict)
    return (
        isinstance(value, dict)
        and value.keys() == shape.keys()
        and all(fits(value[key], below) for key, below in shape.items())
    )


def test_it_has_the_shape_of_a_network_policy(capsys) -> None:
    manifest = yaml.safe_load(printed(capsys))
    assert fits(manifest, SHAPE)
    assert all(isinstance(value, str) for value in manifest["spec"]["podSelector"]["matchLabels"].values())
    assert all(1 <= one["port"] <= 65535 for rule in manifest["spec"]["ingress"] for one in rule["ports"])


def test_it_selects_the_pods_that_admission_has_injected_and_opens_what_their_sidecars_listen_on(
    capsys,
) -> None:
    manifest = yaml.safe_load(printed(capsys))
    pod = {"metadata": {}, "spec": {"containers": [{"name": "a", "ports": [{"containerPort": 9000}]}]}}
    namespace = Namespace("agents", {"outrider.dev/injection": "enabled"})
    became = inject(pod, namespace, InjectionSettings())
    assert isinstance(became, Injection)
    wanted = manifest["spec"]["podSelector"]["matchLabels"]
    assert wanted.items() <= became.pod["metadata"]["labels"].items()
    listening = {one["containerPort"] for one in became.pod["spec"]["initContainers"][0]["ports"]}
    assert {one["port"] for one in manifest["spec"]["ingress"][0]["ports"]} == listening


def test_ports_come_from_the_platforms_settings(capsys, tmp_path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("ports: {inbound: 16443, telemetry: 16020}\n")
    manifest = yaml.safe_load(printed(capsys, "--settings", str(settings)))
    assert [one["port"] for one in manifest["spec"]["ingress"][0]["ports"]] == [16443, 16020]


def test_settings_that_cannot_be_read_are_told(capsys, tmp_path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("port: {}\n")
    assert main(["networkpolicy", "-n", "agents", "--settings", str(settings)]) == 2
    assert "did you mean ports?" in capsys.readouterr().err
    assert main(["networkpolicy", "-n", "agents", "--settings", str(tmp_path / "none.yaml")]) == 2


@pytest.mark.parametrize("name", ["Agents", "a.b", "-a", "a" * 64, ""])
def test_what_is_no_namespace_is_refused(capsys, name) -> None:
    with pytest.raises(SystemExit):
        main(["networkpolicy", f"--namespace={name}"])
    assert "is not the name of a namespace" in capsys.readouterr().err
