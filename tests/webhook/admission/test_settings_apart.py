"""While replicas are replaced, one with old settings and one with new ones may change the same pod: the API server
asks again after every change. What the last one makes of it is what it would have made alone.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace
from webhook.admission.settings import InjectionSettings, NativeSidecars, Ports

NAMESPACE = Namespace("agents", {"outrider.dev/injection": "enabled"}, {})
SETTINGS = {
    "first": InjectionSettings(),
    "ports": InjectionSettings(ports=Ports(15102, 15543, 15120, 15101, 15106)),
    "user": InjectionSettings(uid=1775),
    "image": InjectionSettings(image="outrider/sidecar:0.2.0", image_pull_secrets=("pull",)),
    "ordinary": InjectionSettings(native_sidecars=NativeSidecars.NEVER),
    "transparent": InjectionSettings(defaults={"outrider.dev/capture": "transparent"}),
    "policies": InjectionSettings(policy_config_map="others", listen_host="0.0.0.0"),
}
PODS = {
    "plain": {"containers": [{"name": "app", "image": "app"}]},
    "two": {
        "containers": [{"name": "app", "image": "app"}, {"name": "other", "image": "other"}],
        "initContainers": [{"name": "set-up", "image": "app"}],
        "imagePullSecrets": [{"name": "own"}],
    },
    "variables": {
        "containers": [
            {
                "name": "app",
                "image": "app",
                # In both spellings, as injection leaves them.
                "env": [{"name": name, "value": "own"} for name in ("A", "NO_PROXY", "no_proxy")],
            }
        ]
    },
    "probed": {
        "containers": [
            {
                "name": "app",
                "image": "app",
                "ports": [{"containerPort": 9000}],
                "readinessProbe": {"httpGet": {"path": "/", "port": 9000}},
            }
        ]
    },
}


def made(pod, settings):
    outcome = inject(pod, NAMESPACE, settings)
    assert isinstance(outcome, Injection), outcome
    return outcome.pod


@pytest.mark.parametrize("spec", PODS)
@pytest.mark.parametrize(("one", "other"), list(permutations(SETTINGS, 2)))
def test_the_last_replica_makes_of_a_pod_what_it_would_have_made_alone(spec, one, other) -> None:
    user = {"runAsUser": 1000, "runAsNonRoot": True}  # as transparent capture asks of applications
    pod = {"metadata": {"name": "agent"}, "spec": {"securityContext": user, **PODS[spec]}}
    assert made(made(pod, SETTINGS[one]), SETTINGS[other]) == made(pod, SETTINGS[other])


@pytest.mark.parametrize("one", ["first", "ports", "user", "ordinary", "policies"])
@pytest.mark.parametrize("own", [[], ["ALL_PROXY", "all_proxy", "grpc_proxy"]])
def test_stored_output_of_inject_passes_after_the_settings_have_changed(one, own) -> None:
    """Variables that the author pointed to the sidecar follow it to its other port."""
    env = [{"name": name, "value": SETTINGS[one].proxy_url} for name in own]
    spec = {"containers": [{"name": "app", "image": "app", "env": env}]}
    stored = made({"metadata": {"name": "agent"}, "spec": spec}, SETTINGS[one])
    changed = InjectionSettings(ports=Ports(16002, 16443, 16020, 16001, 16006))
    *_, app = made(stored, changed)["spec"]["containers"]
    to_proxy = [variable["value"] for variable in app["env"] if variable["name"].lower().endswith("s_proxy")]
    to_proxy += [variable["value"] for variable in app["env"] if variable["name"] in own]
    assert set(to_proxy) == {"http://127.0.0.1:16002"}


def test_a_sidecar_by_hand_leads_no_variable_past_the_real_one() -> None:
    """Whoever claims that a proxy of theirs is an earlier sidecar's has the variables pointed to the real one."""
    env = [
        {"name": name, "value": "http://127.0.0.1:3128"}
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    ]
    forged = {"name": "outrider-sidecar", "image": "mine"}
    claims = {"name": "OUTRIDER_LISTEN_FORWARD", "value": "127.0.0.1:3128"}
    spec = {
        "initContainers": [{**forged, "env": [claims]}],
        "containers": [{"name": "app", "image": "app", "env": env}],
    }
    (app,) = made({"metadata": {"name": "agent"}, "spec": spec}, InjectionSettings())["spec"]["containers"]
    assert {one["value"] for one in app["env"] if one["name"].lower().endswith("s_proxy")} == {
        "http://127.0.0.1:15002"
    }
    spec["initContainers"] = [{**forged, "env": [{**claims, "value": "evil.example:3128"}]}]
    app_env = [{**one, "value": "http://evil.example:3128"} for one in env]
    spec["containers"] = [{"name": "app", "image": "app", "env": app_env}]
    outcome = inject({"metadata": {"name": "agent"}, "spec": spec}, NAMESPACE, InjectionSettings())
    assert {one.reason for one in outcome.problems} == {"proxy_conflict"}
