"""Properties that hold for every pod: injection settles at once, its patch is exact, and nothing of the user is
lost."""

from __future__ import annotations

import copy
import json

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from mesh.settings.table import RESERVED_CONTAINERS, RESERVED_VOLUMES, SIDECAR_CONTAINER
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Namespace, Refusal, Skipped
from webhook.admission.permission import PERMISSIONS
from webhook.admission.settings import InjectionSettings
from webhook.admission.strip import is_injected, uninject

NAMESPACE = Namespace("agents", {"outrider.dev/injection": "required"})
LOCKED = Namespace(
    "locked", {"outrider.dev/injection": "required", "pod-security.kubernetes.io/enforce": "restricted"}
)
SETTINGS = InjectionSettings(image_pull_secrets=("registry",), allow=PERMISSIONS - {"exclude-outbound-cidrs"})
PROXY = "http://127.0.0.1:15002"

env = st.lists(
    st.sampled_from(
        [
            {"name": "LANG", "value": "C"},
            {"name": "NO_PROXY", "value": "corp, localhost"},
            {"name": "no_proxy", "value": "10.0.0.0/8"},
            {"name": "HTTP_PROXY", "value": PROXY},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "http_proxy", "value": "http://corp:3128"},
            {"name": "SSL_CERT_FILE", "value": "/etc/ssl/certs/ca-certificates.crt"},
            {"name": "SSL_CERT_FILE", "value": "/own.pem"},
            {"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx1g"},
        ]
    ),
    max_size=3,
)
mounts = st.lists(
    st.sampled_from(
        [
            {"name": "data", "mountPath": "/data"},
            {"name": "outrider-identity", "mountPath": "/outrider-identity"},
            {"name": "outrider-trust", "mountPath": "/run/outrider/trust", "readOnly": True},
            {"name": "outrider-trust", "mountPath": "/mine"},
        ]
    ),
    max_size=1,
)
probes = st.sampled_from(
    [
        None,
        {"httpGet": {"path": "/x", "port": 9000, "host": None}, "timeoutSeconds": 2},
        {"httpGet": {"path": "/app-health/app0/liveness", "port": 15020}},
        {"httpGet": {"path": "/app-health/app0/liveness", "port": 8080}},
        {"tcpSocket": {"port": "9000"}},
        {"grpc": {"port": 9000}, "periodSeconds": 1},
        {"exec": {"command": ["true"]}},
        {"tcpSocket": {"port": "nowhere"}},
    ]
)


def containers(prefix: str, least: int):
    one = st.fixed_dictionaries(
        {"image": st.just("x:1")},
        optional={
            "env": st.none() | env,
            "volumeMounts": st.none() | mounts,
            "ports": st.lists(
                st.sampled_from([9000, 8080, 15443]).map(lambda p: {"containerPort": p}), max_size=2
            ),
            "securityContext": st.sampled_from(
                [None, {"runAsUser": 1000}, {"runAsUser": 1774}, {"capabilities": {"add": ["NET_RAW"]}}]
            ),
            "livenessProbe": probes,
            "lifecycle": st.none() | st.fixed_dictionaries({"preStop": probes}),
            "stdin": st.booleans(),
        },
    )
    named = st.lists(one, min_size=least, max_size=3)
    return named.map(lambda all_: [{"name": f"{prefix}{place}", **each} for place, each in enumerate(all_)])


