"""Pods that run with their sidecar, whoever makes them, and with every feature that a pod may ask for."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.cluster.conftest import MakeNamespace, remove_namespace
from e2e.cluster.installation import Installation
from e2e.cluster.kube import Kube, pod, workload
from e2e.cluster.node import Node
from e2e.pods import document
from mesh.settings.table import SIDECAR_CONTAINER

SHELL = "example/shell"
NAMESPACE = "workloads"
ENABLED = {"outrider.dev/injection": "enabled"}
BY_JOBS = {"restartPolicy": "Never"}
APPLICATION = {"runAsUser": 4000, "runAsGroup": 4000, "runAsNonRoot": True}
HARDENED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
FETCH = """
import os, sys, urllib.request, urllib.error
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), os.environ["HTTP_PROXY"])
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""


def policies(*documents: dict[str, Any]) -> str:
    """Manifests of documents."""
    return yaml.safe_dump_all(documents)


def shell(name: str, script: str, **spec: Any) -> dict[str, Any]:
    return pod(name, image=SHELL, command=["sh", "-c", script], **spec)


def web(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A web server that says `hello`, and its Service."""
    serve = (
        "mkdir /tmp/w; echo hello > /tmp/w/index.html; exec python -m http.server 8080 --bind :: -d /tmp/w"
    )
    probe = {"httpGet": {"port": 8080}, "periodSeconds": 1}
    server = shell(name, serve, ports=[{"containerPort": 8080}], readinessProbe=probe)
    spec = {"selector": {"app": name}, "ports": [{"port": 8080}]}
    return server, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def agents(outrider: Installation, kube: Kube) -> Iterator[str]:
    """A namespace that has policies, and a workload of each kind."""
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": ENABLED}})
    kube.until(lambda: kube.get("ServiceAccount", "default", NAMESPACE), "the account")
    host = f"web.{NAMESPACE}-tools.svc.cluster.local"
    backend = document("Backend", "web", protocol="HTTP", host=host, port=8080, tls={"mode": "None"})
    policy = document("AgentPolicy", "agents", outbound=[{"backend": "web"}])
    cron = workload("CronJob", "cron", shell("cron", "true"), schedule="0 0 1 1 *")
    made_by_hand = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "of-cron", "annotations": {"cronjob.kubernetes.io/instantiate": "manual"}},
        "spec": cron["spec"]["jobTemplate"]["spec"],
    }
    kube.apply(
        policies(backend, policy),
        workload("Deployment", "deployment", pod("deployment"), replicas=2),
        workload("StatefulSet", "stateful", pod("stateful"), replicas=2),
        workload("DaemonSet", "daemon", pod("daemon")),
        workload("Job", "job", shell("job", "echo done")),
        cron,
        made_by_hand,
        namespace=NAMESPACE,
    )
    yield NAMESPACE
    remove_namespace(kube, NAMESPACE)


@pytest.fixture(scope="module")
def tools(kube: Kube) -> Iterator[str]:
    """Somebody else's namespace, with a web server that knows nothing of Outrider."""
    name = f"{NAMESPACE}-tools"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    kube.until(lambda: kube.get("ServiceAccount", "default", name), "the account")
    kube.apply(*web("web"), namespace=name)
    kube.wait_ready("web", name)
    yield name
    remove_namespace(kube, name)


def sidecar_of(found: dict[str, Any]) -> dict[str, Any]:
    """The status of a pod's sidecar, which is its first init container."""
    status: dict[str, Any] = found["status"]["initContainerStatuses"][0]
    assert (status["name"], status["started"]) == (SIDECAR_CONTAINER, True)
    assert found["metadata"]["labels"]["outrider.dev/injected"] == "true"
    return status


def test_a_pod_that_is_made_directly(kube: Kube, agents: str) -> None:
    kube.create(pod("direct"), namespace=agents)
    assert sidecar_of(kube.wait_ready("direct", agents))["ready"]


def test_a_pod_without_a_name(kube: Kube, agents: str, kubelet: Node) -> None:
    asked = pod("generated")
    del asked["metadata"]["name"]
    asked["metadata"]["generateName"] = "generated-"
    made = kube.create(asked, namespace=agents)["metadata"]["name"]
    assert sidecar_of(kube.wait_ready(made, agents))["ready"]
    said = kubelet.exec(agents, made, SIDECAR_CONTAINER, ["printenv", "OUTRIDER_AGENT_NAME"])
    assert said == (0, f"{made}\n")


@pytest.mark.parametrize("name", ["deployment", "stateful"])
def test_pods_of_a_deployment_and_of_a_stateful_set(name: str, kube: Kube, agents: str) -> None:
    pods = kube.wait_rollout(name, agents)
    assert [sidecar_of(one)["ready"] for one in pods] == [True, True]


def test_pods_of_a_daemon_set(kube: Kube, agents: str) -> None:
    kube.until(
        lambda: kube.the("DaemonSet", "daemon", agents)["status"].get("numberReady") == 1 or None,
        "it runs",
        agents,
    )
    (found,) = kube.items("Pod", agents, "app=daemon")
    assert sidecar_of(found)["ready"]


@pytest.mark.parametrize(("job", "app"), [("job", "job"), ("of-cron", "cron")])
def test_jobs_complete_and_their_sidecar_ends_well(job: str, app: str, kube: Kube, agents: str) -> None:
    kube.wait_job(job, agents)
    (ran,) = kube.items("Pod", agents, f"app={app}")
    assert ran["status"]["phase"] == "Succeeded"
    (sidecar,) = ran["status"]["initContainerStatuses"]
    assert sidecar["state"]["terminated"]["exitCode"] == 0


@pytest.mark.parametrize("capture", ["explicit", "transparent"])
def test_init_containers_reach_the_network_through_the_sidecar(
    capture: str, kube: Kube, agents: str, tools: str
) -> None:
    name = f"init-{capture}"
    asked = shell(name, "true", annotations={"outrider.dev/capture": capture}, **BY_JOBS)
    asked["spec"]["securityContext"] = APPLICATION
    asked["spec"]["containers"][0]["securityContext"] = HARDENED
    program = FETCH.replace('os.environ["HTTP_PROXY"]', 'os.environ.get("HTTP_PROXY")')
    url = f"http://web.{tools}.svc.cluster.local:8080/"
    first = {"name": "first", "image": SHELL, "command": ["python", "-c", program, url]}
    asked["spec"]["initContainers"] = [{**first, "securityContext": HARDENED}]
    kube.create(asked, namespace=agents)
    kube.wait_phase(name, agents, "Succeeded")
    proxy = "http://127.0.0.1:15002" if capture == "explicit" else "None"
    assert kube.logs(name, agents, "first").split() == ["hello", proxy]
    decided = [json.loads(line) for line in kube.logs(name, agents, SIDECAR_CONTAINER).splitlines()]
    assert any(line.get("backend") == "web" for line in decided), decided


WRONG = {"outrider.dev/memory": "lots", "outrider.dev/tols-allow": "x"}


@pytest.mark.parametrize(
    ("kind", "who"), [("Deployment", "ReplicaSet"), ("StatefulSet", "StatefulSet"), ("Job", "Job")]
)
def test_a_refusal_reaches_the_author_of_a_template_as_an_event(
    kind: str, who: str, kube: Kube, make_namespace: MakeNamespace, outrider: Installation
) -> None:
    namespace = make_namespace(**ENABLED)
    kube.apply(workload(kind, "wrong", shell("wrong", "true", annotations=WRONG)), namespace=namespace)
    event = kube.wait_event("FailedCreate", namespace)
    assert event.startswith(f"Warning {who}/wrong")
    assert "outrider refuses this pod (annotation_invalid): " in event
    assert "annotation outrider.dev/memory='lots' of the pod is not a quantity" in event
    assert "annotation outrider.dev/tols-allow='x' of the pod is unknown" in event


def test_a_hidden_secret_is_the_sidecars_alone(kube: Kube, agents: str, kubelet: Node) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "api"},
        "stringData": {"token": "s3cret"},
    }
    kube.apply(secret, namespace=agents)
    source = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}
    url = {"name": "URL", "value": "https://user:$(TOKEN)@api.example"}
    asked = shell("hidden", "env; exec sleep 1000", env=[source, url])
    asked["metadata"]["annotations"] = {"outrider.dev/hide-secrets": "TOKEN"}
    made = kube.create(asked, namespace=agents)
    assert kube.warnings == ()
    kube.wait_ready("hidden", agents)
    kube.until(lambda: "URL=" in kube.logs("hidden", agents, "app"), "it told its environment", agents)
    told = dict(line.split("=", 1) for line in kube.logs("hidden", agents, "app").splitlines() if "=" in line)
    assert told["TOKEN"].startswith("outrider-hidden-")
    assert told["URL"] == f"https://user:{told['TOKEN']}@api.example"
    assert "s3cret" not in kube.logs("hidden", agents, "app")
    sidecar, app = made["spec"]["initContainers"][0], made["spec"]["containers"][0]
    (mount,) = (one for one in sidecar["volumeMounts"] if one["name"] == "outrider-hidden-secrets")
    assert not [one for one in app["volumeMounts"] if one["name"].startswith("outrider-")]
    code, found = kubelet.exec(
        agents, "hidden", SIDECAR_CONTAINER, ["cat", f"{mount['mountPath']}/{told['TOKEN']}"]
    )
    assert (code, found.strip()) == (0, "s3cret"), found


