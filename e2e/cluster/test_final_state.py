"""The ValidatingAdmissionPolicy on a real API server, while no webhook is called: somebody has deleted the webhook
configurations, which is what the policy is there for.

What admission decides about a pod is what the policy decides about it afterwards: a pod that must have a sidecar
is refused without one, and passes as admission makes it.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from helm_python import Chart

from e2e.cluster.api import STRATEGIC, ApiError
from e2e.cluster.conftest import remove_namespace
from e2e.cluster.helm import Helm
from e2e.cluster.installation import CHART, RELEASE, VALUES
from e2e.cluster.kube import Kube
from mesh.settings import installation as names
from mesh.settings import table
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Skipped
from webhook.admission.settings import InjectionSettings, NativeSidecars

Pod = dict[str, Any]
SETTINGS = InjectionSettings()
OTHERS = {"nodeSelector": {"nobody": "has-this"}}  # no pod of the control plane runs, and none is called
LABEL = table.NAMESPACE_INJECTION.name

NAMESPACES = {
    "unset": None,
    "enabled": "enabled",
    "required": "required",
    "disabled": "disabled",
    "odd": "Enabled",
}
POD_LABELS: tuple[dict[str, str], ...] = (
    {},
    {"outrider.dev/inject": "true"},
    {"outrider.dev/inject": "false"},
    {"outrider.dev/inject": "yes"},
    {"outrider.dev/inject": ""},
    {"rossoctl.io/inject": "disabled"},
    {"kagenti.io/inject": "disabled"},
    {"kagenti.io/inject": "enabled"},
    {"kagenti.io/inject": "disabled", "outrider.dev/inject": "true"},
)
SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "host network": {"hostNetwork": True},
    "Windows": {"os": {"name": "windows"}},
    "Windows by selector": {"nodeSelector": {"kubernetes.io/os": "windows"}},
}
# A pod that each binding refuses.
IN_FORCE: tuple[tuple[str, dict[str, str]], ...] = (
    ("odd", {}),
    ("unset", {"outrider.dev/inject": "yes"}),
    ("unset", {"outrider.dev/injected": "true"}),
)


def name_of(key: str) -> str:
    return f"final-state-{key}"


@pytest.fixture(scope="module")
def policy(kube: Kube) -> Iterator[Kube]:
    """The chart without its webhooks, and a namespace for each label."""
    helm = Helm(kube.kubeconfig, names.NAMESPACE)
    made = [name_of(key) for key in (*NAMESPACES, "late")]
    try:
        helm.install(CHART, RELEASE, {**VALUES, **OTHERS})
        kube.delete("MutatingWebhookConfiguration", names.INJECTOR)
        kube.delete("ValidatingWebhookConfiguration", names.VALIDATOR)
        for key, label in (*NAMESPACES.items(), ("late", None)):
            labels = {} if label is None else {LABEL: label}
            kube.create(
                {
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": {"name": name_of(key), "labels": labels},
                }
            )
        for name in made:
            kube.until(
                lambda name=name: kube.get("ServiceAccount", "default", name), f"{name} has its account"
            )  # type: ignore[misc]
        for key, labels in IN_FORCE:
            kube.until(
                lambda of=(key, labels): "outrider (" in refusal(kube, of[0], plain(of[1])), "it is in force"
            )  # type: ignore[misc]
        yield kube
    finally:
        for name in made:
            remove_namespace(kube, name)
        helm.uninstall(RELEASE)
        helm.close()
        kube.delete("Namespace", names.NAMESPACE)


def plain(labels: dict[str, str] | None = None, **spec: Any) -> Pod:
    containers = [{"name": "agent", "image": "registry.example/agent:1"}]
    init = [{"name": "first", "image": "registry.example/first:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "agent", "labels": labels or {}},
        "spec": {"containers": containers, "initContainers": init, **spec},
    }


def refusal(kube: Kube, key: str, pod: Pod) -> str:
    """What the API server says against creating `pod`; empty where it would."""
    try:
        kube.create(pod, namespace=name_of(key), dry_run=True)
    except ApiError as error:
        return error.message
    return ""


def namespace_of(key: str) -> Namespace:
    label = NAMESPACES.get(key)
    return Namespace(name_of(key), {} if label is None else {LABEL: label}, {})


def injected(annotations: dict[str, str] | None = None, settings: InjectionSettings = SETTINGS) -> Pod:
    pod = plain()
    pod["metadata"]["annotations"] = annotations or {}
    outcome = inject(pod, namespace_of("enabled"), settings)
    assert isinstance(outcome, Injection), outcome
    return json.loads(json.dumps(outcome.pod))  # type: ignore[no-any-return]


def sidecar(pod: Pod) -> dict[str, Any]:
    every = (*pod["spec"]["initContainers"], *pod["spec"]["containers"])
    (found,) = [one for one in every if one["name"] == table.SIDECAR_CONTAINER]
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("key", NAMESPACES)
def test_it_agrees_with_admission_about_every_pod(key, policy) -> None:
    for labels, (what, spec) in itertools.product(POD_LABELS, SPECS.items()):
        pod = plain(labels, **spec)
        outcome = inject(pod, namespace_of(key), SETTINGS)
        said = refusal(policy, key, pod)
        assert bool(said) is not isinstance(outcome, Skipped), (labels, what, outcome, said)
        assert not said or "outrider (" in said, said
        if isinstance(outcome, Injection):
            assert "sidecar_missing" in said
            assert not refusal(policy, key, json.loads(json.dumps(outcome.pod)))


@pytest.mark.parametrize(
    ("annotations", "settings"),
    [
        ({}, SETTINGS),
        ({"outrider.dev/capture": "transparent"}, SETTINGS),
        ({"outrider.dev/interception": "on"}, SETTINGS),
        ({}, InjectionSettings(native_sidecars=NativeSidecars.NEVER)),
        ({"outrider.dev/capture": "transparent"}, InjectionSettings(native_sidecars=NativeSidecars.NEVER)),
        ({}, InjectionSettings(image=f"{SETTINGS.image.partition(':')[0]}@sha256:{'0' * 64}")),
        ({}, InjectionSettings(uid=1775)),
    ],
    ids=["explicit", "transparent", "intercepted", "legacy", "legacy transparent", "by digest", "old user"],
)
def test_what_admission_makes_passes(annotations, settings, policy) -> None:
    assert not refusal(policy, "enabled", injected(annotations, settings))


def _mount(**mount: Any) -> Callable[[Pod], Any]:
    return lambda pod: pod["spec"]["containers"][0].setdefault("volumeMounts", []).append(mount)


def _trust(**other: Any) -> Callable[[Pod], Any]:
    return lambda pod: pod["spec"]["containers"][0]["volumeMounts"][0].update(other)


def _without_restart(pod: Pod) -> None:
    for key in ("restartPolicy", "startupProbe", "readinessProbe", "livenessProbe"):
        del sidecar(pod)[key]


def _user(place: str, uid: int = table.SIDECAR_UID) -> Callable[[Pod], Any]:
    return lambda pod: pod["spec"][place][-1].update(securityContext={"runAsUser": uid})


def _shared_user(pod: Pod) -> None:
    sidecar(pod)["securityContext"]["runAsUser"] = 5
    _user("containers", 5)(pod)


def _confined(**context: Any) -> Callable[[Pod], Any]:
    return lambda pod: pod["spec"]["containers"][-1].update(securityContext=context)


def _token(place: str) -> Callable[[Pod], Any]:
    """A token for the control plane's audience, mounted by the last container of a kind."""
    source = {"serviceAccountToken": {"audience": names.CONTROL_AUDIENCE, "path": "token"}}

    def add(pod: Pod) -> None:
        pod["spec"].setdefault("volumes", []).append({"name": "mine", "projected": {"sources": [source]}})
        pod["spec"][place][-1].setdefault("volumeMounts", []).append({"name": "mine", "mountPath": "/mine"})

    return add


