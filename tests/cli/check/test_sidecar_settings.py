"""Pods against those that the platform's settings would make of them now."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cli.check.catalogue import RUNS
from cli.check.result import Result, State
from cli.check.sidecar_settings import covers, made_anew
from cli.cluster.parts import Part
from tests.support import outrider_cluster as cluster
from tests.support.outrider_cluster import AGENTS, changed, part
from webhook.admission.outcome import Injection
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import parse_settings

POD = cluster.injected_pod(settings=InjectionSettings())


def checked(settings: str, *pods: dict) -> Result:
    healthy = cluster.without_control()
    assert healthy.data is not None
    snapshot = replace(
        healthy,
        settings=part({"data": {"settings.yaml": settings}}),
        data=replace(healthy.data, pods=part(*(pods or (POD,)))),
    )
    return RUNS["sidecar-settings"](snapshot, cluster.NOW)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("ports: {inbound: 16443}", "OUTRIDER_LISTEN_INBOUND *:15443 is now *:16443"),
        (
            "ports: {forward: 16002}",
            "pod triage is behind: OUTRIDER_LISTEN_FORWARD 127.0.0.1:15002 is now 127.0.0.1:16002",
        ),
        ("ports: {telemetry: 16020}", "OUTRIDER_LISTEN_TELEMETRY *:15020 is now *:16020"),
        ("identity: {socket: other.sock}", "OUTRIDER_IDENTITY_SOCKET"),
        ("identity: {volume: hostPath}", "volume outrider-identity"),
        ("policyConfigMap: others", "volume outrider-policy"),
        ("noProxy: [metrics.internal]", "container agent, NO_PROXY localhost"),
        ("uid: 1775", "user 1774 is now 1775"),
        ("image: other/sidecar:2", "image outrider/sidecar"),
    ],
)
def test_every_setting_that_changed_makes_pods_late(settings, words) -> None:
    found = checked(settings)
    assert found.state is State.WARNING
    assert words in found.seen[0]
    assert "proxy_conflict" not in found.seen[0]


def test_authorities_are_told_by_their_number_and_what_tells_them_from_others() -> None:
    def given(*names: str) -> str:
        text = "".join(map(cluster.root_pem, names))
        return "authorities: |\n" + "".join(f"  {line}\n" for line in text.splitlines())

    one, two = checked(given("a")), checked(given("a", "b"))
    words = "OUTRIDER_MORE_AUTHORITIES (not set) is now"
    assert re.search(re.escape(words) + r" \(1 certificate, SHA-256 [0-9a-f]{12}\)", one.seen[0])
    assert f"{words} (2 certificates, SHA-256 " in two.seen[0]
    assert "BEGIN" not in one.seen[0] + two.seen[0]
    made = cluster.injected_pod(settings=parse_settings(given("a"), "x").injection)
    assert checked(given("a"), made).state is State.OK


def test_other_roots_make_no_pod_late() -> None:
    """Sidecars learn of them; `sidecar-roots` tells of pods that could not."""
    made = cluster.injected_pod(settings=cluster.controlled(cluster.root_pem("before")))
    healthy = cluster.healthy()
    assert healthy.data is not None
    snapshot = replace(healthy, data=replace(healthy.data, pods=part(made)))
    assert RUNS["sidecar-settings"](snapshot, cluster.NOW).state is State.OK
    unread = replace(snapshot, roots=Part(unread="forbidden (403)"))
    assert RUNS["sidecar-settings"](unread, cluster.NOW).state is State.OK


def test_pods_from_before_the_control_plane_are_late() -> None:
    found = checked(cluster.CONTROLLED)
    assert found.state is State.WARNING
    assert "OUTRIDER_IDENTITY_PROVIDER workload-api is now builtin" in found.seen[0]
    assert "BEGIN CERTIFICATE" not in found.seen[0]


def test_what_the_api_server_fills_in_is_no_difference() -> None:
    sidecar = POD["spec"]["initContainers"][0]
    filled = {
        **sidecar,
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "Always",
        "env": [*sidecar["env"], {"name": "OTHER", "valueFrom": {"fieldRef": {"apiVersion": "v1"}}}],
        "livenessProbe": {**sidecar["livenessProbe"], "successThreshold": 1},
        "volumeMounts": [{"name": "kube-api-access", "mountPath": "/x"}, *sidecar["volumeMounts"]],
    }
    pod = changed(POD, "spec/initContainers/0", filled)
    pod = changed(pod, "spec/volumes", [{"name": "kube-api-access"}, *POD["spec"]["volumes"]])
    assert checked("{}", pod).state is State.OK


def test_differences_are_told_as_far_as_they_can_be_read() -> None:
    (seen,) = checked(
        "{ports: {forward: 16002, inbound: 16443, telemetry: 16020}, identity: {socket: x}, uid: 1775}"
    ).seen
    assert seen.endswith("differences more")


def test_the_hint_names_the_workloads() -> None:
    owner = {"kind": "ReplicaSet", "name": "triage-5b7", "controller": True}
    pod = changed(POD, "metadata/ownerReferences", [owner])
    pod = changed(pod, "metadata/labels/pod-template-hash", "5b7")
    found = checked("uid: 1775", pod, changed(POD, "metadata/name", "bare"))
    assert found.hint == (
        "Run `kubectl -n agents rollout restart deployment/triage`. Delete and create anew Pod bare."
    )


def test_a_pod_that_would_be_refused_is_not_to_be_restarted() -> None:
    refused = changed(POD, "metadata/annotations/outrider.dev|captrue", "x")
    found = checked("{}", refused)
    assert "would be refused now (annotation_invalid)" in found.seen[0]
    assert "rollout restart" not in found.hint
    assert "do not restart them" in found.hint


def test_a_pod_that_would_lose_its_sidecar_is_not_to_be_restarted() -> None:
    healthy = replace(cluster.healthy(), namespaces=part(cluster.namespace("agents")))
    found = RUNS["sidecar-settings"](healthy, cluster.NOW)
    assert "would get no sidecar now (not_opted_in), unless its manifest holds it" in found.seen[0]
    assert found.hint.startswith("Those that would get none lose their sidecar")


def test_a_pod_is_made_anew_from_what_its_author_wrote() -> None:
    made = made_anew(POD, AGENTS, InjectionSettings())
    assert isinstance(made, Injection)
    assert made.patch != []  # it begins without a sidecar
    broken = changed(POD, "spec/containers", "x")
    assert made_anew(broken, AGENTS, InjectionSettings()).reason == "pod_malformed"


@pytest.mark.parametrize(
    ("old", "new", "covered"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([{"a": 1}, {"b": 2}], [{"b": 2}], True),
        ([{"a": 1}], [{"a": 2}], False),
        (None, [{"a": 2}], False),
        (["a", "b"], ["a"], False),
        ([], [], True),
        (None, {}, False),
    ],
)
def test_more_than_was_asked_for_is_enough(old, new, covered) -> None:
    assert covers(old, new) is covered
