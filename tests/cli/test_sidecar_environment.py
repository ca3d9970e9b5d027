"""The two rooms agree: what injection writes into the sidecar's environment, the sidecar's own loader reads."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.settings.placeholders import placeholder
from mesh.settings.trust import TRUST_DIRECTORY
from sidecar.app_probes import GrpcProbe, HttpProbe, TcpProbe
from sidecar.config import Decisions, InboundMode, Provider, load_config
from sidecar.hidden.variables import HiddenVariable
from sidecar.redirect.settings import SettingsInvalid, read_settings
from tests.support.pods import IDENTITIES
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Outcome, Refusal
from webhook.admission.permission import PERMISSIONS
from webhook.admission.settings import (
    Identity,
    IdentityVolume,
    InjectionSettings,
    NativeSidecars,
    Ports,
    Redirection,
)

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
    return environment_of(became, "outrider-sidecar")


def environment_of(became: Outcome, name: str) -> dict[str, str]:
    assert isinstance(became, Injection), became
    spec = became.pod["spec"]
    both = [*(spec.get("initContainers") or ()), *spec["containers"]]
    env = next(one["env"] for one in both if one["name"] == name) or []
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
    assert config.listen.inbound == ("*", 15443)
    assert config.listen.telemetry == ("*", 15020)
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
        InjectionSettings(native_sidecars=NativeSidecars.NEVER),
    ],
)
def test_the_sidecar_reads_every_setting_of_the_platform(settings) -> None:
    config = load_config(None, environment(settings))
    assert (config.listen.inbound is None) == (settings.identity.volume is IdentityVolume.NONE)
    assert config.listen.forward == ("127.0.0.1", settings.ports.forward)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_the_sidecar_reads_where_its_identity_comes_from(identity) -> None:
    config = load_config(None, environment(InjectionSettings(identity=identity)))
    assert config.identity.provider == identity.chosen
    if config.identity.provider is Provider.BUILTIN:
        assert config.control is not None
        assert config.control.token == Path("/run/outrider/token/token")
    if config.identity.files is not None:
        assert config.identity.files.certificate.parent == Path("/run/outrider/identity")
        assert (config.identity.files.key is None) == (identity.files.pod_certificate is not None)


def test_the_sidecar_starts_with_secrets_hidden() -> None:
    hidden = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "$(k)é"}}}
    settings = InjectionSettings(defaults={"outrider.dev/hide-secrets": "TOKEN"})
    given = environment(settings, containers=[{"name": "agent", "env": [hidden]}])
    assert "$" not in given["OUTRIDER_HIDDEN_SECRETS"]
    assert load_config(None, given).agent.name == "triage-7"


def test_a_pod_without_ports_is_read_too() -> None:
    config = load_config(None, environment(InjectionSettings(), containers=[{"name": "agent"}]))
    assert config.application.ports == ()
    assert config.listen.inbound is None
    assert json.dumps(dict(config.agent.labels))


# Transparent capture: three readers of what admission writes.

TRANSPARENT = {
    "outrider.dev/capture": "transparent",
    "outrider.dev/interception": "on",
    "outrider.dev/mtls": "permissive",
}


def captured(settings: InjectionSettings, **annotations: str) -> Outcome:
    more = {f"outrider.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    probes = {
        "livenessProbe": {
            "httpGet": {
                "path": "/é?a=b",
                "port": "web",
                "scheme": "HTTPS",
                "httpHeaders": [{"name": "X-Y", "value": "'\"é"}],
            },
            "timeoutSeconds": 9,
        },
        "readinessProbe": {"tcpSocket": {"port": 9000}},
        "startupProbe": {"grpc": {"port": 9000, "service": None}},
    }
    ports = [{"name": "web", "containerPort": 9000}]
    spec = {"containers": [{"name": "agent", "ports": ports, **probes}]}
    return inject({"metadata": {"annotations": {**TRANSPARENT, **more}}, "spec": spec}, NAMESPACE, settings)


def test_the_sidecar_reads_what_transparent_capture_adds() -> None:
    became = captured(InjectionSettings(allow=PERMISSIONS))
    config = load_config(None, environment_of(became, "outrider-sidecar"))
    assert config.listen.redirect_outbound == ("*", 15001)
    assert config.listen.redirect_inbound == ("*", 15006)
    assert config.inbound.mode is InboundMode.PERMISSIVE
    assert config.interception == Path(TRUST_DIRECTORY)
    assert config.application.probes == {
        "agent/liveness": HttpProbe(9000, 9.0, "/%C3%A9?a=b", True, ((b"x-y", "'\"é".encode()),)),
        "agent/readiness": TcpProbe(9000, 1.0),
        "agent/startup": GrpcProbe(9000, 1.0, ""),
    }


def test_the_init_step_redirects_to_where_the_sidecar_listens() -> None:
    settings = InjectionSettings(
        uid=2000,
        ports=Ports(2001, 2002, 2003, 2004, 2005),
        redirect=Redirection("closed", "off", "nft"),
        allow=PERMISSIONS,
    )
    became = captured(settings, exclude_outbound_ports="22,5432", exclude_outbound_cidrs="fd00::/8")
    config = load_config(None, environment_of(became, "outrider-sidecar"))
    step = read_settings(environment_of(became, "outrider-redirect"))
    assert (step.uid, step.gid) == (2000, 2000)
    assert config.listen.redirect_outbound == ("*", step.outbound_port)
    assert config.listen.redirect_inbound == ("*", step.inbound_port)
    assert config.listen.forward == ("127.0.0.1", step.forward_port)
    assert config.listen.inbound == ("*", step.mtls_port)
    assert config.listen.telemetry == ("*", step.telemetry_port)
    assert step.exclude_outbound_ports == (22, 5432)
    assert (str(step.udp), str(step.ipv6), str(step.backend)) == ("closed", "off", "nft")


ports = st.lists(
    st.sampled_from(["22", "80", "15443", "15020", "15006", "0", "x", "", "65536"]), max_size=3
).map(",".join)
blocks = st.lists(
    st.sampled_from(["10.0.0.0/8", "0.0.0.0/1", "128.0.0.0/1", "::/0", "fd00::1/8", "::ffff:1.2.3.4/128"]),
    max_size=3,
).map(",".join)


@given(inbound=ports, outbound=ports, cidrs=blocks)
def test_what_admission_accepts_the_init_step_accepts(inbound: str, outbound: str, cidrs: str) -> None:
    written = {
        "exclude_inbound_ports": inbound,
        "exclude_outbound_ports": outbound,
        "exclude_outbound_cidrs": cidrs,
    }
    became = captured(InjectionSettings(allow=PERMISSIONS), **written)
    # Ports that are open to others anyway may stand there for the step; for an author they are a mistake.
    if isinstance(became, Injection):
        read_settings(environment_of(became, "outrider-redirect"))
    elif not {"15443", "15020"} & set(inbound.split(",")):
        assert isinstance(became, Refusal)
        with pytest.raises(SettingsInvalid):
            read_settings({f"OUTRIDER_REDIRECT_{name.upper()}": value for name, value in written.items()})


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)


@given(path=TEXT, value=TEXT, seconds=st.integers(1, 2**31 - 1))
def test_whatever_a_probe_holds_the_sidecar_reads_it_or_admission_refuses(
    path: str, value: str, seconds: int
) -> None:
    action = {"path": path, "port": 9000, "httpHeaders": [{"name": "x", "value": value}]}
    probe = {"httpGet": action, "timeoutSeconds": seconds}
    pod = {
        "metadata": {"annotations": TRANSPARENT},
        "spec": {"containers": [{"name": "agent", "livenessProbe": probe}]},
    }
    became = inject(pod, NAMESPACE, InjectionSettings(allow=PERMISSIONS))
    if isinstance(became, Refusal):
        assert {ord(char) for char in value} & {*range(9), *range(10, 32), 127}
        return
    env = environment_of(became, "outrider-sidecar")
    assert "$" not in env["OUTRIDER_APPLICATION_PROBES"]
    read = load_config(None, env).application.probes["agent/liveness"]
    assert isinstance(read, HttpProbe)
    assert (read.seconds, read.headers) == (float(seconds), ((b"x", value.encode()),))
    assert inject(became.pod, NAMESPACE, InjectionSettings(allow=PERMISSIONS)).pod == became.pod


@pytest.mark.parametrize(
    "path", ["/😀", "/$(KUBERNETES_SERVICE_HOST)", "/\x7f\x80", "/\ufffe\u2028", '/a\tb"\\']
)
def test_what_yaml_and_the_kubelet_would_read_otherwise_arrives_as_it_was(path: str) -> None:
    pod = {
        "metadata": {"annotations": TRANSPARENT},
        "spec": {"containers": [{"name": "agent", "livenessProbe": {"httpGet": {"path": path, "port": 1}}}]},
    }
    env = environment_of(inject(pod, NAMESPACE, InjectionSettings(allow=PERMISSIONS)), "outrider-sidecar")
    read = load_config(None, env).application.probes["agent/liveness"]
    assert isinstance(read, HttpProbe)
    assert unquote(read.path) == path


def test_the_sidecar_reads_where_secrets_are_and_what_is_hidden() -> None:
    spec = {
        "containers": [
            {
                "name": "agent",
                "env": [
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
                    {"name": "TOKEN", "value": "$(HOME) é \U0001f600"},
                ],
            }
        ]
    }
    annotations = {"outrider.dev/hide-secrets": "TOKEN", "outrider.dev/credential-secrets": "idp"}
    became = inject({"metadata": {"annotations": annotations}, "spec": spec}, NAMESPACE, InjectionSettings())
    config = load_config(None, environment_of(became, "outrider-sidecar"))
    fake = placeholder("agent", "TOKEN")
    assert config.credentials == Path("/run/outrider/credentials")
    assert config.hidden_secrets == {
        fake: HiddenVariable("agent", "TOKEN", (Path(f"/run/outrider/hidden-secrets/{fake}"),))
    }
