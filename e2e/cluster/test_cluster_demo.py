"""`outrider demo --cluster`: what it states holds on a real API server, and nothing is left of it."""

from __future__ import annotations

import subprocess
import sys

from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube
from e2e.processes import ROOT


def test_every_statement_holds_and_nothing_is_left(outrider: Installation, kube: Kube) -> None:
    command = [sys.executable, "-m", "cli.main", "demo", "--cluster", "--kubeconfig", str(kube.kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr + outrider.log()
    assert "All 9 statements held." in done.stdout
    assert not [one for one in kube.items("Namespace", None) if "outrider-demo" in one["metadata"]["name"]]
