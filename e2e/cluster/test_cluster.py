"""The cluster under the other tests is one: what Kubernetes and its kubelet promise holds here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.api import STRATEGIC, ApiError
from e2e.cluster.binaries import binaries, chosen
from e2e.cluster.conftest import Cluster, MakeNamespace
from e2e.cluster.control_plane import ControlPlane, control_plane
from e2e.cluster.kube import Kube, pod, workload
from e2e.cluster.node import Node
from e2e.processes import DidNotStart

SHELL = "example/shell"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SAY_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"
SERVE = ["python", "-m", "http.server", "8080", "--bind", "::"]


def shell(name: str, script: str, **spec: Any) -> dict[str, Any]:
    """A pod that runs a script of the shell."""
    return pod(name, image=SHELL, command=["sh", "-c", script], **spec)


def python(name: str, program: str, **spec: Any) -> dict[str, Any]:
    """A pod that runs a program of Python once."""
    return pod(name, image=SHELL, command=["python", "-c", program], **{"restartPolicy": "Never", **spec})


def printed(kube: Kube, namespace: str, name: str) -> str:
    """What a pod that ends well has printed."""
    kube.wait_phase(name, namespace, "Succeeded")
    return kube.logs(name, namespace)


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


def test_services_are_reached_by_every_family_and_name(kube: Kube, namespace: str, kubelet: Node) -> None:
    meta = {"apiVersion": "v1", "kind": "Service"}
    ports = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    both = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
    kube.apply(
        {**meta, "metadata": {"name": "both"}, "spec": {**ports, **both}},
        {**meta, "metadata": {"name": "web"}, "spec": {**ports, "clusterIP": "None"}},
        workload("StatefulSet", "web", pod("web", image=SHELL, command=SERVE)),
        namespace=namespace,
    )
    kube.wait_rollout("web", namespace)
    four, six = kube.the("Service", "both", namespace)["spec"]["clusterIPs"]
    full = f"web-0.web.{namespace}.svc.cluster.local:8080"
    # Through its own Service a pod reaches itself, too.
    for place in ("both", f"both.{namespace}", four, f"[{six}]", "web:8080", "web-0.web:8080", full):
        fetch = f"import urllib.request as u; print(u.urlopen('http://{place}/', timeout=5).status)"

        def fetched(fetch: str = fetch) -> bool:
            return kubelet.exec(namespace, "web-0", "app", ["python", "-c", fetch])[1].endswith("200\n")

        kube.until(fetched, place, namespace, 10)


def test_an_ephemeral_container_joins_a_pod(kube: Kube, namespace: str) -> None:
    kube.create(shell("host", "exec sleep 1000"), namespace=namespace)
    kube.wait_ready("host", namespace)
    debug = {"name": "debug", "image": SHELL, "command": ["sh", "-c", "ip -o address"]}
    path = kube.path("Pod", namespace, "host") + "/ephemeralcontainers"
    kube.api.patch(path, {"spec": {"ephemeralContainers": [debug]}}, STRATEGIC)

    def over() -> bool | None:
        found = kube.the("Pod", "host", namespace)["status"]
        return found.get("ephemeralContainerStatuses", [{}])[0].get("state", {}).get("terminated") is not None

    kube.until(over, "the ephemeral container has run", namespace)
    address = kube.the("Pod", "host", namespace)["status"]["podIP"]
    assert address in kube.logs("host", namespace, "debug")


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


def test_a_changed_secret_arrives_at_once_and_whole(kube: Kube, namespace: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"a": "1", "b": "1"},
    }
    kube.apply(secret, namespace=namespace)
    reader = shell("reader", "while :; do cat /s/..data/a /s/..data/b; echo; sleep 0.05; done")
    reader["spec"]["volumes"] = [{"name": "s", "secret": {"secretName": "s"}}]
    reader["spec"]["containers"][0]["volumeMounts"] = [{"name": "s", "mountPath": "/s", "readOnly": True}]
    kube.create(reader, namespace=namespace)
    kube.wait_ready("reader", namespace)
    kube.apply({**secret, "stringData": {"a": "2", "b": "2"}}, namespace=namespace)
    kube.until(lambda: "22\n" in kube.logs("reader", namespace) or None, "the new content", namespace)


def test_variables_come_from_everywhere(kube: Kube, namespace: str) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"KEY": "value"}}
    kube.apply(config, namespace=namespace)
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "KEY"}}},
        {"name": "BOTH", "value": "$(NAME)-$(ONE)-$$(ONE)-$(NONE)"},
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ]
    limits = {"limits": {"cpu": "1500m"}}
    source = [{"prefix": "P_", "configMapRef": {"name": "c"}}]
    kube.create(
        python("env", SAY_ENVIRONMENT, env=env, envFrom=source, resources=limits), namespace=namespace
    )
    found = json.loads(printed(kube, namespace, "env"))
    assert found["NAME"] == found["LABEL"] == "env"
    assert found["IP"] == kube.the("Pod", "env", namespace)["status"]["podIP"]
    assert (found["ONE"], found["P_KEY"], found["CPUS"]) == ("value", "value", "2")
    assert found["BOTH"] == "env-value-$(ONE)-$(NONE)"


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


def test_a_projected_token_is_for_its_audience_and_is_rotated(
    kube: Kube, namespace: str, kubelet: Node
) -> None:
    holder = shell("holder", "while :; do cat /t/token; echo; sleep 0.05; done")
    token = {"serviceAccountToken": {"path": "token", "audience": "outrider", "expirationSeconds": 600}}
    holder["spec"]["volumes"] = [{"name": "t", "projected": {"sources": [token]}}]
    holder["spec"]["containers"][0]["volumeMounts"] = [{"name": "t", "mountPath": "/t"}]
    kube.create(holder, namespace=namespace)
    kube.wait_ready("holder", namespace)
    kube.until(lambda: kube.logs("holder", namespace) or None, "a token", namespace)
    first = kube.logs("holder", namespace).splitlines()[0]

    def review(*audiences: str) -> dict[str, Any]:
        spec = {"token": first, "audiences": audiences}
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        return dict(kube.api.post("/apis/authentication.k8s.io/v1/tokenreviews", asked)["status"])

    assert review("outrider")["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["holder"]
    assert not review("somebody else").get("authenticated")
    kubelet.worker(namespace, "holder").volumes.expire_tokens()
    kubelet.worker(namespace, "holder").refresh()
    kube.until(
        lambda: kube.logs("holder", namespace).splitlines()[-1] != first or None, "a new token", namespace
    )


def test_pod_security_refuses(kube: Kube, make_namespace: MakeNamespace) -> None:
    namespace = make_namespace(**RESTRICTED)
    with pytest.raises(ApiError, match="violates PodSecurity") as refused:
        kube.create(pod("open"), namespace=namespace)
    assert refused.value.status == 403


def test_a_restricted_container_is_what_it_says(kube: Kube, make_namespace: MakeNamespace) -> None:
    namespace = make_namespace(**RESTRICTED)
    program = """
