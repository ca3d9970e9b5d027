"""Making the application trust the interception CA, and taking that out again."""

from __future__ import annotations

import pytest

from mesh.reasons import Reason
from mesh.settings.trust import TRUST_VARIABLES, environment
from webhook.admission.inject import inject, unshared
from webhook.admission.outcome import Injection, Refusal
from webhook.admission.settings import InjectionSettings
from webhook.admission.strip import uninject

ON = {"outrider.dev/interception": "on"}
MOUNT = {"name": "outrider-trust", "mountPath": "/run/outrider/trust", "readOnly": True}
SETTINGS = InjectionSettings()


@pytest.fixture
def injected(pod, enabled):
    def make(*containers, **spec):
        mine = pod(annotations=ON, containers=list(containers) or [{"name": "agent"}], **spec)
        return inject(mine, enabled, SETTINGS)

    return make


def env_of(container) -> dict[str, str | None]:
    return {one["name"]: one.get("value") for one in container["env"]}


def test_every_container_may_read_and_the_sidecar_alone_may_write(injected) -> None:
    spec = injected({"name": "a"}, {"name": "b"}, initContainers=[{"name": "seed"}]).pod["spec"]
    sidecar, seed = spec["initContainers"]
    assert {"name": "outrider-trust", "mountPath": "/run/outrider/trust"} in sidecar["volumeMounts"]
    for container in (seed, *spec["containers"]):
        assert container["volumeMounts"] == [MOUNT]
        assert environment().items() <= env_of(container).items()
    assert not set(environment()) & set(env_of(sidecar))
    assert env_of(sidecar)["OUTRIDER_INTERCEPTION_DIRECTORY"] == "/run/outrider/trust"
    assert spec["volumes"][-1] == {
        "name": "outrider-trust",
        "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"},
    }


def test_without_it_nothing_of_it_is_there(pod, enabled) -> None:
    assert "trust" not in str(inject(pod(), enabled, SETTINGS).pod)


def test_the_platform_may_switch_it_on_for_everybody(pod, enabled) -> None:
    outcome = inject(pod(), enabled, InjectionSettings(defaults=ON))
    assert outcome.pod["spec"]["containers"][0]["volumeMounts"] == [MOUNT]


@pytest.mark.parametrize(
    ("own", "becomes"),
    [
        ("/etc/ssl/certs/ca-certificates.crt", "/run/outrider/trust/bundle.pem"),
        ("", "/run/outrider/trust/bundle.pem"),
        ("/run/outrider/trust/bundle.pem", "/run/outrider/trust/bundle.pem"),
        ("/app/roots.pem", "/app/roots.pem"),
    ],
)
def test_roots_of_the_containers_own_stay_and_are_warned_of(injected, own, becomes) -> None:
    outcome = injected({"name": "agent", "env": [{"name": "SSL_CERT_FILE", "value": own}]})
    assert env_of(outcome.pod["spec"]["containers"][0])["SSL_CERT_FILE"] == becomes
    warned = (
        ["container agent: own roots in SSL_CERT_FILE, HTTPS to Backends fails"] if becomes == own else []
    )
    assert list(outcome.warnings) == (warned if own == "/app/roots.pem" else [])


def test_roots_from_elsewhere_stay_and_are_warned_of(injected) -> None:
    one = {"name": "SSL_CERT_FILE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}
    outcome = injected({"name": "agent", "env": [one]})
    assert outcome.pod["spec"]["containers"][0]["env"][0] == one
    assert "own roots in SSL_CERT_FILE" in outcome.warnings[0]


def test_options_of_java_are_kept_in_front(injected) -> None:
    container = {"name": "agent", "env": [{"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx64m"}]}
    value = env_of(injected(container).pod["spec"]["containers"][0])["JAVA_TOOL_OPTIONS"]
    assert value == f"-Xmx64m {environment()['JAVA_TOOL_OPTIONS']}"


@pytest.mark.parametrize(
    "mount",
    [
        {"name": "outrider-trust", "mountPath": "/run/outrider/trust"},
        {"name": "outrider-trust", "mountPath": "/elsewhere", "readOnly": True},
        {"name": "mine", "mountPath": "/run/outrider/trust/"},
    ],
)
def test_a_mount_of_ones_own_in_its_place_is_refused(injected, mount) -> None:
    refusal = injected({"name": "agent", "volumeMounts": [mount]})
    assert isinstance(refusal, Refusal)
    assert {problem.reason for problem in refusal.problems} == {Reason.RESERVED_VOLUME}


def test_a_mount_that_was_ours_goes_where_interception_does(injected, enabled) -> None:
    first = unshared(injected().pod)
    del first["metadata"]["annotations"]["outrider.dev/interception"]
    again = inject(first, enabled, SETTINGS)
    assert isinstance(again, Injection)
    assert "outrider-trust" not in str(again.pod)


def test_what_others_add_between_two_calls_stays_where_it_is(injected, enabled) -> None:
    first = unshared(injected().pod)
    token = {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    first["spec"]["containers"][0]["volumeMounts"].append(token)
    again = inject(first, enabled, SETTINGS)
    assert again.pod["spec"]["containers"][0]["volumeMounts"] == [MOUNT, token]


def test_uninjecting_gives_the_containers_back(injected) -> None:
    own = {
        "name": "agent",
        "env": [
            {"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx64m"},
            {"name": "SSL_CERT_FILE", "value": "/app/roots.pem"},
            {"name": "PIP_CERT", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        ],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    left = unshared(injected(unshared(own), {"name": "other"}).pod)
    uninject(left, SETTINGS)
    assert left["spec"]["containers"] == [own, {"name": "other"}]
    assert "volumes" not in left["spec"]
    assert left["metadata"]["annotations"] == ON


def test_every_variable_of_the_table_is_set(injected) -> None:
    env = env_of(injected().pod["spec"]["containers"][0])
    assert {variable.name for variable in TRUST_VARIABLES} <= env.keys()
