from __future__ import annotations

import pytest

from mesh.reasons import Reason
from webhook.admission.ephemeral import admit_ephemeral
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Namespace, Refusal
from webhook.admission.settings import InjectionSettings

CONFINED = {"runAsNonRoot": True, "allowPrivilegeEscalation": False}
SHARED_UIDS = Namespace(
    "agents", {"outrider.dev/injection": "enabled"}, {"openshift.io/sa.scc.uid-range": "1000700000/10000"}
)


def container(**more):
    return {"name": "agent", "image": "agent:1", **more}


def mounting(path, context=None):
    mounts = [{"name": "node", "mountPath": "/node", "readOnly": True}]
    return {
        "containers": [container(volumeMounts=mounts, securityContext=context or {})],
        "volumes": [{"name": "node", "hostPath": {"path": path}}],
    }


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
@pytest.mark.parametrize(
    "context",
    [
        {"privileged": True},
        {"capabilities": {"add": ["ALL"]}},
        {"capabilities": {"add": ["cap_sys_admin"]}},
        {"capabilities": {"add": ["DAC_READ_SEARCH"]}},
    ],
)
def test_a_privileged_container_is_refused_unless_that_is_allowed(pod, enabled, kind, context) -> None:
    spec = {"containers": [container()], kind: [container(name="other", securityContext=context)]}
    refusal = inject(pod(**spec), enabled, InjectionSettings())
    assert (type(refusal), refusal.reason) == (Refusal, Reason.NODE_REACHED)
    assert "container other, " in refusal.sentence
    assert "allow: [privileged-containers] would permit it" in refusal.sentence
    allowing = InjectionSettings(allow=frozenset({"privileged-containers"}))
    assert isinstance(inject(pod(**spec), enabled, allowing), Injection)


@pytest.mark.parametrize("allow", ["nameservers", "privileged-containers"])
def test_what_undoes_transparent_capture_is_refused_whatever_is_allowed(pod, enabled, allow) -> None:
    settings = InjectionSettings(allow=frozenset({allow}), defaults={"outrider.dev/capture": "transparent"})
    refusal = inject(pod(containers=[container(securityContext={"privileged": True})]), enabled, settings)
    assert isinstance(refusal, Refusal)
    assert Reason.CAPTURE_UNDONE in {problem.reason for problem in refusal.problems}


@pytest.mark.parametrize("context", [{}, CONFINED])
@pytest.mark.parametrize(
    "path",
    [
        *("/", "//", "/var", "/var/", "/var/lib", "/var/lib/kubelet", "/var/lib/kubelet/pods/x/volumes"),
        *(
            "/run",
            "/var/run",
            "/var/run/containerd/containerd.sock",
            "/run/docker.sock",
            "/run/crio/crio.sock",
        ),
        *("/var/lib/../lib/kubelet", "/etc", "/etc/kubernetes/manifests", "/run/k3s/containerd"),
    ],
)
def test_a_folder_of_the_node_that_holds_keys_is_refused_unless_that_is_allowed(
    pod, enabled, path, context
) -> None:
    spec = mounting(path, context)
    refusal = inject(pod(**spec), enabled, InjectionSettings())
    assert (type(refusal), refusal.reason) == (Refusal, Reason.NODE_REACHED)
    assert f"container agent, volume node (hostPath {path})" in refusal.sentence
    assert "allow: [host-paths] would permit it" in refusal.sentence
    allowing = InjectionSettings(allow=frozenset({"host-paths"}))
    assert isinstance(inject(pod(**spec), enabled, allowing), Injection)


@pytest.mark.parametrize("path", ["/var/log", "/data", "/etc/ssl/certs", "/run/spire", "/var/lib/kubelets"])
def test_other_folders_of_the_node_are_let_in(pod, enabled, settings, path) -> None:
    assert isinstance(inject(pod(**mounting(path)), enabled, settings), Injection)


def test_a_volume_that_nobody_mounts_shows_nothing(pod, enabled, settings) -> None:
    spec = {**mounting("/"), "containers": [container()]}
    assert isinstance(inject(pod(**spec), enabled, settings), Injection)


@pytest.mark.parametrize("path", ["/proc", "/proc/1/root"])
def test_the_nodes_processes_are_for_containers_that_may_read_none_of_them(
    pod, enabled, settings, path
) -> None:
    assert inject(pod(**mounting(path)), enabled, settings).reason is Reason.NODE_REACHED
    assert isinstance(inject(pod(**mounting(path, CONFINED)), enabled, settings), Injection)
    assert inject(pod(**mounting(path, CONFINED)), SHARED_UIDS, settings).reason is Reason.NODE_REACHED


def test_an_ephemeral_container_is_held_to_the_same(pod, enabled, settings) -> None:
    spec = {**mounting("/"), "containers": [container()]}
    became = inject(pod(**spec), enabled, settings)
    assert isinstance(became, Injection)
    for more in (
        {"securityContext": {"privileged": True}},
        {"volumeMounts": [{"name": "node", "mountPath": "/n"}]},
    ):
        after = unshared(became.pod)
        after["spec"]["ephemeralContainers"] = [{"name": "debugger", **more}]
        refusal = admit_ephemeral(after, became.pod, enabled, settings)
        assert refusal.reason is Reason.NODE_REACHED
