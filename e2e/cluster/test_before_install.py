"""`outrider check --pre` on a cluster without Outrider: what is missing, and who would be in the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.control_plane import ControlPlane, write_kubeconfig
from e2e.cluster.kube import Kube
from e2e.processes import ROOT
from mesh.settings import installation as names

DRIVER: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "CSIDriver",
    "metadata": {"name": "csi.spiffe.io"},
    "spec": {"attachRequired": False, "podInfoOnMount": True, "volumeLifecycleModes": ["Ephemeral"]},
}


def outrider_command(kubeconfig: Path, *words: str) -> tuple[int, str, str]:
    """The command line as a process: its exit code, what it writes, and what it complains of."""
    command = [sys.executable, "-m", "cli.main", *words, "--kubeconfig", str(kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    return done.returncode, done.stdout, done.stderr


def checked(kubeconfig: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code and each check by its id."""
    code, out, complaint = outrider_command(kubeconfig, "check", *words, "--output", "json")
    assert not complaint
    report = json.loads(out)
    assert report["fine"] == (code == 0)
    return code, {one["id"]: one for one in report["checks"]}


@pytest.fixture
def driver(kube: Kube) -> Iterator[None]:
    kube.apply(DRIVER)
    yield
    kube.delete("CSIDriver", "csi.spiffe.io")


def test_a_fresh_cluster_is_ready_for_outrider(kube: Kube, plane: ControlPlane, driver: None) -> None:
    code, checks = checked(kube.kubeconfig, "--pre")
    assert code == 0
    assert {one["state"] for one in checks.values()} == {"ok"}
    assert plane.version in str(checks["api-server-version"]["seen"])


def test_a_missing_driver_is_no_obstacle_yet(kube: Kube) -> None:
    code, out, _ = outrider_command(kube.kubeconfig, "check", "--pre")
    assert code == 0
    said = " ".join(out.split())
    assert "there is no CSIDriver csi.spiffe.io; only identity.provider spire needs it" in said


def test_somebody_without_rights_is_told_which_are_missing(plane: ControlPlane, tmp_path: Path) -> None:
    pair = plane.authority.issue("visitor")
    config = write_kubeconfig(tmp_path / "visitor", plane.server, plane.authority.file, pair)
    code, checks = checked(config, "--pre")
    assert code == 1
    assert checks["install-permissions"]["state"] == "failed"
    assert "mutatingwebhookconfigurations" in str(checks["install-permissions"]["seen"])


def test_an_object_of_others_with_our_name_is_found(kube: Kube, make_namespace: MakeNamespace) -> None:
    role = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    kube.apply({**role, "metadata": {"name": names.INJECTOR}})
    try:
        code, checks = checked(kube.kubeconfig, "--pre")
        assert code == 1
        assert checks["names-free"]["state"] == "failed"
        assert names.INJECTOR in str(checks["names-free"]["seen"])
    finally:
        kube.delete("MutatingWebhookConfiguration", names.INJECTOR)


def test_a_check_of_what_is_not_installed_fails_and_says_what_to_do(kube: Kube) -> None:
    code, checks = checked(kube.kubeconfig)
    assert code == 1
    assert checks["control-plane-installed"]["state"] == "failed"
    failed = [one for one in checks.values() if one["state"] == "failed"]
    assert all(one["hint"] and one["docs"] for one in failed)


def test_a_cluster_that_cannot_be_asked_is_another_exit_code(tmp_path: Path, plane: ControlPlane) -> None:
    nowhere = write_kubeconfig(
        tmp_path / "nowhere", "https://127.0.0.1:1", plane.authority.file, plane.pairs["admin"]
    )
    for config in (tmp_path / "missing", nowhere):
        code, out, complaint = outrider_command(config, "check")
        assert (code, out) == (2, "")
        assert complaint.startswith("outrider: ")
        assert "Traceback" not in complaint
