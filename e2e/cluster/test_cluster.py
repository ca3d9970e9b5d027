"""The cluster under the other tests is one: controllers, admission, RBAC and the API server's restart."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path

import pytest

from e2e.cluster.api import ApiError
from e2e.cluster.binaries import binaries, chosen
from e2e.cluster.conftest import Cluster, MakeNamespace
from e2e.cluster.control_plane import ControlPlane, control_plane
from e2e.cluster.kube import Kube, pod, workload
from e2e.cluster.restarts import RESTARTS
from e2e.cluster.shells import SERVE, SHELL, printed, python, shell
from e2e.processes import DidNotStart

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def started(program: Path) -> set[str]:
    """The processes of a program that this process has started and that are not over."""
    tasks = Path("/proc/self/task").glob("*/children")
    pids = [pid for task in tasks for pid in task.read_text(encoding="ascii").split()]
    found = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):  # it is over
            if Path(f"/proc/{pid}/exe").resolve() == program.resolve():
                found.add(pid)
    return found


def test_a_pod_runs_with_two_addresses(kube: Kube, namespace: str) -> None:
    kube.create(pod("one"), namespace=namespace)
    found = kube.wait_ready("one", namespace)
    assert [("." in one["ip"], ":" in one["ip"]) for one in found["status"]["podIPs"]] == [(1, 0), (0, 1)]
    assert found["spec"]["nodeName"] == "node-1"


def test_a_deployment_makes_pods_that_others_reach_by_its_service(kube: Kube, namespace: str) -> None:
    served = pod("web", image=SHELL, command=SERVE, ports=[{"containerPort": 8080, "name": "http"}])
    served["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"port": "http"}, "periodSeconds": 1}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    kube.apply(workload("Deployment", "web", served, replicas=2), service, namespace=namespace)
    assert len(kube.wait_rollout("web", namespace)) == 2
    fetch = "import urllib.request as u; print(u.urlopen('http://web/', timeout=5).status)"
    kube.create(python("client", fetch, restartPolicy="OnFailure"), namespace=namespace)
    assert printed(kube, namespace, "client").endswith("200\n")


def test_the_api_server_passes_requests_on_to_pods(kube: Kube, namespace: str) -> None:
    kube.create(pod("web", image=SHELL, command=SERVE), namespace=namespace)
    kube.wait_ready("web", namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/web:8080/proxy/etc/hostname"

    def answered() -> bool:
        try:
            return kube.api.text("GET", path) == "web\n"
        except ApiError:
            return False

    kube.until(answered, "an answer of the pod", namespace)


def test_endpoint_slices_hold_ready_pods_only(kube: Kube, namespace: str) -> None:
    probed = shell(
        "late",
        "sleep 1000",
        readinessProbe={"exec": {"command": ["test", "-e", "/ready/it"]}, "periodSeconds": 1},
    )
    probed["spec"]["volumes"] = [{"name": "ready", "configMap": {"name": "ready", "optional": True}}]
    probed["spec"]["containers"][0]["volumeMounts"] = [{"name": "ready", "mountPath": "/ready"}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "late"},
        "spec": {"selector": {"app": "late"}, "ports": [{"port": 80}]},
    }
    kube.apply(probed, service, namespace=namespace)

    def ready(wanted: bool) -> bool | None:
        slices = kube.items("EndpointSlice", namespace, "kubernetes.io/service-name=late")
        found = [one["conditions"]["ready"] for item in slices for one in item["endpoints"] or []]
        return found == [wanted] or None

    kube.until(lambda: ready(False), "an endpoint that is not ready", namespace)
    kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ready"}, "data": {"it": ""}},
        namespace=namespace,
    )
    kube.until(lambda: ready(True), "a ready endpoint", namespace)


def test_a_job_completes_although_its_native_sidecar_runs_on(kube: Kube, namespace: str) -> None:
    template = shell("job", "echo done")
    template["spec"]["initContainers"] = [
        {
            "name": "side",
            "image": SHELL,
            "restartPolicy": "Always",
            "command": [
                "sh",
                "-c",
                "trap 'echo ended; exit 0' TERM; touch /tmp/up; while :; do sleep 0.05; done",
            ],
            "startupProbe": {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1},
        }
    ]
    kube.apply(workload("Job", "job", template), namespace=namespace)
    kube.wait_job("job", namespace)
    (ran,) = kube.items("Pod", namespace)
    assert ran["status"]["phase"] == "Succeeded"
    assert ran["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert kube.logs(ran["metadata"]["name"], namespace, "side") == "ended\n"


def test_a_cron_job_and_a_stateful_set_make_their_pods(kube: Kube, namespace: str) -> None:
    kube.apply(
        workload("StatefulSet", "set", pod("set"), replicas=2),
        workload("CronJob", "cron", shell("cron", "true"), schedule="* * * * *", suspend=True),
        namespace=namespace,
    )
    assert {one["metadata"]["name"] for one in kube.wait_rollout("set", namespace)} == {"set-0", "set-1"}
    made = kube.the("CronJob", "cron", namespace)["spec"]["jobTemplate"]
    now = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "now"}, "spec": made["spec"]}
    kube.apply(now, namespace=namespace)
    kube.wait_job("now", namespace)


def test_a_pod_reaches_the_api_server_as_its_service_account(kube: Kube, namespace: str) -> None:
    program = """