STORED = json.dumps({"app0/liveness": {"httpGet": {"port": 9000}, "port": 1, "timeoutSeconds": 1}})
forged = st.sampled_from(
    [
        [{"name": SIDECAR_CONTAINER, "image": "forged", "env": [{"name": "X", "value": "y"}]}],
        [{"name": SIDECAR_CONTAINER, "env": [{"name": "OUTRIDER_APPLICATION_PROBES", "value": STORED}]}],
        [{"name": "outrider-redirect", "image": "forged", "command": ["true"]}],
    ]
)
annotations = st.fixed_dictionaries(
    {},
    optional={
        "a/b": st.just("70m"),
        "outrider.dev/cpu": st.just("70m"),
        "outrider.dev/status": st.just("70m"),
        "outrider.dev/capture": st.sampled_from(["auto", "transparent", "explicit"]),
        "outrider.dev/interception": st.sampled_from(["on", "off"]),
        "outrider.dev/mtls": st.sampled_from(["strict", "permissive"]),
        "outrider.dev/exclude-inbound-ports": st.sampled_from(["", "9000", "1, 2"]),
        "outrider.dev/exclude-outbound-cidrs": st.sampled_from(["", "10.0.0.0/8"]),
    },
)
pods = st.builds(
    lambda metadata, spec: unshared({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}),
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.just("triage"),
            "generateName": st.just("triage-"),
            "labels": st.none() | st.dictionaries(st.sampled_from(["app", "x/y"]), st.just("v"), max_size=2),
            "annotations": st.none() | annotations,
            "ownerReferences": st.just([{"kind": "ReplicaSet", "name": "r", "uid": "u"}]),
        },
    ),
    st.fixed_dictionaries(
        {"containers": containers("app", 1)},
        optional={
            "initContainers": st.none() | containers("init", 0) | forged,
            "volumes": st.none()
            | st.just([{"name": "data", "emptyDir": {}}])
            | st.just(
                [{"name": "outrider-tmp", "hostPath": {"path": "/"}}, {"name": "data", "emptyDir": {}}]
            ),
            "imagePullSecrets": st.just([{"name": "own"}]),
            "shareProcessNamespace": st.booleans(),
            "priorityClassName": st.just("high"),
        },
    ),
)


def after_the_step(pod) -> list:
    """The init containers from the sidecar on."""
    init = pod["spec"]["initContainers"]
    return init[1:] if init[0]["name"] == "outrider-redirect" else init


@given(pods, st.sampled_from([NAMESPACE, LOCKED]))
def test_injection_settles_at_once_and_its_patch_is_exact(pod, namespace) -> None:
    before = copy.deepcopy(pod)
    became = inject(pod, namespace, SETTINGS)
    assert pod == before
    if isinstance(became, Refusal):
        assert became.problems
        return
    assert isinstance(became, Injection)
    assert jsonpatch.apply_patch(pod, became.patch) == became.pod
    json.dumps(became.pod)
    again = inject(became.pod, namespace, SETTINGS)
    assert isinstance(again, Injection)
    assert again.pod == became.pod
    assert again.patch == []
    assert again.warnings == became.warnings


@given(pods)
def test_a_container_added_after_us_is_covered_when_we_are_called_again(pod) -> None:
    became = inject(pod, NAMESPACE, SETTINGS)
    if not isinstance(became, Injection):
        return
    changed = copy.deepcopy(became.pod)
    late = {"name": "late", "securityContext": {"runAsUser": 1000}, "livenessProbe": {"grpc": {"port": 7}}}
    changed["spec"]["containers"].append(late)
    sidecar = after_the_step(changed)[0]
    sidecar["volumeMounts"].append({"name": "kube-api-access", "mountPath": "/var/run/secrets"})
    sidecar["terminationMessagePath"] = "/dev/termination-log"
    again = inject(changed, NAMESPACE, SETTINGS)
    assert isinstance(again, Injection)
    covered = again.pod["spec"]["containers"][-1]
    if became.status["capture"] == "explicit":
        assert {"name": "HTTP_PROXY", "value": PROXY} in covered["env"]
        assert after_the_step(again.pod)[0] == after_the_step(became.pod)[0]
    else:
        assert covered["livenessProbe"]["httpGet"]["path"] == "/app-health/late/liveness"
    mounted = any(mount["name"] == "outrider-trust" for mount in covered.get("volumeMounts") or ())
    assert mounted == (became.status["settings"]["interception"]["value"] == "on")


@given(pods, st.sampled_from([NAMESPACE, LOCKED]))
def test_what_a_pod_declares_under_our_names_changes_nothing(pod, namespace) -> None:
    clean = copy.deepcopy(pod)
    init = [
        one for one in clean["spec"].get("initContainers") or [] if one["name"] not in RESERVED_CONTAINERS
    ]
    clean["spec"]["initContainers"] = init
    if any("app-health" in json.dumps(one) for one in pod["spec"]["containers"]):
        return  # a forged store says what such a probe was
    with_ours, without = inject(pod, namespace, SETTINGS), inject(clean, namespace, SETTINGS)
    assert type(with_ours) is type(without)
    if isinstance(with_ours, Injection) and isinstance(without, Injection):
        assert with_ours.pod == without.pod
        names = [one["name"] for one in with_ours.pod["spec"]["initContainers"]]
        transparent = with_ours.status["capture"] == "transparent"
        assert names[: 1 + transparent] == ["outrider-redirect", SIDECAR_CONTAINER][1 - transparent :]


