"""The golden files of injection as requests to a cluster: namespaces like theirs, and answers without chance."""

from __future__ import annotations

import copy
import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any

import jsonpatch

from cli.inject import namespaces_in
from cli.workloads import workloads_in
from e2e.cluster.api import ApiError, Json
from e2e.cluster.conftest import remove_namespace
from e2e.cluster.kube import Kube
from tests.webhook.test_golden import CASES, golden
from webhook.admission.outcome import Namespace
from webhook.admission.settings import InjectionSettings

# Names of the volume and of pods from templates: the API server makes them up.
_RANDOM = re.compile(r"kube-api-access-[a-z0-9]{5}")
PROBES = "OUTRIDER_APPLICATION_PROBES"
_BY_CHANCE = ("uid", "creationTimestamp", "managedFields", "generateName", "name", "namespace")


@dataclass(frozen=True)
class Asked:
    """One pod of a golden case, as a request for it."""

    case: str
    number: int
    since: str
    settings: InjectionSettings
    defaults: bool  # nothing is set but what an installation has by default
    namespace: Namespace
    pod: Json

    @property
    def title(self) -> str:
        return f"{self.case}-{self.number}" if self.number else self.case


def every_pod() -> list[Asked]:
    """All pods of all cases that are valid for some Kubernetes."""
    return [one for name in CASES for one in _pods(name) if one.since != "none"]


def known_to(version: str, since: str) -> bool:
    """Does a Kubernetes of `version` know every field of a case?"""
    return _numbers_of(since) <= _numbers_of(version)


def _numbers_of(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:2])


def _pods(name: str) -> list[Asked]:
    case = golden(name)
    known = namespaces_in(case.manifests)
    workloads = [found for manifest in case.manifests for found in workloads_in(manifest.value)]
    return [
        Asked(
            name,
            number,
            case.since,
            case.settings,
            case.settings_text.strip() in ("", "{}"),
            known.get(one.namespace or "default", Namespace(one.namespace or "default")),
            _request(one.pod),
        )
        for number, one in enumerate(workloads)
    ]


def _request(template: Any) -> Json:
    """A template as whoever makes pods of it would send it."""
    pod = {"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(template)}
    pod["metadata"] = {key: value for key, value in pod["metadata"].items() if key != "namespace"}
    if not pod["metadata"].get("name") and not pod["metadata"].get("generateName"):
        pod["metadata"]["generateName"] = "golden-"
    return _with_claims(pod)


def _with_claims(pod: Json) -> Json:
    """With the volumes that a StatefulSet adds to its pods."""
    volumes = pod["spec"].get("volumes") or []
    known = {one["name"] for one in volumes}
    mounted = {one["name"] for container in containers_of(pod) for one in container.get("volumeMounts") or []}
    claims = sorted(name for name in mounted - known if not name.startswith("outrider-"))
    if claims:
        pod["spec"]["volumes"] = [*volumes, *({"name": name, "emptyDir": {}} for name in claims)]
    return pod


@dataclass
class Namespaces:
    """Namespaces of the cluster that are labelled and annotated as those of the cases, one for each kind."""

    kube: Kube
    prefix: str
    made: dict[str, str] = field(default_factory=dict)
    _numbers: Any = field(default_factory=itertools.count)

    def real(self, wanted: Namespace) -> Namespace:
        """The namespace of the cluster that stands for `wanted`."""
        if wanted.name.startswith("kube-"):
            return wanted
        key = json.dumps([dict(wanted.labels), dict(wanted.annotations)], sort_keys=True)
        if key not in self.made:
            self.made[key] = self._make(wanted)
        return Namespace(self.made[key], wanted.labels, wanted.annotations)

    def _make(self, wanted: Namespace) -> str:
        name = f"{self.prefix}-{next(self._numbers)}"
        meta = {"name": name, "labels": dict(wanted.labels), "annotations": dict(wanted.annotations)}
        self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        self._account("default", name)
        return name

    def _account(self, account: str, namespace: str) -> None:
        self.kube.until(
            lambda: self.kube.get("ServiceAccount", account, namespace),
            f"{namespace} has the account {account}",
        )

    def furnish(self, pod: Json, namespace: str) -> None:
        """Make what the API server insists on before it takes `pod`: its account and its priority class."""
        account = pod["spec"].get("serviceAccountName")
        if account and self.kube.get("ServiceAccount", account, namespace) is None:
            self.kube.apply(
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}},
                namespace=namespace,
            )
        priority = pod["spec"].get("priorityClassName")
        if priority and self.kube.get("PriorityClass", priority) is None:
            made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 10}
            self.kube.apply({**made, "metadata": {"name": priority}})

    def remove(self) -> None:
        for name in self.made.values():
            remove_namespace(self.kube, name)


@dataclass(frozen=True)
class Answer:
    """What the API server said: the pod as it would be stored, or why not."""

    pod: Json | None
    refusal: str
    warnings: tuple[str, ...]


def ask(kube: Kube, pod: Json, namespace: str) -> Answer:
    """Create a pod without creating it."""
    try:
        made = kube.create(pod, namespace=namespace, dry_run=True)
    except ApiError as error:
        return Answer(None, error.message, error.warnings)
    return Answer(made, "", kube.warnings)


def essence(pod: Json) -> Json:
    """A stored pod without what differs by chance; the order of volumes and mounts means nothing."""
    same: Json = json.loads(_RANDOM.sub("kube-api-access", json.dumps(pod)))
    same["spec"]["volumes"] = sorted(same["spec"].get("volumes", []), key=lambda one: one["name"])
    for container in containers_of(same):
        container["volumeMounts"] = sorted(
            container.get("volumeMounts", []), key=lambda one: one["mountPath"]
        )
    same["metadata"] = {key: value for key, value in same["metadata"].items() if key not in _BY_CHANCE}
    return same


def with_defaults_of_probes(pod: Json) -> Json:
    """A stored pod whose sidecar asks probes with the API server's defaults, which mean nothing new."""
    full = copy.deepcopy(pod)
    for container in containers_of(full):
        for entry in container.get("env") or []:
            if entry["name"] == PROBES:
                entry["value"] = json.loads(entry["value"])
                for probe in entry["value"].values():
                    probe.setdefault("timeoutSeconds", 1)
                    probe.get("grpc", {}).setdefault("service", "")
    return full


def without_schemes(pod: Json) -> Json:
    """A pod with the default scheme of its probes left out."""
    text = json.dumps(pod)
    bare: Json = json.loads(text.replace(', "scheme": "HTTP"', ""))
    return bare


def differences(one: Json, other: Json) -> list[Json]:
    """What would have to change; a test's failure shows it."""
    return list(jsonpatch.make_patch(one, other))


def containers_of(pod: Json) -> list[Json]:
    """All containers of a pod."""
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


def resubmitted(pod: Json) -> Json:
    """A stored pod as somebody would create it anew: `kubectl get -o yaml | kubectl create -f -`."""
    again = copy.deepcopy(pod)
    for key in ("uid", "creationTimestamp", "managedFields", "resourceVersion"):
        again["metadata"].pop(key, None)
    again.pop("status", None)
    return again
