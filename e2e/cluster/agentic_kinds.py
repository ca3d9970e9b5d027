"""The kinds of SIG Network that sidecars honour, as a cluster has to know them: names and versions, no rules.

Theirs have many rules more, of which a test of ours must not depend on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from e2e.cluster.api import Json

AGENTIC: Final = "agentic.networking.x-k8s.io"
GATEWAY_X: Final = "gateway.networking.x-k8s.io"


def kind(group: str, name: str, plural: str, versions: Sequence[str]) -> Json:
    """A CustomResourceDefinition; the first version is the one that is stored."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    served = [
        {
            "name": version,
            "served": True,
            "storage": version == versions[0],
            "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}},
        }
        for version in versions
    ]
    meta: Json = {"name": f"{plural}.{group}"}
    if group.endswith((".k8s.io", ".x-k8s.io")):
        # Groups of Kubernetes ask for a word about who approved them.
        meta["annotations"] = {"api-approved.kubernetes.io": "unapproved, a stand-in of tests"}
    names = {"kind": name, "plural": plural, "singular": name.lower(), "listKind": f"{name}List"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": served}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": meta,
        "spec": spec,
    }


KINDS: Final = (
    kind(AGENTIC, "XAccessPolicy", "xaccesspolicies", ["v1alpha1", "v0alpha0"]),
    kind(AGENTIC, "XBackend", "xbackends", ["v0alpha0"]),
    kind(GATEWAY_X, "XBackend", "xbackends", ["v1alpha1"]),
)
