"""Properties that hold for every pod: injection settles at once, its patch is exact, and nothing of the user is
lost."""

from __future__ import annotations

import copy
import json

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from mesh.settings.table import RESERVED_VOLUMES, SIDECAR_CONTAINER
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Namespace, Refusal, Skipped
from webhook.admission.settings import InjectionSettings
from webhook.admission.strip import is_injected, uninject

NAMESPACE = Namespace("agents", {"outrider.dev/injection": "required"})
SETTINGS = InjectionSettings(image_pull_secrets=("registry",))
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
        ]
    ),
    max_size=3,
)
mounts = st.lists(
    st.sampled_from(["data", "outrider-identity"]).map(lambda name: {"name": name, "mountPath": f"/{name}"}),
    max_size=1,
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
            "securityContext": st.sampled_from([None, {"runAsUser": 1000}, {"runAsUser": 1774}]),
            "stdin": st.booleans(),
        },
    )
    named = st.lists(one, min_size=least, max_size=3)
    return named.map(lambda all_: [{"name": f"{prefix}{place}", **each} for place, each in enumerate(all_)])


forged = st.just([{"name": SIDECAR_CONTAINER, "image": "forged", "env": [{"name": "X", "value": "y"}]}])
pods = st.builds(
    lambda metadata, spec: unshared({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}),
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.just("triage"),
            "generateName": st.just("triage-"),
            "labels": st.none() | st.dictionaries(st.sampled_from(["app", "x/y"]), st.just("v"), max_size=2),
            "annotations": st.none()
            | st.dictionaries(
                st.sampled_from(["a/b", "outrider.dev/cpu", "outrider.dev/status"]),
                st.just("70m"),
                max_size=3,
            ),
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


@given(pods)
def test_injection_settles_at_once_and_its_patch_is_exact(pod) -> None:
    before = copy.deepcopy(pod)
    became = inject(pod, NAMESPACE, SETTINGS)
    assert pod == before
    if isinstance(became, Refusal):
        assert became.problems
        return
    assert isinstance(became, Injection)
    assert jsonpatch.apply_patch(pod, became.patch) == became.pod
    json.dumps(became.pod)
    again = inject(became.pod, NAMESPACE, SETTINGS)
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
    changed["spec"]["containers"].append({"name": "late", "securityContext": {"runAsUser": 1000}})
    sidecar = changed["spec"]["initContainers"][0]
    sidecar["volumeMounts"].append({"name": "kube-api-access", "mountPath": "/var/run/secrets"})
    sidecar["terminationMessagePath"] = "/dev/termination-log"
    again = inject(changed, NAMESPACE, SETTINGS)
    assert isinstance(again, Injection)
    late = again.pod["spec"]["containers"][-1]
    assert {"name": "HTTP_PROXY", "value": PROXY} in late["env"]
    assert again.pod["spec"]["initContainers"][0] == became.pod["spec"]["initContainers"][0]


@given(pods)
def test_nothing_that_the_user_wrote_is_lost(pod) -> None:
    became = inject(pod, NAMESPACE, SETTINGS)
    if not isinstance(became, Injection):
        return
    left = copy.deepcopy(became.pod)
    spec, metadata = left["spec"], left["metadata"]
    for kind in ("containers", "initContainers"):
        mine = [one for one in spec[kind] if one["name"] != SIDECAR_CONTAINER]
        written = [one for one in pod["spec"].get(kind) or [] if one["name"] != SIDECAR_CONTAINER]
        for kept, own in zip(mine, written, strict=True):
            names = {variable["name"] for variable in kept["env"]}
            assert {variable["name"] for variable in own.get("env") or []} <= names
            assert {key: value for key, value in kept.items() if key != "env"} == {
                key: value for key, value in own.items() if key != "env"
            }
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
    assert "outrider" not in json.dumps({**left, "metadata": {**left["metadata"], "annotations": None}})
    again = inject(left, NAMESPACE, SETTINGS)
    assert isinstance(again, Injection)
    assert again.pod["spec"]["initContainers"][0] == became.pod["spec"]["initContainers"][0]
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
