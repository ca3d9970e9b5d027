"""The edge: a cluster read into a Snapshot, one object or list after the other.

What cannot be read is noted and not guessed, so that a user with few rights still gets what they suffice
for. Only a cluster that cannot be asked at all ends the command.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cli.check.certificates import our_entries
from cli.check.granted import secrets_named
from cli.check.installed import settings_of
from cli.check.objects import ended, inner, name_of, sidecar_status
from cli.check.permissions import needed_by_control_plane, needed_by_distribution, needed_to_install
from cli.check.rollout import read_unready
from cli.check.sidecar_state import NO_STATES, read_states
from cli.check.snapshot import Access, DataPlane, Snapshot
from cli.check.stuck import FAILED_CREATE, SUCCESSFUL_CREATE
from cli.check.validating_policy import CRDS
from cli.cluster.answers import Denied, Obj, Reading
from cli.cluster.parts import Part, read_list, read_one
from cli.describe.journal import read_journal
from mesh.policy.access.documents import AGENTIC_GROUP
from mesh.policy.documents import API_VERSION
from mesh.settings import installation
from mesh.settings.table import POD_INJECTED, SIDECAR_CONTAINER
from webhook.admission.settings import InjectionSettings

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_REVIEWS = "/apis/authorization.k8s.io/v1"
_LOGS, _LINES = 5, 200
_SELECTOR = f"app.kubernetes.io/name={installation.WEBHOOK}"
WORKLOADS = (
    ("apps/v1", "deployments"),
    ("apps/v1", "statefulsets"),
    ("apps/v1", "daemonsets"),
    ("batch/v1", "jobs"),
    ("batch/v1", "cronjobs"),
)


def read_cluster(api: Reading, namespace: str | None, agents: str | None, *, before: bool) -> Snapshot:
    """Everything the checks need.

    `namespace` is where Outrider is installed (None: found by its webhook configuration), `agents` the namespace
    whose pods are looked at, if any. Raises ClusterUnavailable.
    """
    snapshot = _everywhere(api)
    snapshot = replace(snapshot, namespace=namespace or install_namespace(snapshot))
    if before:
        return replace(snapshot, may=_may(api, needed_to_install(snapshot.namespace), None))
    snapshot = _control_plane(api, snapshot)
    if agents is not None:
        if snapshot.namespaces.unread:  # whoever may not list namespaces may yet see this one
            snapshot = replace(snapshot, namespaces=read_one(lambda: api.get(f"/api/v1/namespaces/{agents}")))
        snapshot = replace(snapshot, data=read_data_plane(api, agents, snapshot))
    account = f"system:serviceaccount:{snapshot.namespace}:{installation.WEBHOOK}"
    needed = needed_by_control_plane(snapshot.namespace)
    if _controlled(snapshot):
        needed += needed_by_distribution(snapshot.namespace)
    return replace(snapshot, may=_may(api, needed, account))


def install_namespace(snapshot: Snapshot) -> str:
    """Where the webhook configurations lead to; the documentation's namespace where there are none."""
    for entry in our_entries(snapshot):
        if entry.service is not None:
            return entry.service[0]
    return installation.NAMESPACE


