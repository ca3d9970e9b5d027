from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml

from cli.main import main

WORKLOAD = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
      - name: web
        image: web:1
"""


def test_injecting_and_uninjecting_gives_the_manifest_back(capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(WORKLOAD))
    assert main(["inject", "-f", "-", "--namespace-labels", "outrider.dev/injection=enabled"]) == 0
    injected = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(injected))
    assert main(["uninject", "-f", "-"]) == 0
    out, report = capsys.readouterr()
    assert out == WORKLOAD
    assert report == (
        "<stdin>:1: Deployment default/web: uninjected\n"
        "1 uninjected, with the built-in settings (--live takes the cluster's)\n"
    )


def test_what_was_never_injected_keeps_its_text(capsys, monkeypatch) -> None:
    text = WORKLOAD.replace(
        "image:", "env: [{name: HTTP_PROXY, value: 'http://127.0.0.1:15002'}] # mine\n        image:"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["uninject", "-f", "-"]) == 0
    assert capsys.readouterr().out == text


def test_what_belongs_to_the_author_stays(capsys, monkeypatch) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "a",
            "labels": {"outrider.dev/inject": "true"},
            "annotations": {
                "kubectl.kubernetes.io/default-container": "b",
                "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "scratch",
            },
        },
        "spec": {
            "initContainers": [{"name": "seed"}],
            "containers": [{"name": "a"}, {"name": "b", "env": [{"name": "NO_PROXY", "value": "corp"}]}],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        },
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(pod)))
    main(["inject", "-f", "-"])
    monkeypatch.setattr("sys.stdin", io.StringIO(capsys.readouterr().out))
    main(["uninject", "-f", "-"])
    left = yaml.safe_load(capsys.readouterr().out)
    pod["spec"]["containers"][1]["env"].append({"name": "no_proxy", "value": "corp"})
    assert left == pod


@pytest.mark.parametrize(
    "text", ["apiVersion: v1\nkind: Pod\n", "apiVersion: batch/v1\nkind: Job\nspec: 3\n"]
)
def test_what_is_no_pod_is_refused(capsys, monkeypatch, text) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["uninject", "-f", "-"]) == 1
    assert "refused (pod_malformed)" in capsys.readouterr().err


def test_what_transparent_capture_and_interception_add_is_taken_out(capsys, monkeypatch) -> None:
    goldens = Path(__file__).parent / "goldens"
    monkeypatch.chdir(goldens)
    assert main(["uninject", "-f", "captured.out.yaml", "--settings", "capturing.yaml"]) == 0
    left = list(yaml.safe_load_all(capsys.readouterr().out))
    written = list(yaml.safe_load_all((goldens / "captured.in.yaml").read_text(encoding="utf-8")))
    # The distribution's own roots were replaced by a bundle that holds them; what it said is not known any more.
    env = written[2]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env.pop(0)["name"] == "SSL_CERT_FILE"
    assert left == written
