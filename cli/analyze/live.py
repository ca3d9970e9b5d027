"""The objects of a cluster that are analysed."""

from __future__ import annotations

from cli.analyze.inventory import Item
from cli.cluster.answers import Obj, Reading
from cli.cluster.parts import read_list
from mesh.policy.documents import API_VERSION
from webhook.admission.settings import InjectionSettings

_EVERYWHERE = (
    ("/api/v1", "namespaces"),
    ("/apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations"),
)
_NAMESPACED = (
    ("/api/v1", "pods"),
    ("/api/v1", "services"),
    ("/api/v1", "configmaps"),
    ("/apis/apps/v1", "deployments"),
    ("/apis/apps/v1", "statefulsets"),
    ("/apis/apps/v1", "daemonsets"),
    ("/apis/batch/v1", "jobs"),
    ("/apis/batch/v1", "cronjobs"),
    (f"/apis/{API_VERSION}", "agentpolicies"),
    (f"/apis/{API_VERSION}", "backends"),
)


def read_items(
    api: Reading, namespace: str | None, settings: InjectionSettings
) -> tuple[list[Item], list[str]]:
    """The objects of one namespace or of all, and what could not be read. Raises ClusterUnavailable.

    What a controller made is left out: its owner is analysed. So are namespaces that are never injected.
    """
    inside = f"/namespaces/{namespace}" if namespace else ""
    paths = [f"{prefix}/{kind}" for prefix, kind in _EVERYWHERE]
    paths += [f"{prefix}{inside}/{kind}" for prefix, kind in _NAMESPACED]
    items: list[Item] = []
    unread = []
    for path in paths:
        part = read_list(lambda path=path: api.items(path))  # type: ignore[misc]
        if part.unread:
            unread.append(f"{path} cannot be read: {part.unread}")
        items += [Item(one) for one in part.items if _counts(one, settings)]
    return items, unread


def _counts(item: Obj, settings: InjectionSettings) -> bool:
    metadata = item.get("metadata") or {}
    if metadata.get("namespace") in settings.ignored_namespaces:
        return False
    owners = metadata.get("ownerReferences") or ()
    return not any(owner.get("controller") for owner in owners)