def test_probes_of_a_captured_server_are_asked_by_the_sidecar(kube: Kube, agents: str) -> None:
    server, _ = web("probed")
    server["metadata"]["annotations"] = {"outrider.dev/capture": "transparent"}
    server["spec"]["securityContext"] = APPLICATION
    container = server["spec"]["containers"][0]
    container["securityContext"] = HARDENED
    container["livenessProbe"] = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    container["startupProbe"] = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    made = kube.create(server, namespace=agents)["spec"]["containers"][0]
    assert made["readinessProbe"]["httpGet"]["path"] == "/app-health/app/readiness"
    assert made["livenessProbe"]["httpGet"]["path"] == "/app-health/app/liveness"
    assert made["startupProbe"]["exec"] == {"command": ["true"]}
    found = kube.wait_ready("probed", agents)
    assert found["status"]["containerStatuses"][0]["restartCount"] == 0


def test_an_application_finds_the_files_of_interception(kube: Kube, agents: str) -> None:
    script = (
        'test -s "$SSL_CERT_FILE" && grep -c BEGIN "$NODE_EXTRA_CA_CERTS"; touch /run/outrider/trust/x 2>&1'
    )
    asked = shell("trusting", script + "; true", annotations={"outrider.dev/interception": "on"}, **BY_JOBS)
    kube.create(asked, namespace=agents)
    kube.wait_phase("trusting", agents, "Succeeded")
    count, refused = kube.logs("trusting", agents, "app").splitlines()
    assert int(count) >= 1
    assert "Read-only" in refused or "denied" in refused


