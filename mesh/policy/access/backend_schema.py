"""The schemas of XBackend, of Gateway API and of kube-agentic-networking, read into one `XBackend`."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from mesh.policy import yaml_tree
from mesh.policy.access import shapes
from mesh.policy.access.documents import AGENTIC_GROUP, GATEWAY_X_GROUP, TargetRef, XBackend, XBackendTls
from mesh.policy.fields import INVALID, Field, Invalid, Place, Reader, choice, integer, read_object, text
from mesh.policy.hosts import host_fault, normal_host, normal_path, path_fault
from mesh.policy.policy_schema import read_labels
from mesh.policy.yaml_tree import Node

_ADDRESS = re.compile(r"[0-9.]+|.*:.*")


class XProtocol(StrEnum):
    """What an XBackend of Gateway API may speak."""

    TCP = "TCP"
    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    HTTP11 = "HTTP11"
    H2C = "H2C"
    MCP = "MCP"
    GRPC = "GRPC"
    WSS = "WSS"


class XType(StrEnum):
    """How an XBackend of Gateway API says where it is."""

    EXTERNAL_HOSTNAME = "ExternalHostname"
    ENDPOINT_SELECTOR = "EndpointSelector"


def hostname_fault(value: str) -> str | None:
    """What is wrong with an external host name, or None: no address, no name of the cluster's own."""
    if value.startswith("*.") or _ADDRESS.fullmatch(value):
        return "a host name is needed, no address and no wildcard"
    if normal_host(value).endswith(".cluster.local"):
        return "a name of the cluster is none of an external host; use a Service"
    return host_fault(value)


def _section(fields: dict[str, Field], ignored: frozenset[str] = frozenset()) -> Reader:
    def read(node: Node, place: Place) -> dict[str, Any] | Invalid:
        values = read_object(node, place, fields, ignored=ignored)
        return INVALID if values is None or INVALID in values.values() else values

    return read


def _anything(node: Node, place: Place) -> bool:
    """Whether it is there is all that matters here: null is not."""
    return not (isinstance(node, yaml_tree.Scalar) and node.plain and node.text in ("null", "~", ""))


_read_hostname = _section({"hostname": Field(text(hostname_fault), missing="the host's name")})
_read_selector = _section({"matchLabels": Field(read_labels, missing="the labels of the pods")})
_read_port = _section(
    {
        "number": Field(integer(1, 65535), missing="a port, 1 to 65535"),
        "name": Field(text(shapes.any_text(63))),
    }
)
TLS_FIELDS = {
    "mode": Field(choice(XBackendTls), missing="allowed: None, ServerOnly, ClientAndServer"),
    "clientCertificateRef": Field(_anything, default=False),
    "validation": Field(_anything, default=False),
}
_read_tls = _section(TLS_FIELDS)

XBACKEND_FIELDS = {
    "type": Field(choice(XType), missing="allowed: ExternalHostname, EndpointSelector"),
    "port": Field(_read_port, missing="write {number: ...}"),
    "externalHostname": Field(_read_hostname),
    "endpointSelector": Field(_read_selector),
    "protocol": Field(choice(XProtocol)),
    "tls": Field(_read_tls),
}


def read_xbackend(name: str, namespace: str | None, node: Node, place: Place) -> XBackend | Invalid:
    """The XBackend of Gateway API that `spec` describes, INVALID when a fault was reported."""
    values = read_object(node, place, XBACKEND_FIELDS)
    if values is None or not _agrees(values, node, place) or INVALID in values.values():
        return INVALID
    hostname, selector, tls = values["externalHostname"], values["endpointSelector"], values["tls"]
    return XBackend(
        ref=TargetRef(GATEWAY_X_GROUP, "XBackend", namespace, name),
        protocol=str(values["protocol"] or ""),
        port=values["port"]["number"],
        hostname=None if hostname is None else normal_host(hostname["hostname"]),
        match_labels=() if selector is None else selector["matchLabels"],
        tls=XBackendTls.NONE if tls is None else tls["mode"],
        own_authorities=tls is not None and tls["validation"],
    )


def _agrees(values: dict[str, Any], node: Node, place: Place) -> bool:
    """The rules between fields that the CRD has."""
    faults: list[tuple[str, str]] = []
    for kind, member in (
        (XType.EXTERNAL_HOSTNAME, "externalHostname"),
        (XType.ENDPOINT_SELECTOR, "endpointSelector"),
    ):
        if values["type"] == kind and values[member] is None:
            faults.append((member, f"missing; type {kind} needs it"))
        elif (
            not isinstance(values["type"], Invalid) and values["type"] != kind and values[member] is not None
        ):
            faults.append((member, f"only type {kind} has it"))
    protocol, tls = values["protocol"], values["tls"]
    if protocol == XProtocol.H2C and tls is not None:
        faults.append(("tls", "protocol H2C has no TLS; HTTP2 is HTTP/2 with it"))
    if protocol in (XProtocol.HTTP2, XProtocol.WSS) and tls is None:
        faults.append(("tls", f"missing; protocol {protocol} needs it"))
    if (
        isinstance(tls, dict)
        and (tls["mode"] is XBackendTls.CLIENT_AND_SERVER) != tls["clientCertificateRef"]
    ):
        faults.append(("tls", "clientCertificateRef stands there exactly where mode is ClientAndServer"))
    for member, message in faults:
        place.child(member).report(message, node.line)
    return not faults


MCP_FIELDS = {
    "serviceName": Field(text(shapes.section_name)),
    "hostname": Field(text(host_fault)),
    "port": Field(integer(1, 65535), missing="a port, 1 to 65535"),
    "path": Field(text(path_fault), default="/mcp"),
}


def read_older_xbackend(name: str, namespace: str | None, node: Node, place: Place) -> XBackend | Invalid:
    """The XBackend of kube-agentic-networking that `spec` describes, INVALID when a fault was reported."""
    values = read_object(
        node, place, {"mcp": Field(_read_mcp, missing="write {serviceName: ..., port: ...}")}
    )
    if values is None or INVALID in values.values():
        return INVALID
    mcp = values["mcp"]
    return XBackend(
        ref=TargetRef(AGENTIC_GROUP, "XBackend", namespace, name),
        protocol="MCP",
        port=mcp["port"],
        service=mcp["serviceName"],
        hostname=None if mcp["hostname"] is None else normal_host(mcp["hostname"]),
        path=normal_path(mcp["path"]),
        tls=XBackendTls.NONE if mcp["hostname"] is None else XBackendTls.SERVER_ONLY,
    )


def _read_mcp(node: Node, place: Place) -> dict[str, Any] | Invalid:
    values = read_object(node, place, MCP_FIELDS)
    if values is None or INVALID in values.values():
        return INVALID
    if (values["serviceName"] is None) == (values["hostname"] is None):
        return place.error(node, "exactly one of serviceName and hostname is needed")
    return values
