"""What a test does with a cluster: apply, get, wait, and say what was there when a wait was in vain."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from e2e.cluster.api import APPLY, MERGE, Api, ApiError, Json
from e2e.cluster.node import Node

WAIT_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
TAIL_LINES: Final = 30
DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
T = TypeVar("T")


class Late(AssertionError):
    """Something did not happen in time; says what there was instead, with events and logs."""


class Kube:
    """A user's hands on the cluster. Kinds are named as in manifests ("Pod", "Deployment"), of any group."""

    def __init__(self, api: Api, kubeconfig: Path, node: Node | None = None) -> None:
        self.api = api
        self.kubeconfig = kubeconfig
        self.node = node
        self._resources: dict[str, tuple[str, str, bool]] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the API server warned of with the last answer, as kubectl would show it."""
        return self.api.warnings

    def as_user(self, name: str, *groups: str) -> Kube:
        """Somebody else, who may do what RBAC says."""
        headers = {"Impersonate_User": name, **({"Impersonate_Group": groups[0]} if groups else {})}
        return Kube(self.api.with_headers(**headers), self.kubeconfig, self.node)

    def as_service_account(self, namespace: str, name: str) -> Kube:
        """A service account, by a token of its own."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = self.api.post(path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        return Kube(self.api.with_token(token), self.kubeconfig, self.node)

    # --- objects

    def path(self, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Where objects of a kind are. Raises KeyError for a kind that the server does not know."""
        if kind not in self._resources:
            self._resources = self._discover()
        base, plural, namespaced = self._resources[kind]
        scope = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{base}{scope}/{plural}" + (f"/{name}" if name else "")

    def _discover(self) -> dict[str, tuple[str, str, bool]]:
        found: dict[str, tuple[str, str, bool]] = {}
        for root in ("/apis", "/api"):  # the core group last, so that its kinds win
            for group in self.api.request("GET", root, accept=DISCOVERY)["items"]:
                name = group["metadata"].get("name")
                for version in reversed(group["versions"]):
                    base = f"{root}/{name}/{version['version']}" if name else f"{root}/{version['version']}"
                    for one in version["resources"]:
                        kind = one["responseKind"]["kind"]
                        found[kind] = base, one["resource"], one["scope"] == "Namespaced"
        return found

    def create(self, manifest: Json, *, namespace: str | None = None, dry_run: bool = False) -> Json:
        """Create it; raises ApiError with the API server's words where it is refused."""
        where = self._where(manifest, namespace, with_name=False)
        return self.api.post(where, manifest, dryRun="All" if dry_run else None)

    def apply(self, *manifests: Json | str | Path, namespace: str | None = None) -> list[Json]:
        """Server-side apply of dictionaries, YAML texts and files, in this order."""
        return [self._apply(one, namespace) for given in manifests for one in _documents(given)]

    def _apply(self, manifest: Json, namespace: str | None) -> Json:
        where = self._where(manifest, namespace, with_name=True)
        return self.api.patch(where, manifest, APPLY, fieldManager="e2e", force="true")

    def _where(self, manifest: Json, namespace: str | None, *, with_name: bool) -> str:
        meta = manifest["metadata"]
        where = meta.get("namespace") or namespace or "default"
        return self.path(manifest["kind"], where, meta["name"] if with_name else None)

    def get(self, kind: str, name: str, namespace: str | None = None) -> Json | None:
        """The object, or None where there is none."""
        try:
            return self.api.get(self.path(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def the(self, kind: str, name: str, namespace: str | None = None) -> Json:
        """The object that must be there."""
        found = self.get(kind, name, namespace)
        assert found is not None, f"there is no {kind} {namespace or ''}/{name}"
        return found

    def items(self, kind: str, namespace: str | None = None, labels: str | None = None) -> list[Json]:
        """All objects of a kind, of one namespace or of all, that match a label selector."""
        found: list[Json] = self.api.get(self.path(kind, namespace), labelSelector=labels)["items"]
        return found

    def patch(self, kind: str, name: str, body: Any, namespace: str | None = None, how: str = MERGE) -> Json:
        return self.api.patch(self.path(kind, namespace, name), body, how)

    def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        grace: int | None = None,
        wait: bool = True,
    ) -> None:
        """Delete it; with `wait`, until it is gone. What is not there is fine."""
        try:
            found = self.api.delete(
                self.path(kind, namespace, name), gracePeriodSeconds=grace, propagationPolicy="Background"
            )
        except ApiError as error:
            if error.status != 404:
                raise
            return
        uid = found.get("metadata", {}).get("uid") or found.get("details", {}).get("uid")
        if wait:

            def gone() -> bool | None:
                there = self.get(kind, name, namespace)
                return there is None or there["metadata"]["uid"] != uid or None

            self.until(gone, f"{kind} {name} is gone", namespace)

    # --- waiting

    def until(
        self,
        look: Callable[[], T | None],
        what: str,
        namespace: str | None = None,
        seconds: float = WAIT_SECONDS,
    ) -> T:
        """What `look` finds once it finds something true. Raises Late with the state of `namespace`."""
        deadline = time.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > deadline:
                state = self.describe(namespace) if namespace else ""
                raise Late(f"not within {seconds:g} s: {what}\n{state}")
            time.sleep(POLL_SECONDS)

    def wait_ready(self, pod: str, namespace: str, seconds: float = WAIT_SECONDS) -> Json:
        """The pod once it is Ready."""

        def look() -> Json | None:
            return _met(self.get("Pod", pod, namespace), "Ready")

        return self.until(look, f"{pod} Ready", namespace, seconds)

    def wait_phase(self, pod: str, namespace: str, phase: str, seconds: float = WAIT_SECONDS) -> Json:
        """The pod once it is in a phase."""

        def look() -> Json | None:
            found = self.get("Pod", pod, namespace)
            now = found["status"].get("phase") if found else None
            if now in ("Succeeded", "Failed") and now != phase:
                raise Late(f"{pod} is {now} and will never be {phase}\n{self.describe(namespace)}")
            return found if now == phase else None

        return self.until(look, f"{pod} {phase}", namespace, seconds)

    def wait_rollout(self, name: str, namespace: str, seconds: float = 60) -> list[Json]:
        """The pods of a Deployment or StatefulSet once all are ready and of its newest template."""

        def look() -> Json | None:
            found = self.get("Deployment", name, namespace) or self.get("StatefulSet", name, namespace)
            return found if found and _rolled_out(found) else None

        found = self.until(look, f"{name} rolled out", namespace, seconds)
        selector = ",".join(
            f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items()
        )
        pods = self.items("Pod", namespace, selector)
        return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and _met(pod, "Ready")]

    def wait_job(self, name: str, namespace: str, seconds: float = 60) -> Json:
        """The Job once it is complete."""
        return self.until(
            lambda: _met(self.get("Job", name, namespace), "Complete"), f"{name} done", namespace, seconds
        )

    def wait_event(self, text: str, namespace: str, seconds: float = WAIT_SECONDS) -> str:
        """The first event of a namespace that holds `text`."""

        def look() -> str | None:
            return next((line for line in self.events(namespace) if text in line), None)

        return self.until(look, f"an event with {text!r}", namespace, seconds)

    # --- looking

    def logs(
        self,
        pod: str,
        namespace: str,
        container: str | None = None,
        *,
        previous: bool = False,
        tail: int | None = None,
    ) -> str:
        """As kubectl logs."""
        query = {"container": container, "previous": "true" if previous else None, "tailLines": tail}
        return self.api.text("GET", f"{self.path('Pod', namespace, pod)}/log", query=query)

    def events(self, namespace: str, **involved: str) -> list[str]:
        """Events as lines, oldest first; `kind` and `name` narrow to one object."""
        found = self.api.get(f"/api/v1/namespaces/{namespace}/events")["items"]
        found = [one for one in found if all(one["involvedObject"].get(k) == v for k, v in involved.items())]
        found.sort(key=lambda one: one.get("lastTimestamp") or one["metadata"]["creationTimestamp"])
        return [
            f"{one['type']} {one['involvedObject']['kind']}/{one['involvedObject']['name']} "
            f"{one['reason']}: {one['message']}"
            for one in found
        ]

    def secret(self, name: str, namespace: str) -> Mapping[str, bytes]:
        """A Secret's data, decoded."""
        found = self.the("Secret", name, namespace).get("data") or {}
        return {key: base64.b64decode(value) for key, value in found.items()}

    def describe(self, namespace: str) -> str:
        """Pods, events and ends of logs of a namespace, for people."""
        lines = [f"--- pods of {namespace}"]
        for pod in self.items("Pod", namespace):
            lines.append(f"{pod['metadata']['name']}: {pod['status'].get('phase')}")
            for key in ("initContainerStatuses", "containerStatuses"):
                for one in pod["status"].get(key) or []:
                    said = f"ready={one['ready']} restarts={one['restartCount']} {one['state']}"
                    lines.append(f"  {one['name']}: {said} last={one.get('lastState')}")
        lines += ["--- events", *self.events(namespace)[-TAIL_LINES:]]
        if self.node is not None:
            for name, log in self.node.logs(namespace):
                tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
                lines += [f"--- log {name}", *tail]
        return "\n".join(lines)


def pod(name: str, *, image: str = "example/app", **spec: Any) -> Json:
    """A pod with one container named `app`; keys of `spec` are the pod's, but for those of its container."""
    inside = {key: spec.pop(key) for key in list(spec) if key in CONTAINER_KEYS}
    labels = spec.pop("labels", {})
    annotations = spec.pop("annotations", {})
    containers = [{"name": "app", "image": image, **inside}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **labels}, "annotations": annotations},
        "spec": {"terminationGracePeriodSeconds": 2, **spec, "containers": containers},
    }


