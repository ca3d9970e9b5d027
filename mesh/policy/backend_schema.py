"""The schema of a Backend document, and its reading into a `Backend`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh.policy import yaml_tree
from mesh.policy.credential_schema import read_credential
from mesh.policy.documents import Backend, BackendProtocol, BackendTls, TlsMode
from mesh.policy.errors import shown
from mesh.policy.fields import INVALID, Field, Invalid, Place, choice, integer, read_object, text
from mesh.policy.hosts import host_fault, is_loopback, normal_host, normal_path, path_fault
from mesh.policy.pin_schema import read_pin
from mesh.policy.spiffe_pattern import id_fault
from mesh.policy.yaml_tree import Node

_WRITE_TLS = (
    "write {mode: Mesh, identity: spiffe://...} (mutual TLS inside the mesh), "
    "{mode: Public} (TLS to a public name) or {mode: None} (plain text)"
)
TLS_FIELDS = {
    "mode": Field(choice(TlsMode)),
    "identity": Field(text(id_fault)),
}


def read_tls(node: Node, place: Place) -> BackendTls | Invalid:
    """The `tls` section. A mode is only implied by an identity; plain text is never a default."""
    values = read_object(node, place, TLS_FIELDS)
    if values is None:
        return INVALID
    mode, identity = values["mode"], values["identity"]
    if INVALID in (mode, identity):
        return INVALID
    if mode is None and identity is None:
        return place.child("mode").error(node, f"missing; {_WRITE_TLS}")
    if mode in (None, TlsMode.MESH):
        if identity is None:
            message = "missing; mode Mesh proves who the server is, so it needs the server's SPIFFE ID"
            return place.child("identity").error(node, message)
        return BackendTls(TlsMode.MESH, identity)
    if identity is not None:
        return place.child("identity").error(
            node, f"only mode Mesh proves a SPIFFE ID; remove it, or mode: {mode}"
        )
    return BackendTls(mode)


BACKEND_FIELDS = {
    "protocol": Field(choice(BackendProtocol, unsupported=("A2A", "LLM")), missing="allowed: MCP, HTTP, TCP"),
    "host": Field(text(host_fault), missing="the DNS name or IP address that agents connect to"),
    "port": Field(integer(1, 65535), missing="the port that agents connect to, 1 to 65535"),
    "path": Field(text(path_fault), default="/"),
    "tls": Field(read_tls, missing=_WRITE_TLS),
    "credential": Field(read_credential),
    "pin": Field(read_pin),
}


def read_backend(name: str, namespace: str | None, node: Node, place: Place) -> Backend | Invalid:
    """The Backend that `spec` describes, INVALID when a fault was reported."""
    values = read_object(node, place, BACKEND_FIELDS)
    if values is None:
        return INVALID
    if isinstance(values["host"], str):
        values["host"] = normal_host(values["host"])
    if isinstance(values["path"], str):
        values["path"] = normal_path(values["path"])
    place.sheet.spec.update(values)
    if not _agrees(values, node, place) or INVALID in values.values():
        return INVALID
    return Backend(name=name, namespace=namespace, **values)


def _agrees(values: dict[str, Any], node: Node, place: Place) -> bool:
    """Rules between fields: wildcard hosts are not for MCP, and TCP has no paths."""
    protocol, host, path = values["protocol"], values["host"], values["path"]
    agrees = True
    if protocol is BackendProtocol.MCP and isinstance(host, str) and host.startswith("*."):
        message = f"{shown(host)}: a wildcard is for HTTP and TCP only; an MCP server has one exact host"
        place.child("host").report(message, node.line)
        agrees = False
    if protocol is BackendProtocol.TCP and isinstance(path, str) and path != "/":
        place.child("path").report("protocol TCP has no paths; remove it", node.line)
        agrees = False
    if _has_pin(node) and protocol in (BackendProtocol.HTTP, BackendProtocol.TCP):
        place.child("pin").report(f"protocol {protocol} offers no tools to pin; remove it", node.line)
        agrees = False
    if values["credential"] is not None:
        for message in _not_for_credentials(values):
            place.child("credential").report(message, node.line)
            agrees = False
    return agrees


def _has_pin(node: Node) -> bool:
    return isinstance(node, yaml_tree.Mapping) and any(entry.key == "pin" for entry in node.entries)


def _not_for_credentials(values: dict[str, Any]) -> Iterator[str]:
    """Why a Backend like this may have no credential."""
    host, tls = values["host"], values["tls"]
    if values["protocol"] is BackendProtocol.TCP:
        yield "protocol TCP is not looked into, so nothing can be put into its requests; remove it"
    if isinstance(host, str) and host.startswith("*."):
        yield f"{shown(host)}: a credential belongs to one host; write a Backend for each host that gets it"
    if (
        isinstance(tls, BackendTls)
        and tls.mode is TlsMode.NONE
        and isinstance(host, str)
        and not is_loopback(host)
    ):
        yield "a credential would leave in plain text (tls.mode None); use Mesh or Public"
