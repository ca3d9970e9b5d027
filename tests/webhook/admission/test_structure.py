from __future__ import annotations

import pytest

from mesh.reasons import Reason
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Namespace, Refusal, Skipped
from webhook.admission.settings import Identity, IdentityVolume, InjectionSettings, Ports

IMPOSSIBLE = [
    ({"hostNetwork": True}, {}, Reason.HOST_NETWORK),
    ({"os": {"name": "windows"}}, {}, Reason.WINDOWS_POD),
    ({"nodeSelector": {"kubernetes.io/os": "windows"}}, {}, Reason.WINDOWS_POD),
    ({}, {"kubernetes.io/config.mirror": "abc"}, Reason.MIRROR_POD),
]


@pytest.mark.parametrize(("spec", "annotations", "reason"), IMPOSSIBLE)
def test_a_pod_that_cannot_have_a_sidecar_is_skipped_where_nobody_insists(
    pod, enabled, settings, spec, annotations, reason
) -> None:
    became = inject(pod(annotations=annotations, **spec), enabled, settings)
    assert (type(became), became.reason) == (Skipped, reason)


@pytest.mark.parametrize(("spec", "annotations", "reason"), IMPOSSIBLE)
def test_a_pod_that_cannot_have_a_sidecar_is_refused_where_it_is_required_or_asked_for(
    pod, enabled, required, settings, spec, annotations, reason
) -> None:
    became = inject(pod(annotations=annotations, **spec), required, settings)
    assert (type(became), became.reason) == (Refusal, reason)
    asking = pod(labels={"outrider.dev/inject": "true"}, annotations=annotations, **spec)
    assert inject(asking, enabled, settings).reason is reason


@pytest.mark.parametrize("capture", ["explicit", "transparent"])
@pytest.mark.parametrize(("spec", "annotations", "reason"), IMPOSSIBLE)
def test_a_pod_that_cannot_keep_the_sidecar_that_it_has_is_refused_and_not_left_with_it(
    pod, enabled, spec, annotations, reason, capture
) -> None:
    settings = InjectionSettings(defaults={"outrider.dev/capture": capture})
    first = inject(pod(), enabled, settings)
    assert isinstance(first, Injection)
    after = unshared(first.pod)  # another webhook has changed it, and we are called again
    after["spec"].update(spec)
    after["metadata"]["annotations"].update(annotations)
    became = inject(after, enabled, settings)
    assert (type(became), became.reason) == (Refusal, reason)


CONFINED = {"runAsNonRoot": True, "allowPrivilegeEscalation": False}


def container(**more):
    return {"name": "agent", "image": "agent:1", **more}


def variable_of(volume):
    return {"name": "X", "valueFrom": {"fileKeyRef": {"volumeName": volume, "path": "x", "key": "X"}}}


CONFLICTS = [
    ({"containers": [container(securityContext={"runAsUser": 1774})]}, Reason.SIDECAR_UID),
    ({"securityContext": {"runAsUser": 1774}}, Reason.SIDECAR_UID),
    (
        {"initContainers": [{"name": "seed", "securityContext": {"runAsUser": 1774}}]},
        Reason.SIDECAR_UID,
    ),
    (
        {"ephemeralContainers": [{"name": "debug", "securityContext": {"runAsUser": 1774}}]},
        Reason.SIDECAR_UID,
    ),
    (
        {
            "containers": [container(volumeMounts=[{"name": "outrider-identity", "mountPath": "/x"}])],
            "volumes": [{"name": "outrider-identity", "csi": {"driver": "csi.spiffe.io"}}],
        },
        Reason.RESERVED_VOLUME,
    ),
    ({"containers": [container(volumeDevices=[{"name": "outrider-tmp"}])]}, Reason.RESERVED_VOLUME),
    # A variable may come from a file of a volume that the container does not mount (Kubernetes 1.34).
    ({"initContainers": [container(env=[variable_of("outrider-tmp")])]}, Reason.RESERVED_VOLUME),
    ({"containers": [container(env=[variable_of("outrider-trust")])]}, Reason.RESERVED_VOLUME),
    ({"containers": [container(ports=[{"containerPort": 15002}])]}, Reason.SIDECAR_PORT),
    ({"containers": [container(ports=[{"containerPort": 15001, "protocol": "TCP"}])]}, Reason.SIDECAR_PORT),
    ({"containers": [{"name": "outrider-sidecar", "image": "mine"}]}, Reason.RESERVED_NAME),
    ({"shareProcessNamespace": True}, Reason.SHARED_PROCESSES),
    ({"hostPID": True}, Reason.SHARED_PROCESSES),
    (
        {"shareProcessNamespace": True, "containers": [container(securityContext={"runAsUser": 0})]},
        Reason.SHARED_PROCESSES,
    ),
    (
        {
            "shareProcessNamespace": True,
            "securityContext": {"runAsNonRoot": True},
            "containers": [container(securityContext={"capabilities": {"add": ["CAP_SYS_PTRACE"]}})],
        },
        Reason.SHARED_PROCESSES,
    ),
    (
        {
            "shareProcessNamespace": True,
            "securityContext": {"runAsUser": 1000},
            "containers": [container(securityContext={"privileged": True})],
        },
        Reason.SHARED_PROCESSES,
    ),
    (
        {
            "shareProcessNamespace": True,
            "securityContext": {"runAsNonRoot": True},
            "containers": [container(securityContext={"runAsNonRoot": False})],
        },
        Reason.SHARED_PROCESSES,
    ),
    # Its image may hold a setuid program of the sidecar's user.
    (
        {
            "shareProcessNamespace": True,
            "containers": [container(securityContext={"runAsUser": 1000})],
        },
        Reason.SHARED_PROCESSES,
    ),
    (
        {
            "shareProcessNamespace": True,
            "containers": [container(securityContext={"runAsUser": 1000, "allowPrivilegeEscalation": True})],
        },
        Reason.SHARED_PROCESSES,
    ),
]


