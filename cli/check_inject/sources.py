"""Where the pods that are asked about come from: manifests, or a cluster."""

from __future__ import annotations

import argparse
from pathlib import Path

from cli.check.installed import judging
from cli.check.objects import annotations_of, inner, labels_of, name_of
from cli.check.read import read_events
from cli.check.stuck import Stuck, stuck
from cli.check_inject.question import Question
from cli.cluster.answers import Denied, Obj, Reading
from cli.cluster.failures import ClusterUnavailable, refused
from cli.cluster.parts import Part, read_list, read_one
from cli.cluster.resources import KINDS, path_of
from cli.inject import namespaces_in
from cli.manifests import read_manifests, sources
from cli.platform_settings import CONFIGURATIONS, read_installed, read_settings
from cli.workloads import objects, workloads_in
from mesh.settings import installation
from webhook.admission.outcome import Namespace

_WORKLOADS = ("deployment", "statefulset", "daemonset", "job", "cronjob")
_MADE = {
    "Deployment": "/apis/apps/v1/namespaces/{}/replicasets",
    "CronJob": "/apis/batch/v1/namespaces/{}/jobs",
}


def is_file(text: str) -> bool:
    """Does somebody mean a file? `-`, what exists, and what ends like one."""
    return text == "-" or Path(text).exists() or text.endswith((".yaml", ".yml", ".json"))


def from_files(arguments: argparse.Namespace) -> list[Question]:
    """One question for every workload in the manifests.

    Webhook configurations among them count, as `helm template` prints them. Raises ManifestInvalid and
    SettingsInvalid.
    """
    settings = read_settings(arguments.settings)
    manifests = [one for source, text in sources([arguments.subject]) for one in read_manifests(text, source)]
    namespaces = {**(settings.namespaces or {}), **namespaces_in(manifests)}
    configurations = tuple(
        item
        for manifest in manifests
        for item in objects(manifest.value)
        if item.get("kind") == "MutatingWebhookConfiguration"
    )
    questions = []
    for manifest in manifests:
        for workload in workloads_in(manifest.value):
            where = workload.namespace or arguments.namespace or "default"
            known = namespaces.get(where, Namespace(where))
            labels = {**known.labels, **arguments.namespace_labels}
            namespace = Namespace(where, labels, known.annotations)
            questions.append(
                Question(workload, namespace, judging(settings.injection), configurations or None)
            )
    return questions


def from_cluster(api: Reading, server: str, arguments: argparse.Namespace, space: str) -> list[Question]:
    """The question about one object of a cluster.

    Raises:
        ClusterUnavailable: also where the object or its namespace cannot be read.
    """
    path = path_of(arguments.subject, space)
    if path is None:
        raise ClusterUnavailable(
            f"{arguments.subject} is neither a file nor an object.",
            f"Write NAME or KIND/NAME; kinds: {KINDS}.",
        )
    try:
        item = api.get(path)
        namespace = api.get(f"/api/v1/namespaces/{space}")
    except Denied as denied:
        if denied.status == 404:
            hint = _others(api, arguments.subject, space) or (
                "Look at its name and at -n; a file must exist, or end with .yaml, .yml or .json."
            )
            raise ClusterUnavailable(f"{denied.message.rstrip('.')}.", hint) from denied
        raise refused(server, denied.status, denied.message) from denied
    configurations = read_list(lambda: api.items(CONFIGURATIONS))
    known = Namespace(space, labels_of(namespace) | arguments.namespace_labels, annotations_of(namespace))
    installed = read_installed(api, configurations)
    settings, unknown = installed.settings, installed.unknown
    if arguments.settings:
        settings, unknown = judging(read_settings(arguments.settings).injection), ""
    return [
        Question(
            workload,
            known,
            settings,
            None if configurations.unread else configurations.items,
            namespace,
            _live(api, item, space),
            _stuck(api, item, space),
            read_endpoints(api, installed.namespace),
            unknown,
        )
        for workload in workloads_in(item)
    ]


def read_endpoints(api: Reading, space: str) -> Part:
    """The EndpointSlices of the control plane's Service."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"
    selector = f"kubernetes.io/service-name={installation.WEBHOOK}"
    return read_list(lambda: api.items(path, labelSelector=selector))


def _others(api: Reading, subject: str, space: str) -> str:
    """Workloads of the name that was meant to be a pod's."""
    if "/" in subject:
        return ""
    there = [one for kind in _WORKLOADS if _exists(api, path_of(one := f"{kind}/{subject}", space))]
    return f"There is {' and '.join(there)}: name it so." if there else ""


def _exists(api: Reading, path: str | None) -> bool:
    return path is not None and read_one(lambda: api.get(path)).one is not None


def _stuck(api: Reading, item: Obj, space: str) -> tuple[Stuck, ...]:
    """Whether a workload, or what it makes in turn, cannot create its pods."""
    if item.get("kind") == "Pod":
        return ()
    path = _MADE.get(str(item.get("kind")))
    made = read_list(lambda: api.items(path.format(space))).items if path else ()
    return stuck((item, *(one for one in made if _owned(one, item))), read_events(api, space).items)


def _owned(made: Obj, item: Obj) -> bool:
    owners = inner(made, "metadata", "ownerReferences") or ()
    return any((one.get("kind"), one.get("name")) == (item.get("kind"), name_of(item)) for one in owners)


def _live(api: Reading, item: Obj, space: str) -> tuple[Obj, ...]:
    if item.get("kind") == "Pod":
        return (item,)
    labels = inner(item, "spec", "selector", "matchLabels") or {}
    if not labels:
        return ()
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return read_list(lambda: api.items(f"/api/v1/namespaces/{space}/pods", labelSelector=selector)).items