import json, os, ssl, urllib.request
where = "/var/run/secrets/kubernetes.io/serviceaccount/"
context = ssl.create_default_context(cafile=where + "ca.crt")
url = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
request = urllib.request.Request(url + "/apis/authentication.k8s.io/v1/selfsubjectreviews", method="POST",
    data=b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
    headers={"Authorization": "Bearer " + open(where + "token").read(), "Content-Type": "application/json"})
print(json.load(urllib.request.urlopen(request, context=context))["status"]["userInfo"]["username"])
"""
    kube.create(python("who", program), namespace=namespace)
    assert printed(kube, namespace, "who") == f"system:serviceaccount:{namespace}:default\n"


def test_pod_security_refuses(kube: Kube, make_namespace: MakeNamespace) -> None:
    namespace = make_namespace(**RESTRICTED)
    with pytest.raises(ApiError, match="violates PodSecurity") as refused:
        kube.create(pod("open"), namespace=namespace)
    assert refused.value.status == 403


def test_a_control_plane_that_cannot_start_says_why_and_leaves_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    broken = dataclasses.replace(binaries(chosen()), api_server=Path("/bin/false"))
    before = started(broken.etcd)
    with pytest.raises(DidNotStart, match="it exited"):
        with control_plane(broken, cluster.plane.addresses, tmp_path):
            pass
    assert before
    assert started(broken.etcd) == before


@RESTARTS
def test_pods_outlive_the_api_server(kube: Kube, namespace: str, plane: ControlPlane) -> None:
    kube.create(shell("steady", "exec sleep 1000"), namespace=namespace)
    before = kube.wait_ready("steady", namespace)
    plane.restart_api_server()
    kube.create(pod("after"), namespace=namespace)
    kube.wait_ready("after", namespace)
    found = kube.the("Pod", "steady", namespace)
    assert found["status"]["containerStatuses"] == before["status"]["containerStatuses"]


def test_the_audit_log_says_who_did_what(kube: Kube, namespace: str, plane: ControlPlane) -> None:
    kube.create(pod("seen"), namespace=namespace)
    line = kube.until(
        lambda: (
            plane.audit(verb="create", resource="pods", namespace=namespace, stage="ResponseComplete") or None
        ),
        "a line of the audit log",
    )[0]
    assert line["user"]["username"] == "kubernetes-admin"
    assert "pod-security.kubernetes.io/enforce-policy" in line["annotations"]


def test_others_may_do_what_rbac_says(kube: Kube, namespace: str) -> None:
    with pytest.raises(ApiError, match="forbidden"):
        kube.as_service_account(namespace, "default").items("Pod", namespace)
    with pytest.raises(ApiError, match="forbidden"):
        kube.as_user("alice", "developers").items("Secret", namespace)


def test_a_namespace_goes_with_everything_in_it(kube: Kube, make_namespace: MakeNamespace) -> None:
    namespace = make_namespace()
    kube.create(shell("stubborn", "trap '' TERM; while :; do sleep 0.1; done"), namespace=namespace)
    kube.wait_ready("stubborn", namespace)
    began = time.monotonic()
    kube.delete("Namespace", namespace)
    assert time.monotonic() - began < 25