@pytest.mark.parametrize(("spec", "reason"), CONFLICTS)
def test_a_pod_that_would_defeat_its_sidecar_is_refused_whoever_asked(
    pod, enabled, settings, spec, reason
) -> None:
    became = inject(pod(**spec), enabled, settings)
    assert isinstance(became, Refusal)
    assert became.reason is reason
    assert reason.sentence in became.sentence


HARMLESS = [
    {
        "containers": [
            container(env=[variable_of("scratch"), {"name": "Y", "valueFrom": {"fileKeyRef": "x"}}])
        ]
    },
    {"containers": [container(securityContext={"runAsUser": 1000})]},
    {
        "securityContext": {"runAsUser": 1774},
        "containers": [container(securityContext={"runAsUser": 1000})],
    },
    {"containers": [container(ports=[{"containerPort": 15002, "protocol": "UDP"}])]},
    {
        "shareProcessNamespace": True,
        "securityContext": {"runAsUser": 1000},
        "containers": [container(securityContext={"allowPrivilegeEscalation": False})],
    },
    {"shareProcessNamespace": True, "containers": [container(securityContext=CONFINED)]},
    {"hostNetwork": False, "os": {"name": "linux"}, "nodeSelector": {"kubernetes.io/os": "linux"}},
    {"initContainers": None, "volumes": None, "securityContext": None, "nodeSelector": None, "os": None},
]


@pytest.mark.parametrize("spec", HARMLESS)
def test_what_only_looks_like_a_conflict_is_injected(pod, enabled, settings, spec) -> None:
    assert isinstance(inject(pod(**spec), enabled, settings), Injection)


def test_every_conflict_is_told_at_once_with_its_container(pod, required, settings) -> None:
    broken = pod(
        hostNetwork=True,
        containers=[
            container(
                securityContext={"runAsUser": 1774},
                ports=[{"containerPort": 15020}],
                env=[{"name": "HTTP_PROXY", "value": "http://corp:3128"}],
            ),
            {"name": "other", "ports": [{"containerPort": 15443}]},
        ],
        annotations={"outrider.dev/guardrails": "pii=off"},
    )
    refusal = inject(broken, required, settings)
    assert isinstance(refusal, Refusal)
    assert {problem.reason for problem in refusal.problems} == {
        Reason.HOST_NETWORK,
        Reason.SIDECAR_UID,
        Reason.SIDECAR_PORT,
        Reason.PROXY_CONFLICT,
        Reason.ANNOTATION_INVALID,
    }
    assert "container agent, port 15020; container other, port 15443: " in refusal.sentence


def test_shared_processes_that_are_allowed_are_warned_of(pod, enabled, settings) -> None:
    spec = {"shareProcessNamespace": True, "containers": [container(securityContext=CONFINED)]}
    assert any("shared processes" in warning for warning in inject(pod(**spec), enabled, settings).warnings)


def test_an_application_that_mounts_the_workload_api_itself_is_warned_of(pod, enabled, settings) -> None:
    spec = {
        "containers": [container(volumeMounts=[{"name": "spiffe", "mountPath": "/spiffe"}])],
        "volumes": [{"name": "spiffe", "csi": {"driver": "csi.spiffe.io", "readOnly": True}}],
    }
    (warning,) = inject(pod(**spec), enabled, settings).warnings
    assert warning.startswith("container agent mounts csi.spiffe.io itself")


