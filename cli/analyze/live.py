"""The objects of a cluster that are analysed."""

from __future__ import annotations

from dataclasses import dataclass

from cli.analyze.inventory import Item
from cli.check.objects import ended
from cli.cluster.answers import Obj, Reading
from cli.cluster.parts import read_list
from mesh.policy.access.documents import AGENTIC_GROUP, GATEWAY_GROUP, GATEWAY_X_GROUP
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
    (f"/apis/{AGENTIC_GROUP}/v1alpha1", "xaccesspolicies"),
    (f"/apis/{AGENTIC_GROUP}/v0alpha0", "xbackends"),
    (f"/apis/{GATEWAY_X_GROUP}/v1alpha1", "xbackends"),
    (f"/apis/{GATEWAY_GROUP}/v1", "gateways"),
)


@dataclass(frozen=True, slots=True)
class Read:
    """What was read: without what a controller made, since its owner is analysed, and without namespaces that are
    never injected. `running` are all pods of the others; `unread` says what could not be read."""

    items: tuple[Item, ...]
    running: tuple[Item, ...]
    unread: tuple[str, ...]


def read_items(api: Reading, namespace: str | None, settings: InjectionSettings) -> Read:
    """The objects of one namespace or of all. Raises ClusterUnavailable."""
    inside = f"/namespaces/{namespace}" if namespace else ""
    paths = [f"{prefix}/{kind}" for prefix, kind in _EVERYWHERE]
    paths += [f"{prefix}{inside}/{kind}" for prefix, kind in _NAMESPACED]
    items: list[Item] = []
    running: list[Item] = []
    unread = []
    for path in paths:
        part = read_list(lambda path=path: api.items(path))  # type: ignore[misc]
        if part.unread:
            unread.append(f"{path} cannot be read: {part.unread}")
        found = [one for one in part.items if not _ignored(one, settings)]
        items += [Item(one) for one in found if not _controlled(one)]
        running += [Item(one) for one in found if path.endswith("/pods") and not ended(one)]
    return Read(tuple(items), tuple(running), tuple(unread))


def _ignored(item: Obj, settings: InjectionSettings) -> bool:
    return (item.get("metadata") or {}).get("namespace") in settings.ignored_namespaces


def _controlled(item: Obj) -> bool:
    owners = (item.get("metadata") or {}).get("ownerReferences") or ()
    return any(owner.get("controller") for owner in owners)
