"""The schema of `externalAuth`: Gateway API's HTTPExternalAuthFilter.

Only a Service can be asked, and only one of the policy's own namespace: a reference to another namespace needs a
ReferenceGrant there, which no sidecar sees.
"""

from __future__ import annotations

import re
from typing import Any

from mesh.policy.access import shapes
from mesh.policy.access.documents import AuthService
from mesh.policy.decision import AuthProtocol
from mesh.policy.errors import shown
from mesh.policy.fields import INVALID, Field, Invalid, Place, choice, integer, read_object, text
from mesh.policy.yaml_tree import Node

MAX_BODY = 4 * 1024 * 1024
"""How much of a body a sidecar holds at most, in bytes."""

_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_HEADERS = shapes.set_of(text(shapes.field_name), at_most=64, one="header")

REFERENCE_FIELDS = {
    "group": Field(text(shapes.group), default=""),
    "kind": Field(text(shapes.kind), default="Service"),
    "name": Field(text(shapes.section_name), missing="the name of a Service"),
    "namespace": Field(text(shapes.namespace)),
    "port": Field(integer(1, 65535)),
}
GRPC_FIELDS = {"allowedHeaders": Field(_HEADERS, default=())}
HTTP_FIELDS = {
    "path": Field(text(shapes.shaped(_PATH, 1024, "path prefix")), default=""),
    "allowedHeaders": Field(_HEADERS, default=()),
    "allowedResponseHeaders": Field(_HEADERS, default=()),
}
BODY_FIELDS = {"maxSize": Field(integer(0, MAX_BODY), default=0)}


def _section(fields: dict[str, Field]) -> Any:
    def read(node: Node, place: Place) -> dict[str, Any] | Invalid:
        values = read_object(node, place, fields)
        return INVALID if values is None or INVALID in values.values() else values

    return read


def _read_reference(node: Node, place: Place) -> dict[str, Any] | Invalid:
    values = read_object(node, place, REFERENCE_FIELDS)
    if values is None or INVALID in values.values():
        return INVALID
    if (values["group"], values["kind"]) != ("", "Service"):
        found = f"{values['group']}/{values['kind']}"
        return place.error(node, f"{shown(found)} cannot be asked; allowed: a Service")
    if values["port"] is None:
        return place.child("port").error(node, "missing; a Service has to be named with its port")
    return values


AUTH_FIELDS = {
    "protocol": Field(choice(AuthProtocol), missing="allowed: HTTP, GRPC"),
    "backendRef": Field(_read_reference, missing="write {name: ..., port: ...}"),
    "grpc": Field(_section(GRPC_FIELDS)),
    "http": Field(_section(HTTP_FIELDS)),
    "forwardBody": Field(_section(BODY_FIELDS), default={"maxSize": 0}),
}


def read_auth(namespace: str | None, node: Node, place: Place) -> AuthService | Invalid:
    """What `externalAuth` of a policy in `namespace` says."""
    values = read_object(node, place, AUTH_FIELDS)
    if values is None or not _agrees(values, node, place) or INVALID in values.values():
        return INVALID
    reference = values["backendRef"]
    if reference["namespace"] not in (None, namespace):
        message = f"only a Service of the policy's own namespace can be asked, which is {namespace}"
        return place.child("backendRef").child("namespace").error(node, message)
    said = values["grpc"] or values["http"] or {}
    return AuthService(
        protocol=values["protocol"],
        namespace=namespace,
        name=reference["name"],
        port=reference["port"],
        path=said.get("path", ""),
        allowed_request_headers=_headers(values["protocol"], said["allowedHeaders"]),
        allowed_response_headers=_lower(said.get("allowedResponseHeaders", ())) or None,
        forward_body_bytes=values["forwardBody"]["maxSize"],
    )


def _agrees(values: dict[str, Any], node: Node, place: Place) -> bool:
    """The section of the protocol is there, and the other is not."""
    protocol = values["protocol"]
    if isinstance(protocol, Invalid):
        return False
    faults = 0
    for name, owner in (("grpc", AuthProtocol.GRPC), ("http", AuthProtocol.HTTP)):
        if owner is protocol and values[name] is None:
            place.child(name).error(node, f"missing; protocol {protocol} needs it, {{}} for the defaults")
            faults += 1
        elif owner is not protocol and values[name] is not None:
            place.child(name).report(f"protocol has to be {owner} where this is set", node.line)
            faults += 1
    return not faults


def _headers(protocol: AuthProtocol, names: tuple[str, ...]) -> tuple[str, ...] | None:
    """No names: all headers for GRPC, none besides the usual ones for HTTP."""
    return None if protocol is AuthProtocol.GRPC and not names else _lower(names)


def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)
