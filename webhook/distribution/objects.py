"""What is kept of pods, Services and policy objects: only what configurations depend on.

Ten thousand pods are kept, so a pod is a few references: its labels and its account are shared with every pod like
it, as is the encoded form of each policy object with every configuration that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

import msgspec

from mesh.distribution.digest import canonical, digest_of
from webhook.cluster.client import decode
from webhook.distribution.kinds import Key, Kind

Labels = tuple[tuple[str, str], ...]
"""Labels or a selector: pairs in the order of their names."""


class _PodMeta(msgspec.Struct, rename="camel", omit_defaults=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    deletion_timestamp: str | None = None


class _Versioned(msgspec.Struct):
    metadata: _PodMeta


class _PodSpec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    service_account_name: str = ""


class _PodStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    phase: str = ""


class _PodDocument(msgspec.Struct, omit_defaults=True):
    metadata: _PodMeta
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()


class Pod(msgspec.Struct, frozen=True, gc=False):
    """A pod with a sidecar. `running`: neither over nor about to go."""

    namespace: str
    name: str
    uid: str
    account: str
    labels: Labels
    running: bool


class Service(msgspec.Struct, frozen=True):
    """A Service; one without selector has no pods that anybody could know."""

    namespace: str
    name: str
    selector: Labels


class _ServiceSpec(msgspec.Struct, frozen=True):
    selector: dict[str, str] | None = None


class _ServiceDocument(msgspec.Struct, omit_defaults=True):
    metadata: _PodMeta
    spec: _ServiceSpec = _ServiceSpec()


class Meta(msgspec.Struct, rename="camel", frozen=True):
    """What is looked at of a policy object's metadata. `creation_timestamp` is RFC 3339, which sorts as text."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""


class Resource(msgspec.Struct, frozen=True):
    """A policy object as the API server stores it, whatever it says."""

    metadata: Meta
    spec: Any = None
    status: Any = None
    version: str = ""
    """metadata.resourceVersion, apart from the rest because it alone changes with the status."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """An object as sidecars get it: `body` is canonical JSON, `digest` its SHA-256. Compared by identity."""

    key: Key
    generation: int
    body: bytes
    digest: bytes


def pairs(labels: Mapping[str, str] | None) -> Labels:
    """Labels in their one order, every text shared."""
    return tuple(sorted((intern(name), intern(value)) for name, value in (labels or {}).items()))


def trim_pod(item: bytes) -> bytes:
    """A pod without what is not looked at, so that ten thousand can be listed at once; raises ApiFailed."""
    return msgspec.json.encode(decode(item, _PodDocument))


def trim_service(item: bytes) -> bytes:
    """The same for a Service."""
    return msgspec.json.encode(decode(item, _ServiceDocument))


def read_pod(item: bytes) -> Pod:
    """A pod; raises ApiFailed."""
    document = decode(item, _PodDocument)
    metadata, phase = document.metadata, document.status.phase
    return Pod(
        intern(metadata.namespace),
        metadata.name,
        metadata.uid,
        intern(document.spec.service_account_name or "default"),
        pairs(metadata.labels),
        metadata.deletion_timestamp is None and phase not in ("Succeeded", "Failed"),
    )


def read_service(item: bytes) -> Service:
    """A Service; raises ApiFailed."""
    document = decode(item, _ServiceDocument)
    return Service(intern(document.metadata.namespace), document.metadata.name, pairs(document.spec.selector))


def read_resource(item: bytes) -> Resource:
    """A policy object; raises ApiFailed."""
    resource = decode(item, Resource)
    version = decode(item, _Versioned).metadata.resource_version
    return Resource(resource.metadata, resource.spec, resource.status, version)


def document(
    key: Key,
    meta: Meta,
    spec: Any,
    kind: Kind | None = None,
    annotations: Mapping[str, str] | None = None,
    api_version: str = "",
) -> Document:
    """The object as it travels; `kind` and `api_version`: as what, where not as itself."""
    shown = kind or key.kind
    metadata: dict[str, Any] = {"name": key.name, "namespace": key.namespace, "generation": meta.generation}
    if meta.creation_timestamp:
        metadata["creationTimestamp"] = meta.creation_timestamp
    if annotations:
        metadata["annotations"] = dict(annotations)
    version = api_version or shown.api_version
    value = {"apiVersion": version, "kind": shown.name, "metadata": metadata, "spec": spec}
    body = canonical(value)
    return Document(key, meta.generation, body, digest_of(body))
