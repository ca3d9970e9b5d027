from __future__ import annotations

import json

import pytest

from mesh.settings.table import SIDECAR_ENV
from webhook.admission.inject import inject
from webhook.admission.settings import Identity, IdentityVolume, InjectionSettings, Ports
from webhook.admission.settings_file import parse_settings


def sidecar_of(injection):
    return injection.pod["spec"]["initContainers"][0]


def env_of(injection):
    return {variable["name"]: variable for variable in sidecar_of(injection)["env"]}


def test_the_sidecar_is_a_native_one_and_stands_first(pod, enabled, settings) -> None:
    injected = inject(pod(initContainers=[{"name": "seed"}]), enabled, settings)
    names = [container["name"] for container in injected.pod["spec"]["initContainers"]]
    assert names == ["outrider-sidecar", "seed"]
    assert sidecar_of(injected)["restartPolicy"] == "Always"
    assert "lifecycle" not in sidecar_of(injected)


def test_init_containers_after_it_get_the_proxy_variables_too(pod, enabled, settings) -> None:
    injected = inject(pod(initContainers=[{"name": "seed"}]), enabled, settings)
    seed = injected.pod["spec"]["initContainers"][1]
    assert {"name": "HTTP_PROXY", "value": "http://127.0.0.1:15002"} in seed["env"]
    assert "HTTP_PROXY" not in env_of(injected)


