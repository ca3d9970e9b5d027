"""Backends and XBackends as what they come to for agents: a host, a port, a path and how to connect.

An XBackend says less than a Backend: neither who its server is, nor often whether there is TLS. It is never taken
for plain text because of that. One that names a Service is reached over mutual TLS, and the server proves the one
account that the pods behind the Service have. Where they have none or several, or where we do not speak what is
asked for, a Backend that no certificate satisfies stands at that destination: calls fail there, instead of passing
as if nothing were declared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from mesh.policy.access.documents import XBackend, XBackendTls
from mesh.policy.documents import BackendProtocol
from mesh.policy.errors import PolicyInvalid
from mesh.policy.hosts import normal_host, normal_path
from webhook.distribution.entries import Entry, Force, Read, nobody
from webhook.distribution.kinds import AGENTIC_BACKEND, BACKEND, Key
from webhook.distribution.objects import Document, document

ORIGIN = "outrider.dev/origin"
"""Annotation of a Backend that was made of an XBackend, which it names."""
PUBLIC_PORT = 443

Accounts = Callable[[str, str], frozenset[str] | None]
"""Accounts of the pods with a sidecar behind a Service (namespace, name); None: there is no such Service."""


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A destination that agents can be given. `reason` and `message` say why it is closed; "" where it is not."""

    key: Key
    created: str
    host: str
    port: int
    path: str
    protocol: BackendProtocol
    document: Document
    service: str | None = None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Unoffered:
    """A Backend or XBackend of which not even the destination can be told."""

    key: Key
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Domains:
    """The names of this mesh."""

    trust_domain: str
    cluster_domain: str

    def spiffe_id(self, namespace: str, account: str) -> str:
        """The identity of a ServiceAccount."""
        return f"spiffe://{self.trust_domain}/ns/{namespace}/sa/{account}"

    def service_host(self, namespace: str, service: str) -> str:
        """The full name of a Service."""
        return f"{service}.{namespace}.svc.{self.cluster_domain}"

    def service_hosts(self, namespace: str, service: str) -> tuple[str, str, str]:
        """Every name of a Service that is the same in all namespaces, the full one first."""
        short = f"{service}.{namespace}"
        return f"{short}.svc.{self.cluster_domain}", f"{short}.svc", short


def offer(entry: Entry, accounts: Accounts, domains: Domains, read: Read) -> Offer | Unoffered:
    """What a Backend or an XBackend comes to."""
    value = entry.value
    if value is None or entry.document is None:
        return Unoffered(entry.key, "Invalid", "; ".join(entry.faults) or "it cannot be read")
    if entry.key.kind is BACKEND:
        return Offer(
            entry.key,
            entry.meta.creation_timestamp,
            value.host,
            value.port,
            value.path,
            value.protocol,
            entry.document,
            reason="Invalid" if entry.force is Force.CLOSED else "",
            message="; ".join(entry.faults),
        )
    return _resolved(entry, value, accounts, domains, read)


def _resolved(
    entry: Entry, value: XBackend, accounts: Accounts, domains: Domains, read: Read
) -> Offer | Unoffered:
    key = entry.key
    if value.service is not None:
        host = domains.service_host(key.namespace, value.service)
    elif value.hostname is not None:
        host = normal_host(value.hostname)
    else:
        message = "only XBackends with a Service or a host name are supported: agents dial no labels"
        return Unoffered(key, "UnsupportedType", message)
    protocol, tls, reason, message = _how(key, value, _says_tls(entry), accounts, domains)
    spec: dict[str, Any] = {"protocol": str(protocol), "host": host, "port": value.port, "tls": tls}
    if protocol is not BackendProtocol.TCP:
        spec["path"] = normal_path(value.path)
    origin = {ORIGIN: f"{key.kind}/{key.namespace}/{key.name}"}
    made = document(key, entry.meta, spec, BACKEND, origin)
    try:
        read({"apiVersion": BACKEND.api_version, "kind": "Backend", "metadata": _named(key), "spec": spec})
    except PolicyInvalid as invalid:
        return Unoffered(key, "Invalid", "; ".join(error.message for error in invalid.errors))
    path = spec.get("path", "/")
    created = entry.meta.creation_timestamp
    return Offer(key, created, host, value.port, path, protocol, made, value.service, reason, message)


_Tls = dict[str, str]


def _how(
    key: Key, value: XBackend, stated: bool, accounts: Accounts, domains: Domains
) -> tuple[BackendProtocol, _Tls, str, str]:
    """Protocol, TLS, and why it is closed. `stated`: the object says something of TLS."""
    closed = {"mode": "Mesh", "identity": nobody(domains.trust_domain, key.namespace)}
    protocol = BackendProtocol.MCP if key.kind is AGENTIC_BACKEND else _PROTOCOLS.get(value.protocol)
    if protocol is None:
        message = (
            f"protocol {value.protocol} is not supported; allowed: {', '.join(filter(None, _PROTOCOLS))}"
        )
        return BackendProtocol.HTTP, closed, "UnsupportedProtocol", message
    if value.service is not None:
        return _of_service(key, value.service, accounts, domains, closed)
    if key.kind is AGENTIC_BACKEND:
        return protocol, {"mode": "Public"}, "", ""
    if value.tls is XBackendTls.SERVER_ONLY and not value.own_authorities:
        return protocol, {"mode": "Public"}, "", ""
    if value.tls is XBackendTls.NONE and (stated or value.port == PUBLIC_PORT):
        return protocol, {"mode": "None" if stated else "Public"}, "", ""
    if not stated:
        return protocol, closed, "TLSNotStated", "write tls.mode; None sends everything in plain text"
    message = "client certificates and authorities of its own are not supported; write tls.mode ServerOnly"
    return protocol, closed, "UnsupportedTLS", message


def _of_service(
    key: Key, service: str, accounts: Accounts, domains: Domains, closed: _Tls
) -> tuple[BackendProtocol, _Tls, str, str]:
    found = accounts(key.namespace, service)
    if found is not None and len(found) == 1:
        (account,) = found
        identity = domains.spiffe_id(key.namespace, account)
        return BackendProtocol.MCP, {"mode": "Mesh", "identity": identity}, "", ""
    if found is None:
        reason, message = "ServiceNotFound", f"there is no Service {service}"
    elif not found:
        reason, message = (
            "NoIdentity",
            f"no pod behind Service {service} has a sidecar, so nobody can prove to be it",
        )
    else:
        several = ", ".join(sorted(found))
        reason = "AmbiguousIdentity"
        message = f"the pods behind Service {service} have several accounts ({several}); one is needed"
    return BackendProtocol.MCP, closed, reason, message


def _says_tls(entry: Entry) -> bool:
    spec = msgspec.json.decode(entry.document.body)["spec"] if entry.document is not None else {}
    return isinstance(spec, dict) and spec.get("tls") is not None


def _named(key: Key) -> dict[str, str]:
    return {"name": key.name, "namespace": key.namespace}


_PROTOCOLS = {
    "MCP": BackendProtocol.MCP,
    "HTTP": BackendProtocol.HTTP,
    "HTTP11": BackendProtocol.HTTP,
    "TCP": BackendProtocol.TCP,
    "": BackendProtocol.HTTP,
}
