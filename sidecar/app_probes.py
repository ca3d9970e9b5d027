"""Probes of the application that the sidecar asks on the kubelet's behalf, as the configuration gives them.

    probes:
      agent/readiness: {httpGet: {path: /healthz, port: web}, port: 8080, timeoutSeconds: 3}

An action is written as Kubernetes writes it; `port` beside it is its port as a number, since only admission sees
what a name stands for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from mesh.policy import yaml_tree
from mesh.policy.errors import shown
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Place,
    choice,
    describe,
    integer,
    list_of,
    read_object,
    text,
)
from mesh.policy.yaml_tree import Broken, Node

# What a header may consist of (RFC 9110, section 5).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_KEY = re.compile(r"[a-z0-9-]{1,63}/[a-z-]{1,20}")


class Scheme(StrEnum):
    HTTP = "HTTP"
    HTTPS = "HTTPS"


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A GET. With `https` no certificate is checked, as the kubelet checks none."""

    port: int
    seconds: float
    path: str
    https: bool
    headers: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """A connection, and nothing said on it."""

    port: int
    seconds: float


@dataclass(frozen=True, slots=True)
class GrpcProbe:
    """grpc.health.v1.Health/Check for `service`."""

    port: int
    seconds: float
    service: str


AppProbe = HttpProbe | TcpProbe | GrpcProbe


def app_probes(node: Node, place: Place) -> Mapping[str, AppProbe] | Invalid:
    """Probes by `container/probe`."""
    if isinstance(node, Broken):
        return INVALID
    if not isinstance(node, yaml_tree.Mapping):
        return place.error(node, f"expected a mapping, found {describe(node)}")
    probes: dict[str, AppProbe] = {}
    for entry in node.entries:
        below = place.child(entry.key)
        if not _KEY.fullmatch(entry.key):
            below.report(f"{shown(entry.key)} is not container/probe", entry.line)
            continue
        probe = _probe(entry.value, below)
        if not isinstance(probe, Invalid):
            probes[entry.key] = probe
    return probes


def _probe(node: Node, place: Place) -> AppProbe | Invalid:
    values = read_object(node, place, _PROBE)
    if values is None or INVALID in values.values():
        return INVALID
    actions = [name for name in _ACTIONS if values[name] is not None]
    if len(actions) != 1:
        return place.error(node, f"one of {', '.join(_ACTIONS)} expected, found {len(actions)}")
    port, seconds = values["port"], float(values["timeoutSeconds"])
    action: dict[str, Any] = values[actions[0]]
    if actions[0] == "tcpSocket":
        return TcpProbe(port, seconds)
    if actions[0] == "grpc":
        return GrpcProbe(port, seconds, action["service"])
    https = action["scheme"] is Scheme.HTTPS
    return HttpProbe(port, seconds, _target(action["path"]), https, action["httpHeaders"])


def _target(path: str) -> str:
    """Path and query as they go over the wire: what URLs cannot hold is encoded, what is encoded stays."""
    return quote("/" + path.partition("#")[0].removeprefix("/"), safe="/?[]@!$&'()*+,;=:%~-._")


def _object(fields: Mapping[str, Field]) -> Any:
    def read(node: Node, place: Place) -> Any:
        values = read_object(node, place, fields)
        return INVALID if values is None or INVALID in values.values() else values

    return read


def _action(more: Mapping[str, Field]) -> Field:
    # The port may be a name here; the number stands beside the action.
    return Field(_object({"port": Field(lambda node, place: None), "host": Field(text(_nothing)), **more}))


def _nothing(value: str) -> str | None:
    return None if not value else "a probe of another host is the kubelet's own to ask"


def _any(value: str) -> str | None:
    return None


def _matches(pattern: re.Pattern[str], what: str) -> Any:
    return text(
        lambda value: None if pattern.fullmatch(value) else f"{shown(value)} is no {what} of a header"
    )


_HEADER = {
    "name": Field(_matches(_NAME, "name"), missing="the name of a header"),
    "value": Field(_matches(_VALUE, "value"), ""),
}


def _headers(node: Node, place: Place) -> tuple[tuple[bytes, bytes], ...] | Invalid:
    values = list_of(_object(_HEADER))(node, place)
    if isinstance(values, Invalid) or INVALID in values:
        return INVALID
    return tuple((one["name"].lower().encode(), one["value"].encode()) for one in values)


_HTTP = {
    "path": Field(text(_any), "/"),
    "scheme": Field(choice(Scheme), Scheme.HTTP),
    "httpHeaders": Field(_headers, ()),
}
_ACTIONS = ("httpGet", "tcpSocket", "grpc")
_PROBE = {
    "httpGet": _action(_HTTP),
    "tcpSocket": _action({}),
    "grpc": _action({"service": Field(text(_any), "")}),
    "port": Field(integer(1, 65535), missing="the number of the port"),
    "timeoutSeconds": Field(integer(1, 2**31 - 1), 1),
}