def test_it_fits_pod_security_restricted(pod, enabled, settings) -> None:
    context = sidecar_of(inject(pod(), enabled, settings))["securityContext"]
    assert context == {
        "runAsNonRoot": True,
        "runAsUser": 1774,
        "runAsGroup": 1774,
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    kinds = {key for volume in inject(pod(), enabled, settings).pod["spec"]["volumes"] for key in volume}
    assert kinds == {"name", "csi", "configMap", "emptyDir"}


def test_every_variable_is_one_of_the_table(pod, enabled, settings) -> None:
    assert set(env_of(inject(pod(), enabled, settings))) <= set(SIDECAR_ENV)


def test_only_the_platform_opens_private_addresses(pod, enabled, settings) -> None:
    name = "OUTRIDER_EGRESS_PRIVATE_ADDRESSES"
    assert name not in env_of(inject(pod(), enabled, settings))
    opened = parse_settings("egress: {privateAddresses: allow}", "x").injection
    assert env_of(inject(pod(), enabled, opened))[name]["value"] == "allow"


def test_who_the_pod_is_comes_from_the_kubelet(pod, enabled, settings) -> None:
    env = env_of(inject(pod(), enabled, settings))
    paths = {
        name: one["valueFrom"]["fieldRef"]["fieldPath"] for name, one in env.items() if "valueFrom" in one
    }
    assert paths == {
        "OUTRIDER_AGENT_NAMESPACE": "metadata.namespace",
        "OUTRIDER_AGENT_NAME": "metadata.name",
        "OUTRIDER_AGENT_SERVICE_ACCOUNT": "spec.serviceAccountName",
        "OUTRIDER_POD_IP": "status.podIP",
    }


def test_labels_and_ports_of_the_pod_are_passed_on(pod, enabled, settings) -> None:
    containers = [
        {"name": "a", "ports": [{"containerPort": 9000}, {"containerPort": 9001, "protocol": "UDP"}]},
        {"name": "b", "ports": [{"containerPort": 8080, "protocol": "TCP"}, {"containerPort": 9000}]},
    ]
    env = env_of(inject(pod(labels={"app": "triage"}, containers=containers), enabled, settings))
    assert json.loads(env["OUTRIDER_AGENT_LABELS"]["value"]) == {
        "app": "triage",
        "outrider.dev/injected": "true",
    }
    assert env["OUTRIDER_APPLICATION_PORTS"]["value"] == "9000,8080"


def test_a_pod_without_ports_says_nothing_about_them_and_nothing_listens_for_peers(
    pod, enabled, settings
) -> None:
    env = env_of(inject(pod(), enabled, settings))
    assert "OUTRIDER_APPLICATION_PORTS" not in env
    assert env["OUTRIDER_LISTEN_INBOUND"]["value"] == "off"


def test_only_the_sidecar_mounts_the_volumes_and_never_writable(pod, enabled, settings) -> None:
    injected = inject(pod(), enabled, settings)
    mounts = {mount["name"]: mount for mount in sidecar_of(injected)["volumeMounts"]}
    assert mounts["outrider-identity"]["readOnly"] is True
    assert mounts["outrider-policy"] == {
        "name": "outrider-policy",
        "mountPath": "/etc/outrider/policies",
        "readOnly": True,
    }
    volumes = {volume["name"]: volume for volume in injected.pod["spec"]["volumes"]}
    assert volumes["outrider-identity"]["csi"] == {"driver": "csi.spiffe.io", "readOnly": True}
    assert volumes["outrider-tmp"]["emptyDir"]["medium"] == "Memory"
    assert all("volumeMounts" not in container for container in injected.pod["spec"]["containers"])


def test_the_socket_may_come_from_the_node(pod, enabled) -> None:
    identity = Identity(IdentityVolume.HOST_PATH, "agent.sock", "/run/spire/sockets")
    injected = inject(pod(), enabled, InjectionSettings(identity=identity))
    assert injected.pod["spec"]["volumes"][0] == {
        "name": "outrider-identity",
        "hostPath": {"path": "/run/spire/sockets", "type": "Directory"},
    }
    socket = env_of(injected)["OUTRIDER_IDENTITY_SOCKET"]["value"]
    assert socket == "unix:///run/outrider/workload-api/agent.sock"


def test_without_identity_nothing_is_mounted_and_nothing_listens_for_peers(pod, enabled) -> None:
    settings = InjectionSettings(identity=Identity(IdentityVolume.NONE), policy_config_map="")
    injected = inject(pod(), enabled, settings)
    assert [volume["name"] for volume in injected.pod["spec"]["volumes"]] == ["outrider-tmp"]
    env = env_of(injected)
    assert env["OUTRIDER_IDENTITY_PROVIDER"]["value"] == "none"
    assert env["OUTRIDER_LISTEN_INBOUND"]["value"] == "off"
    assert "OUTRIDER_IDENTITY_SOCKET" not in env


def test_ports_limits_and_pull_secrets_of_the_platform_are_used(pod, enabled) -> None:
    settings = InjectionSettings(
        ports=Ports(16002, 16443, 16020),
        listen_host="[::]",
        limits={"connections": 10},
        image_pull_secrets=("mine", "theirs", "mine"),
    )
    containers = [{"name": "agent", "ports": [{"containerPort": 9000}]}]
    injected = inject(pod(imagePullSecrets=[{"name": "theirs"}], containers=containers), enabled, settings)
    env = env_of(injected)
    assert env["OUTRIDER_LISTEN_FORWARD"]["value"] == "127.0.0.1:16002"
    assert env["OUTRIDER_LISTEN_INBOUND"]["value"] == "[::]:16443"
    assert env["OUTRIDER_LIMITS"]["value"] == '{"connections": 10}'
    assert sidecar_of(injected)["startupProbe"]["httpGet"] == {"path": "/readyz", "port": 16020}
    assert sidecar_of(injected)["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert injected.pod["spec"]["imagePullSecrets"] == [{"name": "theirs"}, {"name": "mine"}]


def test_resources_of_the_whole_pod_leave_those_of_the_sidecar_out(pod, enabled, settings) -> None:
    assert "resources" not in sidecar_of(inject(pod(resources={"limits": {"cpu": "1"}}), enabled, settings))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "outrider-tmp"),
        ("scratch", "scratch,outrider-tmp"),
        ("outrider-tmp,scratch", "scratch,outrider-tmp"),
    ],
)
def test_our_memory_volume_does_not_hold_the_autoscaler_up(pod, enabled, settings, before, after) -> None:
    name = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
    annotations = None if before is None else {name: before}
    assert (
        inject(pod(annotations=annotations), enabled, settings).pod["metadata"]["annotations"][name] == after
    )


def test_kubectl_finds_the_only_application_container(pod, enabled, settings) -> None:
    name = "kubectl.kubernetes.io/default-container"
    assert inject(pod(), enabled, settings).pod["metadata"]["annotations"][name] == "agent"
    two = pod(containers=[{"name": "a"}, {"name": "b"}])
    assert name not in inject(two, enabled, settings).pod["metadata"]["annotations"]
    chosen = pod(annotations={name: "mine"})
    assert inject(chosen, enabled, settings).pod["metadata"]["annotations"][name] == "mine"