def test_with_uids_given_by_the_cluster_none_is_asked_for_and_shared_processes_are_refused(
    pod, settings
) -> None:
    namespace = Namespace(
        "agents", {"outrider.dev/injection": "enabled"}, {"openshift.io/sa.scc.uid-range": "1000700000/10000"}
    )
    injected = inject(pod(), namespace, settings)
    context = injected.pod["spec"]["initContainers"][0]["securityContext"]
    assert "runAsUser" not in context
    assert context["runAsNonRoot"] is True
    shared = pod(shareProcessNamespace=True, securityContext={"runAsNonRoot": True})
    assert inject(shared, namespace, settings).reason is Reason.SHARED_PROCESSES


def test_uid_and_ports_of_the_platform_are_the_reserved_ones(pod, enabled) -> None:
    settings = InjectionSettings(uid=2000, ports=Ports(forward=16002))
    assert inject(pod(securityContext={"runAsUser": 1774}), enabled, settings).reason is Reason.INJECTED
    assert inject(pod(securityContext={"runAsUser": 2000}), enabled, settings).reason is Reason.SIDECAR_UID
    declares = pod(containers=[container(ports=[{"containerPort": 16002}])])
    assert inject(declares, enabled, settings).reason is Reason.SIDECAR_PORT


MALFORMED = [
    {},
    [],
    None,
    {"metadata": {}, "spec": {}},
    {"metadata": {}, "spec": {"containers": []}},
    {"spec": {"containers": [{"name": "a"}]}},
    {"metadata": {"labels": {"a": 1}}, "spec": {"containers": [{"name": "a"}]}},
    {"metadata": {"annotations": []}, "spec": {"containers": [{"name": "a"}]}},
    {"metadata": {}, "spec": {"containers": [{"image": "no name"}]}},
    {"metadata": {}, "spec": {"containers": [{"name": "a", "env": [{"value": "x"}]}]}},
    {"metadata": {}, "spec": {"containers": [{"name": "a", "ports": [{}]}]}},
    {"metadata": {}, "spec": {"containers": [{"name": "a"}], "volumes": [{}]}},
    {"metadata": {}, "spec": {"containers": [{"name": "a"}], "hostNetwork": "yes"}},
    {"metadata": {}, "spec": {"containers": [{"name": "a", "securityContext": {"runAsUser": True}}]}},
    {"metadata": {}, "spec": "x"},
    {"metadata": {}, "spec": None},
    {"metadata": "\ud800", "spec": {"containers": [{"name": "a"}]}},
    {"metadata": {}, "spec": {"containers": [{"name": "a\ud800"}]}},
    {"metadata": {}, "spec": {"containers": [{"name": "a"}], "unknown": "\ud800"}},
    {"metadata": {}, "spec": {"containers": [{"name": "a"}], None: 1}},
]


@pytest.mark.parametrize("document", MALFORMED)
def test_what_is_no_pod_is_refused_with_the_place(enabled, settings, document) -> None:
    became = inject(document, enabled, settings)
    assert (type(became), became.reason) == (Refusal, Reason.POD_MALFORMED)
    assert became.problems[0].detail


@pytest.mark.parametrize(
    ("path", "reaches"),
    [
        ("/run/spire/agent-sockets", True),
        ("/run/spire/agent-sockets/", True),
        ("/run/spire/agent-sockets/spire-agent.sock", True),
        ("/var/run/spire", True),
        ("/run//spire/../spire", True),
        ("/run", True),
        ("/", True),
        ("//", True),
        ("/run/spire/agent-sockets-of-another", False),
        ("/run/spires", False),
        ("/var/log", False),
        ("/var", False),
        (None, False),
    ],
)
def test_a_folder_of_the_node_that_holds_the_workload_api_is_warned_of(pod, enabled, path, reaches) -> None:
    spec = {
        "volumes": [
            {"name": "node", "hostPath": {"path": path}},
            {"name": "other", "hostPath": {"path": "/"}},
        ],
        "containers": [{"name": "agent", "volumeMounts": [{"name": "node", "mountPath": "/node"}]}],
    }
    outcome = inject(pod(**spec), enabled, InjectionSettings(allow=frozenset({"host-paths"})))
    assert isinstance(outcome, Injection)
    expected = "container agent mounts the node's SPIRE socket itself and can act without its sidecar"
    assert list(outcome.warnings) == ([expected] if reaches else [])


def test_the_platform_says_where_the_workload_api_is_on_the_node(pod, enabled) -> None:
    settings = InjectionSettings(identity=Identity(IdentityVolume.HOST_PATH, host_path="/opt/spire/sockets"))
    spec = {
        "volumes": [{"name": "node", "hostPath": {"path": "/opt/spire"}}],
        "containers": [{"name": "agent", "volumeMounts": [{"name": "node", "mountPath": "/node"}]}],
    }
    (warning,) = inject(pod(**spec), enabled, settings).warnings
    assert "mounts the node's SPIRE socket" in warning
