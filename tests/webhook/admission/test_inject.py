"""Properties that hold for every pod: injection settles at once, its patch is exact, and nothing of the user is
lost."""

from __future__ import annotations

import copy
import json

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from mesh.settings.placeholders import PLACEHOLDER
from mesh.settings.table import RESERVED_CONTAINERS, RESERVED_VOLUMES, SIDECAR_CONTAINER
from tests.support import json_patch
from tests.support.pods import PROXY, clean_pods, pods
from tests.support.pods import settings as settings_of_platforms
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Refusal, Skipped
from webhook.admission.settings import InjectionSettings
from webhook.admission.strip import is_injected, uninject

NAMESPACE = Namespace("agents", {"outrider.dev/injection": "required"})
LOCKED = Namespace(
    "locked", {"outrider.dev/injection": "required", "pod-security.kubernetes.io/enforce": "restricted"}
)


def sidecar_in(pod):
    return next(one for one in every(pod) if one["name"] == SIDECAR_CONTAINER)


def every(pod) -> list:
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


def authors(pod, kind) -> list:
    return [one for one in pod["spec"].get(kind) or [] if one["name"] not in RESERVED_CONTAINERS]


@given(pods, settings_of_platforms, st.sampled_from([NAMESPACE, LOCKED]))
def test_injection_settles_at_once_and_its_patch_is_exact(pod, settings, namespace) -> None:
    before = copy.deepcopy(pod)
    became = inject(pod, namespace, settings)
    assert pod == before
    if isinstance(became, Refusal):
        assert became.problems
        return
    assert isinstance(became, Injection)
    assert jsonpatch.apply_patch(pod, became.patch) == became.pod
    assert json_patch.apply(became.patch, pod) == became.pod
    json.dumps(became.pod)
    again = inject(became.pod, namespace, settings)
    assert isinstance(again, Injection)
    assert again.pod == became.pod
    assert again.patch == []
    assert again.warnings == became.warnings


@given(clean_pods, settings_of_platforms, settings_of_platforms)
def test_a_pod_that_was_injected_with_other_settings_comes_out_as_if_it_were_new(pod, one, other) -> None:
    before, fresh = inject(pod, NAMESPACE, one), inject(pod, NAMESPACE, other)
    if isinstance(before, Injection):
        again = inject(before.pod, NAMESPACE, other)
        assert type(again) is type(fresh)
        if isinstance(again, Injection):
            assert again.pod == fresh.pod
            assert json_patch.apply(again.patch, before.pod) == again.pod


@given(clean_pods, settings_of_platforms)
def test_uninjecting_gives_back_what_was_there(pod, settings) -> None:
    became = inject(pod, NAMESPACE, settings)
    if isinstance(became, Injection):
        left = copy.deepcopy(became.pod)
        assert is_injected(left)
        uninject(left, settings)
        assert left == pod
        assert not is_injected(left)


@given(pods, settings_of_platforms, st.booleans())
def test_what_another_webhook_adds_after_us_stays_and_is_covered(pod, settings, init) -> None:
    became = inject(pod, NAMESPACE, settings)
    if not isinstance(became, Injection):
        return
    changed = copy.deepcopy(became.pod)
    late = {
        "name": "late",
        "image": "y:2",
        "securityContext": {"runAsUser": 1000},
        "livenessProbe": {"grpc": {"port": 7}},
        "env": [{"name": "LATE", "value": "1"}],
        "volumeMounts": [{"name": "late", "mountPath": "/late"}],
    }
    spec = changed["spec"]
    place = "initContainers" if init else "containers"
    spec[place] = [*(spec.get(place) or []), late]
    spec["containers"][-1].setdefault("env", []).append({"name": "ADDED", "value": "2"})
    spec["volumes"].insert(0, {"name": "late", "emptyDir": {}})
    changed["metadata"]["annotations"]["late.dev/x"] = "y"
    sidecar = sidecar_in(changed)
    sidecar["volumeMounts"].append({"name": "kube-api-access", "mountPath": "/var/run/secrets"})
    sidecar["terminationMessagePath"] = "/dev/termination-log"
    again = inject(changed, NAMESPACE, settings)
    assert isinstance(again, Injection)
    assert json_patch.apply(again.patch, changed) == again.pod
    covered = next(one for one in every(again.pod) if one["name"] == "late")
    assert covered["volumeMounts"][0] == {"name": "late", "mountPath": "/late"}
    assert {"name": "LATE", "value": "1"} in covered["env"]
    assert {"name": "late", "emptyDir": {}} in again.pod["spec"]["volumes"]
    last = authors(again.pod, "containers")[-1]
    assert {"name": "ADDED", "value": "2"} in last["env"]
    assert again.pod["metadata"]["annotations"]["late.dev/x"] == "y"
    assert sidecar_in(again.pod) == sidecar_in(became.pod) or again.status["capture"] == "transparent"
    if became.status["capture"] == "explicit":
        assert {"name": "HTTP_PROXY", "value": PROXY} in covered["env"]
    else:
        assert covered["livenessProbe"]["httpGet"]["path"] == "/app-health/late/liveness"
    mounted = any(mount["name"] == "outrider-trust" for mount in covered["volumeMounts"])
    assert mounted == (became.status["settings"]["interception"]["value"] == "on")
    settled = inject(again.pod, NAMESPACE, settings)
    assert isinstance(settled, Injection)
    assert settled.patch == []


def cleaned(pod):
    """`pod` without what it brings under our names."""
    clean = copy.deepcopy(pod)
    spec, metadata = clean["spec"], clean["metadata"]
    for kind in ("initContainers", "containers"):
        if spec.get(kind) and authors(clean, kind) != spec[kind]:
            spec[kind] = authors(clean, kind)
            if not spec[kind]:
                del spec[kind]
    if spec.get("volumes"):
        kept = [one for one in spec["volumes"] if one["name"] not in RESERVED_VOLUMES]
        spec["volumes"] = kept
        if not kept:
            del spec["volumes"]
    for key in ("outrider.dev/status",):
        (metadata.get("annotations") or {}).pop(key, None)
    return clean


