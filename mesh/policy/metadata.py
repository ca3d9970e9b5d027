"""The envelope of a document: apiVersion, kind and metadata."""

from __future__ import annotations

import re
from typing import Any

from mesh.policy.access.documents import AGENTIC_GROUP, GATEWAY_X_GROUP
from mesh.policy.documents import API_VERSION
from mesh.policy.errors import shown
from mesh.policy.fields import Field, Place, read_object, suggestion, text
from mesh.policy.yaml_tree import Mapping, Node, Scalar

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z")
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

KINDS_OF: dict[str, tuple[str, ...]] = {
    API_VERSION: ("AgentPolicy", "Backend", "Standing"),
    f"{AGENTIC_GROUP}/v1alpha1": ("XAccessPolicy",),
    f"{AGENTIC_GROUP}/v0alpha0": ("XAccessPolicy", "XBackend"),
    f"{GATEWAY_X_GROUP}/v1alpha1": ("XBackend",),
}
"""The kinds of each apiVersion. Standing is no resource: the control plane makes one for each sidecar."""
KINDS = ("AgentPolicy", "Backend", "XAccessPolicy", "XBackend")
_KNOWN_KINDS = frozenset(kind for kinds in KINDS_OF.values() for kind in kinds)
ORIGIN = "outrider.dev/origin"

# What an API server adds to a document, or people keep for themselves. Nothing here has a meaning for policy.
IGNORED_METADATA = frozenset(
    {
        "finalizers",
        "generation",
        "labels",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
IGNORED = frozenset({"status"})


def name_check(value: str) -> str | None:
    """What is wrong with the name of a document (RFC 1123 subdomain), or None."""
    if len(value) <= 253 and _NAME.fullmatch(value):
        return None
    return f"{shown(value)} is no name; allowed: up to 253 of a-z 0-9 - . with a letter or digit at both ends"


def namespace_check(value: str) -> str | None:
    """What is wrong with the name of a namespace (RFC 1123 label), or None."""
    if _NAMESPACE.fullmatch(value):
        return None
    return (
        f"{shown(value)} is no namespace; allowed: up to 63 of a-z 0-9 - with a letter or digit at both ends"
    )


def _version_check(value: str) -> str | None:
    if value in KINDS_OF:
        return None
    return f"{shown(value)} is not known; allowed: {API_VERSION} for our own, {', '.join(_OTHERS)}"


_OTHERS = tuple(version for version in KINDS_OF if version != API_VERSION)


def _kind_check(value: str) -> str | None:
    if value in _KNOWN_KINDS:
        return None
    return f"{shown(value)} is not known{suggestion(value, KINDS)}; allowed: {', '.join(KINDS)}"


def mismatch(api_version: str, kind: str) -> str | None:
    """What is wrong with a kind beside an apiVersion, each of which is known, or None."""
    if kind in KINDS_OF[api_version]:
        return None
    versions = [version for version, kinds in KINDS_OF.items() if kind in kinds]
    return f"{kind} is none of {api_version}; allowed as apiVersion: {', '.join(versions)}"


def _read_metadata(node: Node, place: Place) -> dict[str, Any] | None:
    fields = {
        "name": Field(text(name_check), missing="the name of the document"),
        "namespace": Field(text(namespace_check)),
        # Nothing in these is a fault: they are other people's too.
        "creationTimestamp": Field(_created, default=""),
        "annotations": Field(_origin, default=""),
    }
    return read_object(node, place, fields, ignored=IGNORED_METADATA)


def _created(node: Node, place: Place) -> str:
    """When an API server says that the document was made, "" where none does."""
    return node.text if isinstance(node, Scalar) and _TIME.fullmatch(node.text) else ""


def _origin(node: Node, place: Place) -> str:
    """What the control plane made the document from, "" where from nothing else."""
    entries = node.entries if isinstance(node, Mapping) else ()
    said = (entry.value for entry in entries if entry.key == ORIGIN)
    return next((value.text for value in said if isinstance(value, Scalar) and not value.plain), "")


def _keep(node: Node, place: Place) -> Node:
    return node


ENVELOPE = {
    "apiVersion": Field(text(_version_check), missing=f"write {API_VERSION}"),
    "kind": Field(text(_kind_check), missing=f"allowed: {', '.join(KINDS)}"),
    "metadata": Field(_read_metadata, missing="write {name: ...}"),
    "spec": Field(_keep, missing="what the document says"),
}