import os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
try:
    open("/written", "w")
    written = True
except OSError:
    written = False
print(os.getuid(), os.getgid(), sorted(os.getgroups()), os.getpid(), int(status["CapBnd"], 16),
      status["NoNewPrivs"], written, os.listdir("/e"), os.uname().nodename)
open("/e/file", "w")
"""
    asked = python("strict", program)
    context = {
        "runAsNonRoot": True,
        "runAsUser": 1234,
        "runAsGroup": 1235,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    asked["spec"]["securityContext"] = {"fsGroup": 77, "supplementalGroups": [78]}
    asked["spec"]["volumes"] = [{"name": "e", "emptyDir": {}}]
    asked["spec"]["containers"][0] |= {
        "securityContext": context,
        "volumeMounts": [{"name": "e", "mountPath": "/e"}],
    }
    kube.create(asked, namespace=namespace)
    assert printed(kube, namespace, "strict") == "1234 1235 [77, 78] 1 0 1 False [] strict\n"


def test_a_command_in_a_container_may_do_what_its_program_may(
    kube: Kube, namespace: str, kubelet: Node
) -> None:
    asked = shell("root", "exec sleep 1000")
    asked["spec"]["containers"][0]["securityContext"] = {
        "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]},
        "allowPrivilegeEscalation": False,
    }
    kube.create(asked, namespace=namespace)
    kube.wait_ready("root", namespace)
    found = kubelet.exec(namespace, "root", "app", ["cat", "/proc/self/status"])[1]
    status = dict(line.split(":\t", 1) for line in found.splitlines() if ":\t" in line)
    assert [int(status[name], 16) for name in ("CapEff", "CapBnd", "CapInh")] == [1 << 13, 1 << 13, 0]
    assert status["NoNewPrivs"] == "1"


def test_a_container_that_must_not_be_root_is_not_started(kube: Kube, namespace: str) -> None:
    asked = shell("root", "true", securityContext={"runAsNonRoot": True})
    kube.create(asked, namespace=namespace)

    def refused() -> bool | None:
        (found,) = kube.the("Pod", "root", namespace)["status"].get("containerStatuses") or [None]
        return (
            found and found["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError"
        ) or None

    kube.until(refused, "CreateContainerConfigError", namespace)


def test_what_fails_is_started_again_and_says_why(kube: Kube, namespace: str) -> None:
    failing = shell(
        "failing", "echo some last words; exit 3", terminationMessagePolicy="FallbackToLogsOnError"
    )
    kube.create(failing, namespace=namespace)

    def restarted() -> dict[str, Any] | None:
        (found,) = kube.the("Pod", "failing", namespace)["status"].get("containerStatuses") or [None]
        return found if found and found["restartCount"] >= 2 and found["lastState"] else None

    found = kube.until(restarted, "two restarts", namespace)
    assert found["lastState"]["terminated"]["exitCode"] == 3
    assert found["lastState"]["terminated"]["message"] == "some last words\n"
    assert "some last words" in kube.logs("failing", namespace, previous=True)


def test_what_does_not_live_is_ended_and_started_again(kube: Kube, namespace: str) -> None:
    probe = {"exec": {"command": ["test", "!", "-e", "/tmp/dead"]}, "periodSeconds": 1, "failureThreshold": 1}
    dying = shell("dying", "echo up; sleep 0.2; touch /tmp/dead; exec sleep 1000", livenessProbe=probe)
    kube.create(dying, namespace=namespace)

    def restarted() -> bool | None:
        return (
            kube.the("Pod", "dying", namespace)["status"]["containerStatuses"][0]["restartCount"] > 0 or None
        )

    kube.wait_ready("dying", namespace)
    kube.until(restarted, "a restart", namespace)
    assert any("Liveness probe failed" in line for line in kube.events(namespace, name="dying"))


def test_init_containers_run_in_order_and_share_volumes(kube: Kube, namespace: str) -> None:
    asked = shell("ordered", "cat /e/file")
    mount = [{"name": "e", "mountPath": "/e"}]
    asked["spec"]["volumes"] = [{"name": "e", "emptyDir": {}}]
    asked["spec"]["restartPolicy"] = "Never"
    asked["spec"]["containers"][0]["volumeMounts"] = mount
    asked["spec"]["initContainers"] = [
        {
            "name": name,
            "image": SHELL,
            "command": ["sh", "-c", f"echo {name} >> /e/file"],
            "volumeMounts": mount,
        }
        for name in ("first", "second")
    ]
    kube.create(asked, namespace=namespace)
    assert printed(kube, namespace, "ordered") == "first\nsecond\n"


def test_the_end_of_a_pod_is_orderly(kube: Kube, namespace: str, kubelet: Node) -> None:
    trap = "trap 'echo {0} >> /e/file; exit 0' TERM; touch /e/{0}; while :; do sleep 0.02; done"
    folder = kubelet.folder / "orderly"
    folder.mkdir()
    asked = shell("orderly", trap.format("app"))
    mount = [{"name": "e", "mountPath": "/e"}]
    asked["spec"]["volumes"] = [{"name": "e", "hostPath": {"path": str(folder), "type": "Directory"}}]
    asked["spec"]["containers"][0]["volumeMounts"] = mount
    asked["spec"]["initContainers"] = [
        {
            "name": name,
            "image": SHELL,
            "restartPolicy": "Always",
            "command": ["sh", "-c", trap.format(name)],
            "volumeMounts": mount,
            "startupProbe": {"exec": {"command": ["test", "-e", f"/e/{name}"]}, "periodSeconds": 1},
        }
        for name in ("one", "two")
    ]
    kube.create(asked, namespace=namespace)
    kube.wait_ready("orderly", namespace)
    kube.until(lambda: (folder / "app").exists() or None, "the application runs", namespace)
    kube.delete("Pod", "orderly", namespace)
    assert (folder / "file").read_text().split() == ["app", "two", "one"]


def test_a_pod_whose_secret_is_missing_waits_for_it(kube: Kube, namespace: str) -> None:
    asked = pod("waiting")
    asked["spec"]["volumes"] = [{"name": "s", "secret": {"secretName": "later"}}]
    kube.create(asked, namespace=namespace)
    kube.until(
        lambda: [e for e in kube.events(namespace) if '"later" not found' in e] or None,
        "FailedMount",
        namespace,
    )
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"}}, namespace=namespace)
    kube.wait_ready("waiting", namespace)


def test_an_image_that_is_missing_is_said_to_be(kube: Kube, namespace: str) -> None:
    kube.create(pod("nothing", image="example/missing:1"), namespace=namespace)
    kube.until(
        lambda: [e for e in kube.events(namespace) if "ErrImagePull" in e] or None, "ErrImagePull", namespace
    )


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