TRANSPARENT = {"outrider.dev/capture": "transparent"}
TRUSTING = {"outrider.dev/interception": "on"}
NEW = {"name": "new", "image": "x"}
SLEEP = {"sleep": {"seconds": 1}}
UNDONE: list[tuple[str, dict[str, str], Callable[[Pod], Any], str]] = [
    ("other image", {}, lambda pod: sidecar(pod).update(image="evil/sidecar:1"), "sidecar_image"),
    ("longer name", {}, lambda pod: sidecar(pod).update(image="outrider/sidecar-evil:1"), "sidecar_image"),
    (
        "redirect",
        TRANSPARENT,
        lambda pod: pod["spec"]["initContainers"][0].update(image="x"),
        "sidecar_image",
    ),
    ("no restart", {}, _without_restart, "sidecar_displaced"),
    ("second", {}, lambda pod: pod["spec"]["initContainers"].insert(0, NEW), "sidecar_displaced"),
    ("between", TRANSPARENT, lambda pod: pod["spec"]["initContainers"].insert(1, NEW), "sidecar_displaced"),
    ("command", {}, lambda pod: sidecar(pod).update(command=["sleep"]), "sidecar_changed"),
    ("arguments", {}, lambda pod: sidecar(pod).update(args=["--help"]), "sidecar_changed"),
    ("hook", {}, lambda pod: sidecar(pod).update(lifecycle={"preStop": SLEEP}), "sidecar_changed"),
    (
        "privileged",
        {},
        lambda pod: sidecar(pod)["securityContext"].update(privileged=True, allowPrivilegeEscalation=True),
        "sidecar_changed",
    ),
    (
        "capability",
        {},
        lambda pod: sidecar(pod)["securityContext"]["capabilities"].update(add=["SYS_PTRACE"]),
        "sidecar_changed",
    ),
    (
        "variables from elsewhere",
        {},
        lambda pod: sidecar(pod).update(envFrom=[{"configMapRef": {"name": "x"}}]),
        "sidecar_changed",
    ),
    (
        "probe with a command",
        {},
        lambda pod: sidecar(pod).update(livenessProbe={"exec": {"command": ["cat", "/key"]}}),
        "sidecar_changed",
    ),
    ("token of the CA", {}, _token("containers"), "identity_exposed"),
    ("token of the CA, init", {}, _token("initContainers"), "identity_exposed"),
    ("privileged agent", {}, _confined(privileged=True), "node_reached"),
    ("may undo", TRANSPARENT, _confined(capabilities={"add": ["cap_Net_Admin"]}), "capture_undone"),
    ("host network", {}, lambda pod: pod["spec"].update(hostNetwork=True), "host_network"),
    ("host network", TRANSPARENT, lambda pod: pod["spec"].update(hostNetwork=True), "host_network"),
    ("root", {}, lambda pod: sidecar(pod)["securityContext"].update(runAsUser=0), "sidecar_uid"),
    ("no user", {}, lambda pod: sidecar(pod)["securityContext"].pop("runAsUser"), "sidecar_uid"),
    ("user of another", {}, _shared_user, "sidecar_uid"),
    ("same user", {}, _user("containers"), "sidecar_uid"),
    ("same user, init", {}, _user("initContainers"), "sidecar_uid"),
    ("all", {}, lambda pod: pod["spec"].update(securityContext={"runAsUser": 1774}), "sidecar_uid"),
    ("identity", {}, _mount(name="outrider-identity", mountPath="/x"), "reserved_volume"),
    ("tmp", {}, _mount(name="outrider-tmp", mountPath="/x"), "reserved_volume"),
    ("elsewhere", TRUSTING, _mount(name="outrider-trust", mountPath="/x", readOnly=True), "reserved_volume"),
    ("writable", TRUSTING, _trust(readOnly=False), "reserved_volume"),
    ("a part", TRUSTING, _trust(subPath="x"), "reserved_volume"),
    ("no label", {}, lambda pod: pod["metadata"]["labels"].pop("outrider.dev/injected"), "injected_label"),
    (
        "false",
        {},
        lambda pod: pod["metadata"]["labels"].update({"outrider.dev/injected": "no"}),
        "injected_label",
    ),
]


