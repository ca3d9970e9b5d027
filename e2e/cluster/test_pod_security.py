"""Namespaces that enforce, warn of and audit PodSecurity levels, and what the API server says of injected pods."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.cluster.api import ApiError
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.control_plane import ControlPlane
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod
from e2e.cluster.test_workloads import policies
from e2e.pods import document
from mesh.settings.table import REDIRECT_CONTAINER, SIDECAR_CONTAINER

ENABLED = {"outrider.dev/injection": "enabled"}
LEVEL = "pod-security.kubernetes.io/"
IMPOSSIBLE = (
    "enforces PodSecurity {}, which forbids the capability NET_ADMIN that redirection needs "
    "(only pod-security.kubernetes.io/enforce=privileged admits it): Transparent capture cannot be had here; "
    "write outrider.dev/capture: explicit, or auto, which is explicit where transparent is impossible."
)


def hardened(name: str, capture: str | None = None) -> dict[str, Any]:
    """A pod that fits `restricted` by itself."""
    made = pod(name, annotations={"outrider.dev/capture": capture} if capture else {})
    made["spec"]["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": 4000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    made["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    return made


def added(kube: Kube, asked: dict[str, Any], namespace: str) -> list[str]:
    """Names of the init containers of a pod that the API server takes."""
    made = kube.create(asked, namespace=namespace, dry_run=True)
    return [one["name"] for one in made["spec"]["initContainers"]]


@pytest.mark.parametrize("capture", [None, "auto"])
def test_a_restricted_pod_runs_with_its_sidecar_in_a_restricted_namespace(
    capture: str | None,
    outrider: Installation,
    kube: Kube,
    make_namespace: MakeNamespace,
) -> None:
    levels = {f"{LEVEL}{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    namespace = make_namespace(**ENABLED, **levels)
    kube.apply(policies(document("AgentPolicy", "none", outbound=[])), namespace=namespace)
    made = kube.create(hardened("strict", capture), namespace=namespace)
    assert kube.warnings == ()
    assert [one["name"] for one in made["spec"]["initContainers"]] == [SIDECAR_CONTAINER]
    kube.wait_ready("strict", namespace)


@pytest.mark.parametrize(
    ("level", "capture", "containers"),
    [
        ("privileged", None, [SIDECAR_CONTAINER]),
        ("privileged", "auto", [REDIRECT_CONTAINER, SIDECAR_CONTAINER]),
        ("privileged", "transparent", [REDIRECT_CONTAINER, SIDECAR_CONTAINER]),
        ("baseline", None, [SIDECAR_CONTAINER]),
        ("baseline", "auto", [SIDECAR_CONTAINER]),
        ("restricted", None, [SIDECAR_CONTAINER]),
        ("restricted", "auto", [SIDECAR_CONTAINER]),
    ],
)
def test_the_level_of_a_namespace_decides_what_auto_comes_to(
    level: str,
    capture: str | None,
    containers: list[str],
    outrider: Installation,
    kube: Kube,
    make_namespace: MakeNamespace,
) -> None:
    namespace = make_namespace(**ENABLED, **{f"{LEVEL}enforce": level})
    assert added(kube, hardened("agent", capture), namespace) == containers


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_transparent_capture_is_refused_by_us_before_pod_security_does_it_in_other_words(
    level: str, outrider: Installation, kube: Kube, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace(**ENABLED, **{f"{LEVEL}enforce": level})
    with pytest.raises(ApiError) as refused:
        kube.create(hardened("agent", "transparent"), namespace=namespace)
    assert refused.value.status == 403
    assert "outrider refuses this pod (capture_impossible): namespace " in refused.value.message
    assert IMPOSSIBLE.format(level) in refused.value.message


def test_a_pod_that_pod_security_refuses_is_refused_for_its_own_faults_only(
    outrider: Installation, kube: Kube, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace(**ENABLED, **{f"{LEVEL}enforce": "restricted"})
    with pytest.raises(ApiError, match="violates PodSecurity") as refused:
        kube.create(pod("open"), namespace=namespace)
    assert '"app"' in refused.value.message
    assert "outrider" not in refused.value.message


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_warnings_and_audit_name_redirection_and_never_the_sidecar(
    level: str,
    outrider: Installation,
    kube: Kube,
    make_namespace: MakeNamespace,
    plane: ControlPlane,
) -> None:
    levels = {f"{LEVEL}enforce": "privileged", f"{LEVEL}warn": level, f"{LEVEL}audit": level}
    namespace = make_namespace(**ENABLED, **levels)

    def violations(name: str) -> str:
        (line,) = kube.until(
            lambda: plane.audit(verb="create", resource="pods", namespace=namespace, name=name),
            "an audit line",
        )
        return str(line["annotations"].get(f"{LEVEL}audit-violations", ""))

    added(kube, hardened("explicit"), namespace)
    assert not list(kube.warnings)
    assert violations("explicit") == ""
    added(kube, hardened("transparent", "transparent"), namespace)
    (warning,) = kube.warnings
    for said in (warning, violations("transparent")):
        assert f'would violate PodSecurity "{level}:latest"' in said
        assert REDIRECT_CONTAINER in said
        assert SIDECAR_CONTAINER not in said
