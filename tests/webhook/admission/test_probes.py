"""Probes under transparent capture: pointed at the sidecar, kept for it, and given back."""

from __future__ import annotations

import copy
import json

import pytest

from mesh.reasons import Reason
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Refusal
from webhook.admission.settings import InjectionSettings, Ports
from webhook.admission.strip import uninject

TRANSPARENT = {"outrider.dev/capture": "transparent"}
ALLOWING = InjectionSettings(allow=frozenset({"exclude-inbound-ports", "mtls=permissive"}))


def container(**more):
    return {"name": "agent", "ports": [{"name": "web", "containerPort": 8080}], **more}


@pytest.fixture
def injected(pod, enabled):
    def make(*containers, settings=ALLOWING, annotations=None, **spec):
        mine = pod(annotations={**TRANSPARENT, **(annotations or {})}, containers=list(containers), **spec)
        return inject(mine, enabled, settings)

    return make


def originals(outcome) -> dict:
    assert isinstance(outcome, Injection), outcome
    env = {one["name"]: one.get("value") for one in outcome.pod["spec"]["initContainers"][1]["env"]}
    return json.loads(env.get("OUTRIDER_APPLICATION_PROBES", "{}"))


def asked(name: str, port: int = 15020) -> dict:
    return {"path": f"/app-health/{name}", "port": port, "scheme": "HTTP"}


@pytest.mark.parametrize(
    ("key", "name"),
    [("startupProbe", "startup"), ("readinessProbe", "readiness"), ("livenessProbe", "liveness")],
)
@pytest.mark.parametrize(
    ("action", "port"),
    [
        ({"httpGet": {"path": "/x?y=z", "port": 8080}}, 8080),
        ({"httpGet": {"port": "web", "scheme": "HTTPS", "httpHeaders": [{"name": "A", "value": "b"}]}}, 8080),
        ({"httpGet": {"port": "9090"}}, 9090),
        ({"tcpSocket": {"port": "web"}}, 8080),
        ({"grpc": {"port": 50051, "service": "x"}}, 50051),
    ],
)
def test_a_probe_is_pointed_at_the_sidecar_and_keeps_its_timing(injected, key, name, action, port) -> None:
    timing = {"timeoutSeconds": 4, "periodSeconds": 7, "failureThreshold": 9}
    outcome = injected(container(**{key: {**action, **timing}}))
    assert outcome.pod["spec"]["containers"][0][key] == {"httpGet": asked(f"agent/{name}"), **timing}
    assert originals(outcome) == {f"agent/{name}": {**action, "port": port, "timeoutSeconds": 4}}


@pytest.mark.parametrize("key", ["postStart", "preStop"])
@pytest.mark.parametrize(
    "action", [{"httpGet": {"path": "/hook", "port": "web"}}, {"tcpSocket": {"port": 1}}]
)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_hook_over_the_network_is_refused_because_anybody_could_call_it(
    injected, key, action, kind
) -> None:
    mine = container(name="own", lifecycle={key: action})
    outcome = injected(mine) if kind == "containers" else injected(container(), initContainers=[mine])
    assert isinstance(outcome, Refusal)
    assert [problem.reason for problem in outcome.problems] == [Reason.HOOK_REFUSED]
    assert f"container own, {key}" in outcome.sentence
    assert "exec" in outcome.sentence


@pytest.mark.parametrize(
    "hook",
    [
        {"exec": {"command": ["drain"]}},
        {"sleep": {"seconds": 5}},
        {"httpGet": {"host": "registry.example.org", "port": 443, "scheme": "HTTPS"}},
        {"httpGet": {"port": 9090}},
    ],
)
def test_hooks_that_capture_does_not_concern_stay(injected, hook) -> None:
    outcome = injected(
        container(lifecycle={"preStop": hook}), annotations={"outrider.dev/exclude-inbound-ports": "9090"}
    )
    assert outcome.pod["spec"]["containers"][0]["lifecycle"] == {"preStop": hook}
    assert originals(outcome) == {}


def test_explicit_capture_leaves_hooks_alone(pod, enabled, settings) -> None:
    lifecycle = {"preStop": {"httpGet": {"port": "web"}}}
    outcome = inject(pod(containers=[container(lifecycle=lifecycle)]), enabled, settings)
    assert outcome.pod["spec"]["containers"][0]["lifecycle"] == lifecycle


def test_sidecars_of_the_authors_own_are_covered(injected) -> None:
    own = {"name": "own", "restartPolicy": "Always", "readinessProbe": {"tcpSocket": {"port": 7000}}}
    outcome = injected(container(), initContainers=[own])
    assert outcome.pod["spec"]["initContainers"][2]["readinessProbe"] == {"httpGet": asked("own/readiness")}


@pytest.mark.parametrize(
    "probe",
    [
        {"exec": {"command": ["true"]}},
        {"httpGet": {"host": "example.org", "port": 80}},
        {"tcpSocket": {"host": "10.0.0.1", "port": 80}},
        None,
    ],
)
def test_what_never_comes_in_over_the_network_of_the_pod_is_left_alone(injected, probe) -> None:
    outcome = injected(container(livenessProbe=probe))
    assert outcome.pod["spec"]["containers"][0]["livenessProbe"] == probe
    assert originals(outcome) == {}


def test_a_port_that_capture_leaves_out_is_asked_by_the_kubelet_as_before(injected) -> None:
    probe = {"httpGet": {"port": "web"}}
    outcome = injected(
        container(livenessProbe=probe), annotations={"outrider.dev/exclude-inbound-ports": "8080"}
    )
    assert outcome.pod["spec"]["containers"][0]["livenessProbe"] == probe