CONTAINER_KEYS: Final = frozenset(
    (
        "command",
        "args",
        "env",
        "envFrom",
        "ports",
        "volumeMounts",
        "resources",
        "readinessProbe",
        "livenessProbe",
        "startupProbe",
        "workingDir",
        "lifecycle",
        "terminationMessagePolicy",
    )
)


def workload(kind: str, name: str, template: Json, **spec: Any) -> Json:
    """A Deployment, StatefulSet, Job or CronJob of what `pod` gives."""
    labels = template["metadata"]["labels"]
    inner = {
        "metadata": {key: value for key, value in template["metadata"].items() if key != "name"},
        "spec": template["spec"],
    }
    meta = {"name": name, "labels": {"app": name}}
    if kind in ("Job", "CronJob"):
        inner["spec"] = {"restartPolicy": "Never", **inner["spec"]}
        job = {"template": inner}
        body = {**spec, "jobTemplate": {"spec": job}} if kind == "CronJob" else {**job, **spec}
        return {"apiVersion": "batch/v1", "kind": kind, "metadata": meta, "spec": body}
    body = {"selector": {"matchLabels": {"app": labels["app"]}}, "template": inner, **spec}
    if kind == "StatefulSet":
        body.setdefault("serviceName", name)
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": body}


def _documents(given: Json | str | Path) -> Sequence[Json]:
    if isinstance(given, dict):
        return [given]
    text = given.read_text(encoding="utf-8") if isinstance(given, Path) else given
    return [document for document in yaml.safe_load_all(text) if document]


def _met(found: Json | None, kind: str) -> Json | None:
    """The object, if a condition of it is met."""
    for condition in ((found or {}).get("status") or {}).get("conditions") or []:
        if condition["type"] == kind and condition["status"] == "True":
            return found
    return None


def _rolled_out(found: Json) -> bool:
    status, wanted = found.get("status") or {}, found["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("readyReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
    )