@pytest.mark.parametrize(("what", "annotations", "undo", "reason"), UNDONE, ids=[one[0] for one in UNDONE])
def test_what_another_webhook_undoes_is_refused_with_its_reason(
    what, annotations, undo, reason, policy
) -> None:
    pod = injected(annotations)
    undo(pod)
    assert f"outrider ({reason}" in refusal(policy, "enabled", pod)


def test_a_pod_may_have_the_sidecars_user_where_no_container_does(policy) -> None:
    pod = injected()
    pod["spec"]["securityContext"] = {"runAsUser": table.SIDECAR_UID}
    for place in ("containers", "initContainers"):
        _user(place, 1000)(pod)
    assert not refusal(policy, "enabled", pod)


def test_the_label_cannot_be_claimed_by_a_pod_without_sidecar(policy) -> None:
    pod = plain({"outrider.dev/injected": "true"})
    assert "injected_label" in refusal(policy, "unset", pod)
    assert not refusal(policy, "unset", injected()), "one that was injected by hand"


@pytest.fixture(scope="module")
def running(policy: Kube) -> Kube:
    """A pod with a sidecar, which exists."""
    pod = injected(TRANSPARENT)
    pod["spec"]["nodeSelector"] = OTHERS["nodeSelector"]
    policy.create(pod, namespace=name_of("enabled"))
    return policy