def test_permissive_ports_are_asked_through_the_sidecar_as_well(injected) -> None:
    outcome = injected(
        container(livenessProbe={"tcpSocket": {"port": "web"}}),
        annotations={"outrider.dev/mtls": "permissive"},
    )
    assert "agent/liveness" in originals(outcome)


def test_explicit_capture_leaves_probes_alone(pod, enabled, settings) -> None:
    probe = {"httpGet": {"port": "nowhere"}}
    outcome = inject(pod(containers=[container(livenessProbe=probe)]), enabled, settings)
    assert outcome.pod["spec"]["containers"][0]["livenessProbe"] == probe


def test_the_platforms_own_telemetry_port_is_asked(injected) -> None:
    outcome = injected(
        container(livenessProbe={"tcpSocket": {"port": 1}}),
        settings=InjectionSettings(ports=Ports(telemetry=16020)),
    )
    assert outcome.pod["spec"]["containers"][0]["livenessProbe"]["httpGet"] == asked("agent/liveness", 16020)


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ({"httpGet": {"port": "other"}}, "asks port 'other', which the container does not declare"),
        ({"httpGet": {"path": "/"}}, "asks port None"),
        ({"tcpSocket": {"port": 0}}, "asks port 0"),
        ({"tcpSocket": {"port": "99999"}}, "asks port '99999'"),
        ({"httpGet": {"port": 15020, "path": "/app-health/agent/liveness"}}, "is the sidecar's own"),
        ({"tcpSocket": {"port": 15002}}, "is the sidecar's own"),
        ({"httpGet": {"port": 1, "scheme": "FTP"}}, "has the scheme 'FTP'"),
        (
            {"httpGet": {"port": 1, "httpHeaders": [{"name": "a b", "value": "c"}]}},
            "a header that is none: 'a b'",
        ),
        ({"httpGet": {"port": 1, "httpHeaders": [{"name": "a", "value": "b\r\nc: d"}]}}, "that is none: 'a'"),
    ],
)
def test_a_probe_that_the_sidecar_cannot_ask_is_refused(injected, action, told) -> None:
    refusal = injected(container(livenessProbe=action))
    assert isinstance(refusal, Refusal)
    assert [problem.reason for problem in refusal.problems] == [Reason.PROBE_REFUSED]
    assert f"container agent, livenessProbe {told}" in refusal.sentence or told in refusal.sentence


def test_a_second_call_does_not_rewrite_again(injected, enabled) -> None:
    first = injected(container(livenessProbe={"httpGet": {"path": "/x", "port": "web"}}))
    seen = unshared(first.pod)
    # What the API server adds between the two calls.
    seen["spec"]["containers"][0]["livenessProbe"]["httpGet"]["scheme"] = "HTTP"
    again = inject(seen, enabled, ALLOWING)
    assert again.pod == first.pod


def test_what_a_probe_was_comes_back_where_capture_becomes_explicit(injected, enabled) -> None:
    probe = {"grpc": {"port": 50051}, "periodSeconds": 3}
    first = unshared(injected(container(livenessProbe=probe)).pod)
    del first["metadata"]["annotations"]["outrider.dev/capture"]
    again = inject(first, enabled, ALLOWING)
    assert again.pod["spec"]["containers"][0]["livenessProbe"] == probe


def test_uninjecting_gives_the_probes_back(injected) -> None:
    own = container(
        livenessProbe={"httpGet": {"path": "/x", "port": "web"}, "timeoutSeconds": 2},
        lifecycle={"preStop": {"exec": {"command": ["drain"]}}},
        env=[{"name": "NO_PROXY", "value": "localhost"}],
    )
    outcome = injected(copy.deepcopy(own))
    left = unshared(outcome.pod)
    uninject(left, ALLOWING)
    assert left["spec"] == {"containers": [own]}


FORGED = json.dumps({"agent/liveness": {"tcpSocket": {"port": 9999}, "port": 9999}})


@pytest.mark.parametrize(
    "value",
    [FORGED, "{", "[]", '{"agent/liveness": 3}', '{"agent/liveness": {"httpGet": 3}}', "[" * 10_000, None],
)
def test_a_forged_store_of_probes_gives_nothing_but_what_the_author_could_write(injected, value) -> None:
    sidecar = {"name": "outrider-sidecar", "env": [{"name": "OUTRIDER_APPLICATION_PROBES", "value": value}]}
    probe = {"httpGet": {"path": "/app-health/agent/liveness", "port": 15020}}
    outcome = injected(container(livenessProbe=probe), initContainers=[sidecar])
    if value == FORGED:
        assert originals(outcome)["agent/liveness"]["port"] == 9999
    else:
        assert isinstance(outcome, Refusal)


def test_a_forged_store_changes_no_probe_that_was_never_rewritten(injected) -> None:
    sidecar = {"name": "outrider-sidecar", "env": [{"name": "OUTRIDER_APPLICATION_PROBES", "value": FORGED}]}
    outcome = injected(container(livenessProbe={"tcpSocket": {"port": 1}}), initContainers=[sidecar])
    assert originals(outcome)["agent/liveness"]["port"] == 1


def test_an_action_of_another_shape_is_no_pod(injected) -> None:
    refusal = injected(container(livenessProbe={"httpGet": {"port": 1, "httpHeaders": {"a": "b"}}}))
    assert refusal.reason is Reason.POD_MALFORMED