@given(pods, settings_of_platforms, st.sampled_from([NAMESPACE, LOCKED]))
def test_what_a_pod_declares_under_our_names_changes_nothing(pod, settings, namespace) -> None:
    said = json.dumps(every(pod))
    if "app-health" in said or '"outrider-hidden-' in said:
        return  # a forged store says what such a probe or variable was
    if "added" in str((pod["metadata"].get("annotations") or {}).get("outrider.dev/status")):
        return  # a forged status says what such an annotation was
    with_ours, without = (
        inject(pod, namespace, settings),
        inject(cleaned(pod), namespace, settings),
    )
    assert type(with_ours) is type(without)
    if isinstance(with_ours, Injection) and isinstance(without, Injection):
        assert with_ours.pod == without.pod


@given(pods, settings_of_platforms)
def test_a_pod_that_is_let_in_has_the_sidecar_in_its_place_and_nobody_else_has_its_volumes(
    pod, settings
) -> None:
    became = inject(pod, NAMESPACE, settings)
    if not isinstance(became, Injection):
        return
    spec = became.pod["spec"]
    transparent = became.status["capture"] == "transparent"
    assert [one["name"] for one in every(became.pod)].count(SIDECAR_CONTAINER) == 1
    if settings.native:
        ours = spec["initContainers"][int(transparent)]
        assert ours["restartPolicy"] == "Always"
    else:
        ours = spec["containers"][0]
        assert "restartPolicy" not in ours
    assert (ours["name"], ours["image"]) == (SIDECAR_CONTAINER, settings.image)
    assert (every(became.pod)[0]["name"] == "outrider-redirect") == transparent
    for one in authors(became.pod, "containers") + authors(became.pod, "initContainers"):
        mounted = {mount["name"] for mount in one.get("volumeMounts") or []}
        assert mounted & RESERVED_VOLUMES <= {"outrider-trust"}
    assert became.pod["metadata"]["labels"]["outrider.dev/injected"] == "true"


@given(pods, settings_of_platforms)
def test_a_hidden_secret_reaches_no_container_but_the_sidecar(pod, settings) -> None:
    became = inject(pod, NAMESPACE, settings)
    if not isinstance(became, Injection):
        return
    volumes = {one["name"]: one for one in became.pod["spec"]["volumes"]}
    if "outrider-hidden-secrets" not in volumes:
        return
    sources = [one["secret"] for one in volumes["outrider-hidden-secrets"]["projected"]["sources"]]
    for kind in ("containers", "initContainers"):
        for one in authors(became.pod, kind):
            for variable in one.get("env") or []:
                reference = (variable.get("valueFrom") or {}).get("secretKeyRef") or {}
                taken = (reference.get("name"), reference.get("key"))
                assert taken not in [(each["name"], each["items"][0]["key"]) for each in sources]


ADDED = frozenset({"env", "volumeMounts", "livenessProbe", "readinessProbe", "lifecycle"})


@given(pods, settings_of_platforms)
def test_nothing_that_the_user_wrote_is_lost(pod, settings) -> None:
    became = inject(pod, NAMESPACE, settings)
    if not isinstance(became, Injection):
        return
    left = copy.deepcopy(became.pod)
    spec, metadata = left["spec"], left["metadata"]
    for kind in ("containers", "initContainers"):
        for kept, own in zip(authors(left, kind), authors(pod, kind), strict=True):
            names = {variable["name"] for variable in kept.get("env") or []}
            fakes = [one for one in own.get("env") or [] if str(one.get("value")).startswith(PLACEHOLDER)]
            assert {one["name"] for one in own.get("env") or [] if one not in fakes} <= names
            assert {key: value for key, value in kept.items() if key not in ADDED} == {
                key: value for key, value in own.items() if key not in ADDED
            }
            data = {"name": "data", "mountPath": "/data"}
            assert (data in (own.get("volumeMounts") or [])) == (data in (kept.get("volumeMounts") or []))
    volumes = [one for one in spec["volumes"] if one["name"] not in RESERVED_VOLUMES]
    assert volumes == [one for one in pod["spec"].get("volumes") or [] if one["name"] not in RESERVED_VOLUMES]
    for key in ("priorityClassName", "shareProcessNamespace", "automountServiceAccountToken"):
        assert spec.get(key) == pod["spec"].get(key)
    assert (pod["metadata"].get("labels") or {}).items() <= metadata["labels"].items()
    written = pod["metadata"].get("annotations") or {}
    own = {name: value for name, value in written.items() if name not in REWRITTEN}
    assert own.items() <= metadata["annotations"].items()
    assert metadata.get("ownerReferences") == pod["metadata"].get("ownerReferences")


REWRITTEN = {
    "outrider.dev/status",
    "kubectl.kubernetes.io/default-container",
    "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes",
}


@given(pods, settings_of_platforms)
def test_uninjecting_and_injecting_again_comes_to_the_same_pod(pod, settings) -> None:
    became = inject(pod, NAMESPACE, settings)
    if not isinstance(became, Injection):
        return
    left = copy.deepcopy(became.pod)
    assert is_injected(left)
    uninject(left, settings)
    assert not is_injected(left)
    again = inject(left, NAMESPACE, settings)
    assert isinstance(again, Injection)
    assert sidecar_in(again.pod) == sidecar_in(became.pod)
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
    assert isinstance(inject(document, NAMESPACE, InjectionSettings()), Injection | Refusal | Skipped)


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