def changed(kube: Kube, key: str, body: dict[str, Any], *, debug: bool = False) -> str:
    path = kube.path("Pod", name_of(key), "agent") + ("/ephemeralcontainers" if debug else "")
    try:
        kube.api.patch(path, body, STRATEGIC, dryRun="All")
    except ApiError as error:
        return error.message
    return ""


def test_a_pod_that_is_being_deleted_cannot_claim_the_label_either(policy) -> None:
    pod = plain({"outrider.dev/inject": "false"}, nodeSelector=OTHERS["nodeSelector"])
    pod["metadata"] |= {"name": "leaving", "finalizers": ["example.com/held"]}
    policy.create(pod, namespace=name_of("enabled"))
    path = policy.path("Pod", name_of("enabled"), "leaving")
    policy.api.delete(path)
    try:
        with pytest.raises(ApiError, match="injected_label"):
            policy.api.patch(path, {"metadata": {"labels": {"outrider.dev/injected": "true"}}}, STRATEGIC)
    finally:
        policy.patch("Pod", "leaving", {"metadata": {"finalizers": None}}, name_of("enabled"))


def _image(place: str, name: str, image: str) -> dict[str, Any]:
    return {"spec": {place: [{"name": name, "image": image}]}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"metadata": {"annotations": {"a": "b"}}}, ""),
        ({"metadata": {"labels": {"outrider.dev/injected": None}}}, "injected_label"),
        (_image("initContainers", "outrider-sidecar", "evil"), "sidecar_image"),
        (_image("initContainers", "outrider-sidecar", "outrider/sidecar:2"), ""),
        (_image("containers", "agent", "registry.example/agent:2"), ""),
    ],
)
def test_of_a_running_pod_only_changes_for_the_worse_are_refused(body, reason, running) -> None:
    said = changed(running, "enabled", body)
    assert reason in said if reason else not said


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, ""),
        ({"targetContainerName": "agent"}, ""),
        ({"targetContainerName": "outrider-sidecar"}, "sidecar_joined"),
        ({"securityContext": {"runAsUser": table.SIDECAR_UID}}, "sidecar_uid"),
        ({"volumeMounts": [{"name": "outrider-identity", "mountPath": "/x"}]}, "reserved_volume"),
    ],
)
def test_ephemeral_containers_are_held_to_the_same(more, reason, running) -> None:
    body = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": "x", **more}]}}
    said = changed(running, "enabled", body, debug=True)
    assert f"outrider ({reason})" in said if reason else not said


