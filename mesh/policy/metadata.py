"""The envelope of a document: apiVersion, kind and metadata."""

from __future__ import annotations

import re
from typing import Any

from mesh.policy.documents import API_VERSION
from mesh.policy.errors import shown
from mesh.policy.fields import Field, Place, read_object, text
from mesh.policy.yaml_tree import Node

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

KINDS = ("AgentPolicy", "Backend")
UNSUPPORTED_KINDS = ("XAccessPolicy", "XBackend")

# What an API server adds to a document, or people keep for themselves. Nothing here has a meaning for policy.
IGNORED_METADATA = frozenset(
    {
        "annotations",
        "creationTimestamp",
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


def _namespace_check(value: str) -> str | None:
    if _NAMESPACE.fullmatch(value):
        return None
    return (
        f"{shown(value)} is no namespace; allowed: up to 63 of a-z 0-9 - with a letter or digit at both ends"
    )


def _version_check(value: str) -> str | None:
    return None if value == API_VERSION else f"{shown(value)} is not known; allowed: {API_VERSION}"


def _kind_check(value: str) -> str | None:
    if value in KINDS:
        return None
    if value in UNSUPPORTED_KINDS:
        return f"{value} is not supported by this version; allowed: {', '.join(KINDS)}"
    return f"{shown(value)} is not known; allowed: {', '.join(KINDS)}"


def _read_metadata(node: Node, place: Place) -> dict[str, Any] | None:
    fields = {
        "name": Field(text(name_check), missing="the name of the document"),
        "namespace": Field(text(_namespace_check)),
    }
    return read_object(node, place, fields, ignored=IGNORED_METADATA)


def _keep(node: Node, place: Place) -> Node:
    return node


ENVELOPE = {
    "apiVersion": Field(text(_version_check), missing=f"write {API_VERSION}"),
    "kind": Field(text(_kind_check), missing=f"allowed: {', '.join(KINDS)}"),
    "metadata": Field(_read_metadata, missing="write {name: ...}"),
    "spec": Field(_keep, missing="what the document says"),
}