NARROWED = {
    "outrider.dev/policy": "agents",
    "outrider.dev/tools-allow": "web/get_*, web/list_*",
    "outrider.dev/tools-deny": "*/delete_*",
    "outrider.dev/mode": "enforce",
    "outrider.dev/cpu": "75m",
    "outrider.dev/memory-limit": "320Mi",
    "outrider.dev/log-level": "warning",
}


def test_annotations_that_narrow_arrive_in_the_sidecar(kube: Kube, agents: str) -> None:
    made = kube.create(pod("narrowed", annotations=NARROWED), namespace=agents)
    sidecar = made["spec"]["initContainers"][0]
    variables = {one["name"]: one.get("value") for one in sidecar["env"]}
    assert json.loads(variables["OUTRIDER_NARROW_TOOLS_ALLOW"]) == [["web/get_*", "web/list_*"]]
    assert json.loads(variables["OUTRIDER_NARROW_TOOLS_DENY"]) == ["*/delete_*"]
    assert sidecar["resources"]["requests"]["cpu"] == "75m"
    assert sidecar["resources"]["limits"]["memory"] == "320Mi"
    kube.wait_ready("narrowed", agents)
    status = json.loads(made["metadata"]["annotations"]["outrider.dev/status"])
    assert status["settings"]["cpu"] == {"layer": "pod", "value": "75m"}


def test_a_sidecar_is_reached_by_both_addresses_of_its_pod(kube: Kube, agents: str) -> None:
    kube.create(pod("dual"), namespace=agents)
    found = kube.wait_ready("dual", agents)
    hosts = [one["ip"] for one in found["status"]["podIPs"]]
    urls = [
        f"http://[{host}]:15020/readyz" if ":" in host else f"http://{host}:15020/readyz" for host in hosts
    ]
    assert [urllib.request.urlopen(url, timeout=5).status for url in urls] == [200, 200]  # noqa: S310