def test_pods_from_before_a_namespace_was_labelled_can_be_edited_and_deleted(policy) -> None:
    pod = plain(nodeSelector=OTHERS["nodeSelector"])
    pod["metadata"]["finalizers"] = ["example.com/held"]
    policy.create(copy.deepcopy(pod), namespace=name_of("late"))
    policy.patch("Namespace", name_of("late"), {"metadata": {"labels": {LABEL: "required"}}})
    policy.until(
        lambda: refusal(policy, "late", {**plain(), "metadata": {"name": "other"}}), "the label counts"
    )
    assert not changed(policy, "late", {"metadata": {"annotations": {"a": "b"}}})
    assert "injected_label" in changed(
        policy, "late", {"metadata": {"labels": {"outrider.dev/injected": "true"}}}
    )
    policy.patch("Pod", "agent", {"metadata": {"finalizers": None}}, name_of("late"))
    policy.delete("Pod", "agent", name_of("late"), grace=0)


IMAGES = [
    ("initContainers", "outrider-sidecar", "evil", True),
    ("initContainers", "outrider-sidecar", "outrider/sidecar-evil:1", True),
    ("initContainers", "outrider-redirect", "evil", True),
    ("initContainers", "outrider-sidecar", "outrider/sidecar:2", False),
    ("containers", "agent", "registry.example/agent:2", False),
]


@pytest.fixture
def unwatched(policy: Kube) -> Iterator[Kube]:
    """A pod with a sidecar that no binding of the policy is for, and the entry for clusters without policies."""
    pod = injected(TRANSPARENT)
    pod["metadata"]["labels"] = {}
    pod["spec"]["nodeSelector"] = OTHERS["nodeSelector"]
    policy.create(pod, namespace=name_of("unset"))
    without = Chart.load(CHART).render(
        {"finalState": {"mode": "never"}}, name=RELEASE, namespace=names.NAMESPACE
    )
    manifests = [
        one for text in without.values() if "Webhook" in text for one in yaml.safe_load_all(text) if one
    ]
    (validator,) = [one for one in manifests if one["kind"] == "ValidatingWebhookConfiguration"]
    validator["webhooks"] = [one for one in validator["webhooks"] if one["name"] == names.IMAGES_ENTRY]
    policy.create(validator)
    try:
        yield policy
    finally:
        policy.delete("ValidatingWebhookConfiguration", names.VALIDATOR)


def test_where_there_is_no_policy_the_control_plane_is_asked_about_images_and_nothing_else(unwatched) -> None:
    # Nobody answers here, so that whoever is asked about is refused.
    unwatched.until(
        lambda: names.IMAGES_ENTRY in changed(unwatched, "unset", _image(*IMAGES[0][:3])), "it is in force"
    )
    for place, name, image, asked in IMAGES:
        said = changed(unwatched, "unset", _image(place, name, image))
        assert (names.IMAGES_ENTRY in said) is asked, (image, said)
    assert not changed(unwatched, "unset", {"metadata": {"annotations": {"a": "b"}}})


def test_the_api_server_finds_nothing_to_warn_of_in_its_expressions(policy) -> None:
    def checked() -> dict[str, Any] | None:
        status = policy.the("ValidatingAdmissionPolicy", names.FINAL_STATE_POLICY).get("status") or {}
        found: dict[str, Any] | None = status.get("typeChecking") if "observedGeneration" in status else None
        return {} if "observedGeneration" in status and found is None else found

    assert policy.until(lambda: (checked(),), "the expressions are checked")[0] in ({}, None)