def _everywhere(api: Reading) -> Snapshot:
    def listed(path: str, **query: str) -> Part:
        return read_list(lambda: api.items(path, **query))

    def named(path: str, names: Iterable[str]) -> Part:
        return joined([read_one(lambda name=name: api.get(f"{path}/{name}")) for name in names])  # type: ignore[misc]

    return Snapshot(
        version=read_one(lambda: api.get("/version")),
        nodes=listed("/api/v1/nodes"),
        namespaces=listed("/api/v1/namespaces"),
        mutating=listed(f"{_ADMISSION}/mutatingwebhookconfigurations"),
        validating=listed(f"{_ADMISSION}/validatingwebhookconfigurations"),
        admission_policies=listed(f"{_ADMISSION}/validatingadmissionpolicies"),
        admission_bindings=listed(f"{_ADMISSION}/validatingadmissionpolicybindings"),
        crds=named("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRDS),
        csi_drivers=listed("/apis/storage.k8s.io/v1/csidrivers"),
        cluster_roles=named("/apis/rbac.authorization.k8s.io/v1/clusterroles", [installation.WEBHOOK]),
        injected=listed("/api/v1/pods", labelSelector=f"{POD_INJECTED.name}=true"),
    )


def _control_plane(api: Reading, snapshot: Snapshot) -> Snapshot:
    space, name = snapshot.namespace, installation.WEBHOOK

    def one(prefix: str, resource: str, named: str = name) -> Part:
        return read_one(lambda: api.get(f"{prefix}/namespaces/{space}/{resource}/{named}"))

    path = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"

    def slices(service: str) -> Part:
        return read_list(lambda: api.items(path, labelSelector=f"kubernetes.io/service-name={service}"))

    secret = f"/api/v1/namespaces/{space}/secrets/{installation.CA_SECRET}"
    pods = read_list(lambda: api.items(f"/api/v1/namespaces/{space}/pods", labelSelector=_SELECTOR))
    return replace(
        snapshot,
        deployment=one("/apis/apps/v1", "deployments"),
        pods=pods,
        unready=read_unready(api, space, pods.items),
        disruption_budget=one("/apis/policy/v1", "poddisruptionbudgets"),
        settings=one("/api/v1", "configmaps", installation.WEBHOOK_SETTINGS),
        service=one("/api/v1", "services"),
        endpoint_slices=slices(name),
        secret=one("/api/v1", "secrets", installation.WEBHOOK_SECRET),
        lease=one("/apis/coordination.k8s.io/v1", "leases"),
        control_service=one("/api/v1", "services", installation.CONTROL),
        control_slices=slices(installation.CONTROL),
        authority=read_one(lambda: api.metadata(secret)),
        roots=one("/api/v1", "configmaps", installation.ROOTS),
    )


def read_data_plane(api: Reading, namespace: str, snapshot: Snapshot) -> DataPlane:
    """The pods of a namespace and what belongs to them."""
    inside = f"/namespaces/{namespace}"
    settings = settings_of(snapshot.settings.one) or InjectionSettings()

    def config_map(name: str) -> Part:
        return read_one(lambda: api.get(f"/api/v1{inside}/configmaps/{name}")) if name else Part()

    def documents(kind: str) -> Part:
        return read_list(lambda: api.items(f"/apis/{API_VERSION}{inside}/{kind}"))

    pods = read_list(lambda: api.items(f"/api/v1{inside}/pods"))
    policies, backends = documents("agentpolicies"), documents("backends")
    mounted = config_map(settings.mounted_policies)
    return DataPlane(
        namespace,
        pods=pods,
        troubles=_troubles(api, f"/api/v1{inside}/pods", pods),
        workloads=joined(
            [
                read_list(lambda group=group, kind=kind: api.items(f"/apis/{group}{inside}/{kind}"))  # type: ignore[misc]
                for group, kind in WORKLOADS
            ]
        ),
        replica_sets=read_list(lambda: api.items(f"/apis/apps/v1{inside}/replicasets")),
        events=read_events(api, namespace),
        policies=mounted,
        network_policies=read_list(lambda: api.items(f"/apis/networking.k8s.io/v1{inside}/networkpolicies")),
        services=read_list(lambda: api.items(f"/api/v1{inside}/services")),
        agent_policies=policies,
        backends=backends,
        secrets=_secrets(api, namespace, secrets_named((*policies.items, *backends.items), mounted.one)),
        access_policies=read_access_policies(api, namespace),
        states=read_states(api, namespace, pods.items) if settings.control_plane.present else NO_STATES,
    )


def read_access_policies(api: Reading, namespace: str) -> Part:
    """XAccessPolicies of every namespace, or of this one where no others may be read."""
    prefix = f"/apis/{AGENTIC_GROUP}/v1alpha1"
    part = read_list(lambda: api.items(f"{prefix}/xaccesspolicies"))
    return (
        read_list(lambda: api.items(f"{prefix}/namespaces/{namespace}/xaccesspolicies"))
        if part.unread
        else part
    )


def _secrets(api: Reading, namespace: str, names: Iterable[str]) -> Part:
    """Secrets without what they hold, which does not leave the API server."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    return joined([read_one(lambda name=name: api.metadata(f"{path}/{name}")) for name in names])  # type: ignore[misc]


def _controlled(snapshot: Snapshot) -> bool:
    settings = settings_of(snapshot.settings.one)
    return settings is not None and settings.control_plane.present


def _troubles(api: Reading, path: str, pods: Part) -> dict[str, str]:
    """From the logs of the first sidecars that run and are not ready."""
    waiting = [
        name_of(pod)
        for pod in pods.items
        if (status := sidecar_status(pod) or {}) and not status.get("ready")
        if inner(status, "state", "running") is not None and not ended(pod)
    ]
    found = {}
    for name in waiting[:_LOGS]:
        try:
            text = api.text(f"{path}/{name}/log", container=SIDECAR_CONTAINER, tailLines=str(_LINES))
        except Denied:
            continue
        journal = read_journal(text)
        told = (
            ("identity", journal.trouble),
            ("control plane", journal.lost),
            ("configuration", journal.refused),
        )
        troubles = [f"{what}: {trouble.rstrip('.')}" for what, trouble in told if trouble]
        if troubles:
            found[name] = "; ".join(troubles)
    return found


def read_events(api: Reading, namespace: str) -> Part:
    """What controllers say of pods that they created, or could not create."""
    path, reasons = f"/api/v1/namespaces/{namespace}/events", (FAILED_CREATE, SUCCESSFUL_CREATE)
    return joined(
        [read_list(lambda one=one: api.items(path, fieldSelector=f"reason={one}")) for one in reasons]  # type: ignore[misc]
    )


def joined(parts: list[Part]) -> Part:
    """Several readings as one; where one failed, all count as unread."""
    unread = next((part.unread for part in parts if part.unread), "")
    items = tuple(item for part in parts for item in part.items)
    return Part(items, unread, absent=all(part.absent for part in parts))


def _may(api: Reading, wanted: tuple[Access, ...], user: str | None) -> dict[Access, bool]:
    """What `user`, or whoever asks, may do. Empty where the API server does not let reviews be made."""
    answers: dict[Access, bool] = {}
    for access in wanted:
        try:
            review = api.create(*_review(access, user))
        except Denied:
            return answers
        answers[access] = bool((review.get("status") or {}).get("allowed"))
    return answers


def _review(access: Access, user: str | None) -> tuple[str, Obj]:
    attributes = {
        "verb": access.verb,
        "group": access.group,
        "resource": access.resource,
        **({"namespace": access.namespace} if access.namespace else {}),
        **({"name": access.name} if access.name else {}),
        **({"subresource": access.subresource} if access.subresource else {}),
    }
    kind = "SelfSubjectAccessReview" if user is None else "SubjectAccessReview"
    spec: Obj = {"resourceAttributes": attributes}
    if user is not None:
        _, _, namespace, _ = user.split(":")
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        spec |= {"user": user, "groups": groups}
    document = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    return f"{_REVIEWS}/{kind.lower()}s", document
