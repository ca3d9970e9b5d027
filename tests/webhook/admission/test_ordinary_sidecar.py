"""Clusters without native sidecars: the sidecar is the first of the ordinary containers."""

from __future__ import annotations

import pytest

from mesh.reasons import Reason
from webhook.admission.ephemeral import admit_ephemeral
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Namespace, Refusal
from webhook.admission.permission import PERMISSIONS
from webhook.admission.settings import InjectionSettings, NativeSidecars
from webhook.admission.strip import is_injected, uninject

NEVER = InjectionSettings(native_sidecars=NativeSidecars.NEVER)
ALWAYS = InjectionSettings(native_sidecars=NativeSidecars.ALWAYS)
DEFAULT = "kubectl.kubernetes.io/default-container"


def names(injection, kind):
    return [one["name"] for one in injection.pod["spec"].get(kind) or []]


def test_it_stands_first_among_the_containers_and_says_nothing_of_restarting(pod, enabled) -> None:
    became = inject(pod(), enabled, NEVER)
    assert names(became, "containers") == ["outrider-sidecar", "agent"]
    sidecar = became.pod["spec"]["containers"][0]
    assert "restartPolicy" not in sidecar
    assert "lifecycle" not in sidecar
    native = inject(pod(), enabled, ALWAYS).pod["spec"]["initContainers"][0]
    assert {**sidecar, "restartPolicy": "Always"} == native
    assert "initContainers" not in became.pod["spec"]
    assert became.status["sidecar"] == "container"


def test_the_init_step_of_transparent_capture_stays_first_among_the_init_containers(pod, enabled) -> None:
    annotations = {"outrider.dev/capture": "transparent"}
    became = inject(pod(annotations=annotations, initContainers=[{"name": "seed"}]), enabled, NEVER)
    assert names(became, "initContainers") == ["outrider-redirect", "seed"]
    assert names(became, "containers") == ["outrider-sidecar", "agent"]


@pytest.mark.parametrize(("before", "after"), [(NEVER, ALWAYS), (ALWAYS, NEVER)])
def test_when_the_setting_changes_so_does_the_pod(pod, enabled, before, after) -> None:
    new = pod(containers=[{"name": "agent"}, {"name": "other"}])
    became = inject(inject(new, enabled, before).pod, enabled, after)
    assert became.pod == inject(new, enabled, after).pod


def test_auto_is_always_until_the_cluster_was_asked() -> None:
    auto = InjectionSettings()
    assert auto.native
    assert auto.for_cluster(native_sidecars=True) == ALWAYS
    assert auto.for_cluster(native_sidecars=False) == NEVER
    assert NEVER.for_cluster(native_sidecars=True) is NEVER
    assert ALWAYS.for_cluster(native_sidecars=False) is ALWAYS


def test_kubectl_shows_the_first_of_the_applications_containers(pod, enabled) -> None:
    two = pod(containers=[{"name": "agent"}, {"name": "other"}])
    became = inject(two, enabled, NEVER)
    assert became.pod["metadata"]["annotations"][DEFAULT] == "agent"
    chosen = pod(annotations={DEFAULT: "other"}, containers=[{"name": "agent"}, {"name": "other"}])
    assert inject(chosen, enabled, NEVER).pod["metadata"]["annotations"][DEFAULT] == "other"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"restartPolicy": "Never"}, "this pod never completes"),
        ({"restartPolicy": "OnFailure"}, "this pod never completes"),
        ({"initContainers": [{"name": "seed"}]}, "init containers have no network"),
    ],
)
def test_what_it_cannot_do_is_told(pod, enabled, spec, told) -> None:
    (warning,) = inject(pod(**spec), enabled, NEVER).warnings
    assert warning.startswith("without native sidecars")
    assert told in warning
    assert inject(pod(**spec), enabled, ALWAYS).warnings == ()


def test_a_container_of_that_name_is_replaced_wherever_it_stands(pod, enabled) -> None:
    forged = {"name": "outrider-sidecar", "image": "mine"}
    for settings in (ALWAYS, NEVER):
        for spec in (
            {"containers": [{"name": "agent", "image": "agent:1"}, forged]},
            {"initContainers": [forged]},
            {"containers": [forged, {"name": "agent", "image": "agent:1"}], "initContainers": [forged]},
        ):
            assert inject(pod(**spec), enabled, settings).pod == inject(pod(), enabled, settings).pod


def test_a_pod_that_is_nothing_but_a_container_of_that_name_is_refused(pod, enabled) -> None:
    for settings in (ALWAYS, NEVER):
        refusal = inject(pod(containers=[{"name": "outrider-sidecar", "image": "mine"}]), enabled, settings)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.RESERVED_NAME


def test_the_init_step_is_no_ordinary_container(pod, enabled) -> None:
    containers = [{"name": "agent"}, {"name": "outrider-redirect"}]
    assert inject(pod(containers=containers), enabled, NEVER).reason is Reason.RESERVED_NAME


def test_it_is_taken_out_again(pod, enabled) -> None:
    before = pod(containers=[{"name": "agent"}, {"name": "other"}])
    left = unshared(inject(before, enabled, NEVER).pod)
    assert is_injected(left)
    uninject(left, ALWAYS)
    assert left == before


def test_containers_that_are_added_later_are_held_to_the_same(pod, enabled) -> None:
    settings = InjectionSettings(native_sidecars=NativeSidecars.NEVER, allow=PERMISSIONS)
    became = inject(pod(annotations={"outrider.dev/capture": "transparent"}), enabled, settings)
    for container, reason in (
        ({"targetContainerName": "outrider-sidecar"}, Reason.SIDECAR_JOINED),
        ({"securityContext": {"runAsUser": 1774}}, Reason.SIDECAR_UID),
        ({"securityContext": {"privileged": True}}, Reason.CAPTURE_UNDONE),
    ):
        after = unshared(became.pod)
        after["spec"]["ephemeralContainers"] = [{"name": "debug", **container}]
        refusal = admit_ephemeral(after, became.pod, Namespace("agents"), ALWAYS)
        assert refusal.reason is reason


def test_ports_of_the_authors_own_native_sidecars_are_the_applications(pod, enabled) -> None:
    init = [
        {"name": "seed", "ports": [{"containerPort": 1}]},
        {"name": "cache", "restartPolicy": "Always", "ports": [{"containerPort": 6379}]},
    ]
    containers = [{"name": "agent", "ports": [{"containerPort": 9000}]}]
    became = inject(pod(initContainers=init, containers=containers), enabled, ALWAYS)
    env = {one["name"]: one.get("value") for one in became.pod["spec"]["initContainers"][0]["env"]}
    assert env["OUTRIDER_APPLICATION_PORTS"] == "9000,6379"
