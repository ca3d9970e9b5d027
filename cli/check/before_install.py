"""Checks that only make sense before anything is installed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cli.check.objects import annotations_of, labels_of, name_of
from cli.check.result import Result, failed, ok, skipped, warning
from cli.check.snapshot import Snapshot
from cli.cluster.answers import Obj
from cli.cluster.parts import Part
from mesh.settings import installation
from mesh.settings.table import NAMESPACE_INJECTION
from webhook.admission.identity import SPIFFE_CSI as DRIVER
from webhook.admission.plan import POD_SECURITY_LABEL

_RELEASE, _SPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
_LEVELS = ("privileged", "baseline", "restricted")


def names_free(snapshot: Snapshot, now: datetime) -> Result:
    """No object of somebody else has one of our cluster-wide names; Helm would refuse or take it over.

    CRDs outlive their chart on purpose, and those of our group are nobody else's."""
    taken = list(_taken(snapshot))
    foreign = [
        what
        for what, item in taken
        if labels_of(item).get(installation.PART_OF_LABEL) != installation.PART_OF
    ]
    if foreign:
        return failed(*(f"{what} exists, and is not of Outrider's chart" for what in foreign))
    return warning(*(f"{what} is there already" for what, _ in taken)) if taken else ok("our names are free")


def kept_crds(snapshot: Snapshot, now: datetime) -> Result:
    """CRDs that outlived a release bear its name, and Helm leaves them to no other release unasked."""
    if snapshot.crds.unread:
        return skipped(f"CRDs cannot be read: {snapshot.crds.unread}")
    owners = [
        f"{name_of(crd)} belongs to release {release} in namespace {annotations_of(crd).get(_SPACE)}"
        for crd in snapshot.crds.items
        if (release := annotations_of(crd).get(_RELEASE))
    ]
    return warning(*owners) if owners else ok("no earlier release left any")


def admission_policy(snapshot: Snapshot, now: datetime) -> Result:
    """Final state can be checked while the control plane is away."""
    part = snapshot.admission_policies
    if part.absent:
        return warning("this cluster has no ValidatingAdmissionPolicy (before Kubernetes 1.30)")
    return (
        skipped(f"it cannot be told: {part.unread}") if part.unread else ok("admissionregistration.k8s.io/v1")
    )


def csi_driver(snapshot: Snapshot, now: datetime) -> Result:
    """What identity.provider spire needs; builtin, the default, needs nothing."""
    if snapshot.csi_drivers.unread:
        return skipped(f"CSI drivers cannot be listed: {snapshot.csi_drivers.unread}")
    if snapshot.csi_drivers.named(DRIVER) is None:
        return skipped(f"there is no CSIDriver {DRIVER}; only identity.provider spire needs it")
    return ok(DRIVER)


def install_namespace(snapshot: Snapshot, now: datetime) -> Result:
    """The control plane's pods may run where they are to run."""
    if snapshot.namespaces.unread:
        return skipped(f"namespaces cannot be listed: {snapshot.namespaces.unread}")
    namespace = snapshot.namespace_object(snapshot.namespace)
    if namespace is None:
        return ok(f"{snapshot.namespace} does not exist yet; helm install --create-namespace makes it")
    labels = labels_of(namespace)
    if labels.get(NAMESPACE_INJECTION.name) in ("enabled", "required"):
        return warning(
            f"{snapshot.namespace} is labelled {NAMESPACE_INJECTION.name}={labels[NAMESPACE_INJECTION.name]}"
        )
    level = labels.get(POD_SECURITY_LABEL, "privileged")
    if level not in _LEVELS:
        return failed(f"{POD_SECURITY_LABEL}={level} of {snapshot.namespace} is no level")
    if POD_SECURITY_LABEL not in labels:
        return ok(f"{snapshot.namespace} enforces no level of PodSecurity")
    return ok(f"{snapshot.namespace} enforces PodSecurity {level}, which the control plane fits")


def _taken(snapshot: Snapshot) -> Iterator[tuple[str, Obj]]:
    candidates: list[tuple[str, Part, str]] = [
        ("MutatingWebhookConfiguration", snapshot.mutating, installation.INJECTOR),
        ("ValidatingWebhookConfiguration", snapshot.validating, installation.VALIDATOR),
        ("ValidatingAdmissionPolicy", snapshot.admission_policies, installation.FINAL_STATE_POLICY),
        ("ClusterRole", snapshot.cluster_roles, installation.WEBHOOK),
    ]
    for kind, part, name in candidates:
        item = part.named(name)
        if item is not None:
            yield f"{kind} {name}", item
