"""The node under the other tests does to pods what a kubelet does to them."""

from __future__ import annotations

import json
from typing import Any

from e2e.cluster.api import STRATEGIC
from e2e.cluster.conftest import MakeNamespace
from e2e.cluster.kube import Kube, pod, workload
from e2e.cluster.node import Node
from e2e.cluster.shells import SERVE, SHELL, printed, python, shell

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SAY_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"


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


def test_an_empty_dir_in_memory_is_memory_and_as_large_as_it_says(
    kube: Kube, namespace: str, kubelet: Node
) -> None:
    asked = shell("memory", "stat -f -c '%T %b %S' /m /d; sleep 3600")
    memory = {"medium": "Memory", "sizeLimit": "4Mi"}
    asked["spec"]["volumes"] = [{"name": "m", "emptyDir": memory}, {"name": "d", "emptyDir": {}}]
    mounts = [{"name": "m", "mountPath": "/m"}, {"name": "d", "mountPath": "/d"}]
    asked["spec"]["containers"][0]["volumeMounts"] = mounts
    kube.create(asked, namespace=namespace)
    kube.wait_ready("memory", namespace)
    kube.until(lambda: kube.logs("memory", namespace).count("\n") == 2, "what it says", namespace)
    (kind, blocks, size), (disk, *_) = map(str.split, kube.logs("memory", namespace).splitlines())
    assert (kind, int(blocks) * int(size)) == ("tmpfs", 4 * 1024 * 1024)
    assert disk != "tmpfs"
    folder = kubelet.worker(namespace, "memory").volumes.paths["m"]
    assert folder.is_mount()
    kube.delete("Pod", "memory", namespace)
    kube.until(lambda: not folder.exists(), "the folder is gone", namespace)


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