ADDED = frozenset({"env", "volumeMounts", "livenessProbe", "lifecycle"})


@given(pods)
def test_nothing_that_the_user_wrote_is_lost(pod) -> None:
    became = inject(pod, NAMESPACE, SETTINGS)
    if not isinstance(became, Injection):
        return
    left = copy.deepcopy(became.pod)
    spec, metadata = left["spec"], left["metadata"]
    for kind in ("containers", "initContainers"):
        mine = [one for one in spec[kind] if one["name"] not in RESERVED_CONTAINERS]
        written = [one for one in pod["spec"].get(kind) or [] if one["name"] not in RESERVED_CONTAINERS]
        for kept, own in zip(mine, written, strict=True):
            names = {variable["name"] for variable in kept.get("env") or []}
            assert {variable["name"] for variable in own.get("env") or []} <= names
            assert {key: value for key, value in kept.items() if key not in ADDED} == {
                key: value for key, value in own.items() if key not in ADDED
            }
            data = {"name": "data", "mountPath": "/data"}
            assert (data in (own.get("volumeMounts") or [])) == (data in (kept.get("volumeMounts") or []))
    volumes = [one for one in spec["volumes"] if one["name"] not in RESERVED_VOLUMES]
    assert volumes == [one for one in pod["spec"].get("volumes") or [] if one["name"] not in RESERVED_VOLUMES]
    for key in ("priorityClassName", "shareProcessNamespace"):
        assert spec.get(key) == pod["spec"].get(key)
    assert (pod["metadata"].get("labels") or {}).items() <= metadata["labels"].items()
    own = {k: v for k, v in (pod["metadata"].get("annotations") or {}).items() if k != "outrider.dev/status"}
    assert own.items() <= metadata["annotations"].items()
    assert metadata.get("ownerReferences") == pod["metadata"].get("ownerReferences")


@given(pods)
def test_uninjecting_and_injecting_again_comes_to_the_same_pod(pod) -> None:
    became = inject(pod, NAMESPACE, SETTINGS)
    if not isinstance(became, Injection):
        return
    left = copy.deepcopy(became.pod)
    assert is_injected(left)
    uninject(left, SETTINGS)
    assert not is_injected(left)
    said = json.dumps({**left, "metadata": {**left["metadata"], "annotations": None}})
    assert "outrider" not in said
    assert "15020" not in said or "15020" in json.dumps(pod)
    again = inject(left, NAMESPACE, SETTINGS)
    assert isinstance(again, Injection)
    assert after_the_step(again.pod)[0] == after_the_step(became.pod)[0]
    assert {one["name"] for one in again.pod["spec"]["volumes"]} == {
        one["name"] for one in became.pod["spec"]["volumes"]
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["metadata", "spec", "containers", "name", "env", "labels", "volumes", "securityContext"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_whatever_is_sent_in_place_of_a_pod_has_an_outcome(document) -> None:
    assert isinstance(inject(document, NAMESPACE, SETTINGS), Injection | Refusal | Skipped)


def test_warnings_fit_what_the_api_allows(pod, enabled, settings) -> None:
    long = pod(
        containers=[{"name": "agent", "env": [{"name": "NO_PROXY", "value": "a.example," * 40 + "b"}]}]
    )
    many = pod(containers=[{"name": "a", "env": [{"name": "NO_PROXY", "value": "x" * 200}]}])
    for one in (long, many):
        assert all(len(warning) <= 110 for warning in inject(one, enabled, settings).warnings)


def test_the_patch_of_a_plain_pod_adds_and_never_replaces(pod, enabled, settings) -> None:
    became = inject(pod(labels={"app": "x"}, initContainers=[{"name": "seed"}]), enabled, settings)
    assert {operation["op"] for operation in became.patch} == {"add"}
    assert any(operation["path"] == "/spec/initContainers/0" for operation in became.patch)
