"""The two rooms agree: what injection writes into the sidecar's environment, the sidecar's own loader reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar.config import Decisions, Provider, load_config
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace
from webhook.admission.settings import Identity, IdentityVolume, InjectionSettings, Ports

NAMESPACE = Namespace("agents", {"outrider.dev/injection": "required"})
# What the kubelet would put in place of the downward API.
FIELDS = {
    "metadata.namespace": "agents",
    "metadata.name": "triage-7",
    "spec.serviceAccountName": "triage",
    "status.podIP": "10.0.0.7",
}


def environment(settings: InjectionSettings, **spec: object) -> dict[str, str]:
    pod = {
        "metadata": {
            "labels": {"app": "triage", "team": "é"},
            "annotations": {"outrider.dev/log-level": "warning"},
        },
        "spec": {
            "containers": [{"name": "agent", "ports": [{"containerPort": 9000}, {"containerPort": 80}]}],
            **spec,
        },
    }
    became = inject(pod, NAMESPACE, settings)
    assert isinstance(became, Injection)
    env = became.pod["spec"]["initContainers"][0]["env"]
    return {
        one["name"]: one["value"] if "value" in one else FIELDS[one["valueFrom"]["fieldRef"]["fieldPath"]]
        for one in env
    }


def test_the_sidecar_reads_everything_that_injection_says() -> None:
    config = load_config(None, environment(InjectionSettings()))
    assert (config.agent.namespace, config.agent.name) == ("agents", "triage-7")
    assert config.agent.labels == {"app": "triage", "team": "é", "outrider.dev/injected": "true"}
    assert config.identity.provider is Provider.WORKLOAD_API
    assert config.identity.socket == "unix:///run/outrider/workload-api/spire-agent.sock"
    assert config.listen.forward == ("127.0.0.1", 15002)
    assert config.listen.inbound == ("0.0.0.0", 15443)
    assert config.listen.telemetry == ("0.0.0.0", 15020)
    assert (config.application.host, config.application.ports) == ("127.0.0.1", (9000, 80))
    assert config.policies == (Path("/etc/outrider/policies"),)
    assert config.decisions is Decisions.REFUSED


@pytest.mark.parametrize(
    "settings",
    [
        InjectionSettings(identity=Identity(IdentityVolume.NONE)),
        InjectionSettings(listen_host="[::]", ports=Ports(2000, 2001, 2002)),
        InjectionSettings(limits={"connections": 10, "idleSeconds": 2.5}),
        InjectionSettings(policy_config_map=""),
    ],
)
def test_the_sidecar_reads_every_setting_of_the_platform(settings) -> None:
    config = load_config(None, environment(settings))
    assert (config.listen.inbound is None) == (settings.identity.volume is IdentityVolume.NONE)
    assert config.listen.forward == ("127.0.0.1", settings.ports.forward)


def test_a_pod_without_ports_is_read_too() -> None:
    config = load_config(None, environment(InjectionSettings(), containers=[{"name": "agent"}]))
    assert config.application.ports == ()
    assert config.listen.inbound is None
    assert json.dumps(dict(config.agent.labels))
