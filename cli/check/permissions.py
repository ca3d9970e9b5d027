"""Checks of rights: those of the control plane, and those of whoever wants to install it."""

from __future__ import annotations

from datetime import datetime

from cli.check.installed import certificates_mode, settings_in
from cli.check.result import Result, judged, skipped
from cli.check.snapshot import Access, Snapshot
from mesh.policy.access.documents import AGENTIC_GROUP, GATEWAY_GROUP, GATEWAY_X_GROUP, OUTRIDER_GROUP
from mesh.settings import installation

_ADMISSION = "admissionregistration.k8s.io"
_RBAC = "rbac.authorization.k8s.io"


def needed_by_control_plane(namespace: str) -> tuple[Access, ...]:
    """What the ServiceAccount of the control plane must be granted, where it makes its own certificates."""
    configurations = (
        ("mutatingwebhookconfigurations", installation.INJECTOR),
        ("validatingwebhookconfigurations", installation.VALIDATOR),
    )
    return (
        *(Access(verb, "", "namespaces") for verb in ("get", "list", "watch")),
        *(Access(verb, "", "nodes") for verb in ("list", "watch")),
        *(
            Access(verb, _ADMISSION, resource, name=name)
            for resource, name in configurations
            for verb in ("get", "patch")
        ),
        *_own(namespace),
    )


def needed_by_distribution(namespace: str) -> tuple[Access, ...]:
    """What it must be granted besides where sidecars get configurations and certificates from it."""
    read = (
        ("", "pods"),
        ("", "services"),
        (OUTRIDER_GROUP, "agentpolicies"),
        (OUTRIDER_GROUP, "backends"),
        (AGENTIC_GROUP, "xaccesspolicies"),
        (AGENTIC_GROUP, "xbackends"),
        (GATEWAY_X_GROUP, "xbackends"),
        (GATEWAY_GROUP, "gateways"),
    )
    told = (
        (OUTRIDER_GROUP, "agentpolicies"),
        (OUTRIDER_GROUP, "backends"),
        (AGENTIC_GROUP, "xaccesspolicies"),
    )
    return (
        *(Access(verb, group, resource) for group, resource in read for verb in ("list", "watch")),
        *(Access("patch", group, resource, subresource="status") for group, resource in told),
        Access("create", "authentication.k8s.io", "tokenreviews"),
        Access("get", "", "secrets", namespace, installation.CA_SECRET),
        *(
            Access(verb, "", "configmaps", namespace, name)
            for name in (installation.ROOTS, installation.APPLIED)
            for verb in ("get", "update")
        ),
    )


def _own(namespace: str) -> tuple[Access, ...]:
    return tuple(
        Access(verb, group, resource, namespace, name)
        for group, resource, name in (
            ("", "secrets", installation.WEBHOOK_SECRET),
            ("coordination.k8s.io", "leases", installation.WEBHOOK),
        )
        for verb in ("get", "update")
    )


def needed_to_install(namespace: str) -> tuple[Access, ...]:
    """What whoever installs the chart must be allowed to create."""
    everywhere = (
        (_ADMISSION, "mutatingwebhookconfigurations"),
        (_ADMISSION, "validatingwebhookconfigurations"),
        (_ADMISSION, "validatingadmissionpolicies"),
        (_ADMISSION, "validatingadmissionpolicybindings"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        (_RBAC, "clusterroles"),
        (_RBAC, "clusterrolebindings"),
    )
    inside = (
        ("apps", "deployments"),
        ("", "services"),
        ("", "serviceaccounts"),
        ("", "secrets"),
        ("", "configmaps"),
        (_RBAC, "roles"),
        (_RBAC, "rolebindings"),
        ("policy", "poddisruptionbudgets"),
        ("coordination.k8s.io", "leases"),
    )
    return (
        *(Access("create", group, resource) for group, resource in everywhere),
        *(Access("create", group, resource, namespace) for group, resource in inside),
    )


def control_plane(snapshot: Snapshot, now: datetime) -> Result:
    """The control plane may do what it does."""
    needed = needed_by_control_plane(snapshot.namespace)
    if certificates_mode(snapshot) != "self":
        own = set(_own(snapshot.namespace))
        needed = tuple(one for one in needed if one not in own and one.verb != "patch")
    settings = settings_in(snapshot)
    if settings is not None and settings.control_plane.present:
        needed += needed_by_distribution(snapshot.namespace)
    return _granted(snapshot, needed, "its ServiceAccount may not")


def installer(snapshot: Snapshot, now: datetime) -> Result:
    """Whoever asks may create what the chart holds."""
    return _granted(snapshot, needed_to_install(snapshot.namespace), "you may not")


def _granted(snapshot: Snapshot, needed: tuple[Access, ...], who: str) -> Result:
    asked = [one for one in needed if one in snapshot.may]
    if not asked:
        return skipped("the API server did not say what is granted")
    return judged(
        [f"{who} {one}" for one in asked if not snapshot.may[one]], f"all {len(asked)} rights are granted"
    )
