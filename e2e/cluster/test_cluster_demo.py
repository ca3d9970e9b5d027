"""`outrider demo --cluster` and `outrider policy explain --live-cluster` on a real API server."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from e2e.processes import ROOT


def test_every_statement_holds_and_nothing_is_left(outrider: Installation, kube: Kube) -> None:
    command = [sys.executable, "-m", "cli.main", "demo", "--cluster", "--kubeconfig", str(kube.kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr + outrider.log()
    assert "All 9 statements held." in done.stdout
    assert not [one for one in kube.items("Namespace", None) if "outrider-demo" in one["metadata"]["name"]]


@pytest.mark.parametrize(("tool", "allowed"), [("get_issue", True), ("delete_issue", False)])
def test_a_decision_is_explained_from_what_is_in_the_cluster(
    outrider: Installation, kube: Kube, make_namespace: MakeNamespace, tool: str, allowed: bool
) -> None:
    namespace = make_namespace(**{"outrider.dev/injection": "enabled"})
    version = "outrider.dev/v1alpha1"
    tls = {"mode": "None"}
    spec = {"protocol": "MCP", "host": "github.example", "port": 8080, "path": "/mcp", "tls": tls}
    rule = {"backend": "github", "tools": {"allow": ["get_*"]}}
    for kind, name, value in (("Backend", "github", spec), ("AgentPolicy", "readers", {"outbound": [rule]})):
        document = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": value}
        kube.create(document, namespace=namespace)
    kube.create(pod("agent"), namespace=namespace)
    words = ("policy", "explain", f"{namespace}/agent", "github", tool, "--live-cluster", "-o", "json")
    command = [sys.executable, "-m", "cli.main", *words, "--kubeconfig", str(kube.kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["allowed"] is allowed
