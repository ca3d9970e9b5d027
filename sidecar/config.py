"""The sidecar's own file: who it serves, where it listens, which policies hold.

Every fault is reported at once with its line, as for policies; nothing starts on half a configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.spiffe_id import SpiffeId
from mesh.policy import yaml_tree
from mesh.policy.errors import ErrorLog, PolicyInvalid, shown
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Place,
    Sheet,
    choice,
    describe,
    integer,
    list_of,
    read_object,
    read_text,
    text,
)
from mesh.policy.yaml_tree import Broken, Node, Scalar
from sidecar.environment import overlay
from sidecar.limits import LIMIT_NAMES, NO_LIMIT, Limits, least, setting_name

Address = tuple[str, int]

ENDPOINT_VARIABLE = "SPIFFE_ENDPOINT_SOCKET"
"""Where SPIFFE says a workload finds its Workload API (SPIFFE Workload Endpoint, section 4)."""


class Provider(StrEnum):
    """Where the SVID comes from."""

    NONE = "none"
    WORKLOAD_API = "workload-api"


class Decisions(StrEnum):
    """Which decisions get a log line."""

    ALL = "all"
    REFUSED = "refused"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Whom this sidecar stands beside; `labels` choose the policies."""

    namespace: str | None = None
    name: str = "agent"
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str | None = None
    pod_ip: str | None = None


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Where identity comes from. `spiffe_id`: which SVID to take if there are several."""

    provider: Provider = Provider.NONE
    socket: str | None = None
    spiffe_id: str | None = None


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Addresses; None switches a listener off, port 0 takes any."""

    forward: Address | None = ("127.0.0.1", 15002)
    inbound: Address | None = None
    telemetry: Address | None = ("127.0.0.1", 15020)


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    """Where inbound traffic goes."""

    host: str = "127.0.0.1"
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SidecarConfig:
    """Everything that a sidecar's file says."""

    agent: AgentSettings
    identity: IdentitySettings
    listen: ListenSettings
    application: ApplicationSettings
    policies: tuple[Path, ...]
    connect: Mapping[str, str]
    limits: Limits
    decisions: Decisions
    authorities: Path | None = None
    """PEM file that replaces the system's roots for Backends with tls Public."""


def load_config(path: Path | None, environment: Mapping[str, str]) -> SidecarConfig:
    """Read the file at `path`, if any, with the environment laid over it.

    Relative paths are relative to the file, or to the working directory where there is none. Raises
    PolicyInvalid with every fault (whoever wrote the file is at fault), OSError if it cannot be read.
    """
    log = ErrorLog(str(path) if path else "environment")
    nodes = yaml_tree.read_documents(path.read_text(encoding="utf-8"), log) if path else []
    if len(nodes) > 1:
        log.add(nodes[1].line, "", "one document expected; policies belong in files of their own")
    tree = overlay(nodes[0] if nodes else None, environment, log)
    if tree is None:
        log.add(1, "", "the configuration is empty")
    config = None if tree is None else _read(tree, path.parent if path else Path(), log)
    if (
        config is not None
        and config.identity.provider is Provider.WORKLOAD_API
        and not config.identity.socket
    ):
        if not (socket := environment.get(ENDPOINT_VARIABLE)):
            log.add(1, "identity.socket", f"missing; set it, or {ENDPOINT_VARIABLE} in the environment")
        config = replace(config, identity=replace(config.identity, socket=socket))
    errors = tuple(log.listed())
    if errors or config is None:
        raise PolicyInvalid(errors)
    return config


def _read(tree: Node, folder: Path, log: ErrorLog) -> SidecarConfig | None:
    values = read_object(tree, Place(Sheet(log), ""), _FIELDS)
    if values is None or INVALID in values.values():
        return None
    identity: IdentitySettings = values["identity"]
    listen: ListenSettings = values["listen"]
    if listen.inbound is not None and identity.provider is Provider.NONE:
        log.add(tree.line, "listen.inbound", "mutual TLS needs an identity; set identity.provider")
    authorities = values["authorities"]
    return SidecarConfig(
        values["agent"],
        identity,
        listen,
        values["application"],
        tuple(folder / item for item in values["policies"] if isinstance(item, str)),
        values["connect"],
        values["limits"],
        values["log"],
        folder / authorities if authorities else None,
    )


# Readers of this file's own kinds of values.

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def parse_address(value: str) -> Address | None:
    """`host:port` or `[IPv6]:port`; None if it is neither."""
    match = _ADDRESS.fullmatch(value)
    if match is None or int(match[2]) > 65535:
        return None
    return match[1].strip("[]"), int(match[2])


def _address(node: Node, place: Place) -> Address | Invalid | None:
    if isinstance(node, Scalar) and node.plain and node.text in ("null", "~", ""):
        return None
    value = read_text(node, place)
    if isinstance(value, Invalid):
        return value
    return parse_address(value) or place.error(node, f"{shown(value)} is not host:port")


def _strings(node: Node, place: Place) -> dict[str, str] | Invalid:
    """A mapping of names to strings."""
    if isinstance(node, Broken):
        return INVALID
    if not isinstance(node, yaml_tree.Mapping):
        return place.error(node, f"expected a mapping, found {describe(node)}")
    values: dict[str, str] = {}
    for entry in node.entries:
        value = read_text(entry.value, place.child(entry.key))
        if isinstance(value, str):
            values[entry.key] = value
    return values


def _connect(node: Node, place: Place) -> dict[str, str] | Invalid:
    values = _strings(node, place)
    if isinstance(values, Invalid):
        return values
    for name, address in values.items():
        for part in (name, address):
            if parse_address(part) is None:
                return place.error(node, f"{shown(part)} is not host:port")
    return values


def _seconds_or_size(node: Node, place: Place) -> float | Invalid:
    """A number of seconds (fractions allowed) or bytes, not negative."""
    if isinstance(node, Broken):
        return INVALID
    raw = node.text if isinstance(node, Scalar) and node.plain else ""
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", raw):
        return place.error(node, f"expected a number, not negative, found {describe(node)}")
    return float(raw)


def _limits(node: Node, place: Place) -> Limits | Invalid:
    fields = {name: Field(_seconds_or_size) for name in LIMIT_NAMES}
    values = read_object(node, place, fields)
    if values is None or INVALID in values.values():
        return INVALID
    given = {LIMIT_NAMES[name]: value for name, value in values.items() if value is not None}
    for field_name, value in given.items():
        off = value == 0 and field_name in NO_LIMIT
        if value < least(field_name) and not off:
            below = place.child(setting_name(field_name))
            return below.error(node, f"{value:g} would let nothing pass; at least {least(field_name):g}")
    whole = {name: value if name.endswith("seconds") else int(value) for name, value in given.items()}
    return Limits(**whole)


def _spiffe_fault(value: str) -> str | None:
    try:
        SpiffeId.parse(value)
    except SpiffeIdInvalid as invalid:
        return str(invalid)
    return None


def _anything(_: str) -> str | None:
    return None


def _section(fields: dict[str, Field], make: Any) -> Any:
    """A reader of a mapping whose values are the arguments of `make`."""

    def read(node: Node, place: Place) -> Any:
        values = read_object(node, place, fields)
        if values is None or INVALID in values.values():
            return INVALID
        return make(**values)

    return read


def _identity(provider: Provider, socket: str | None, spiffeId: str | None) -> IdentitySettings:
    """The arguments are spelled as in the file."""
    return IdentitySettings(provider, socket, spiffeId)


def _agent(
    namespace: str | None,
    name: str,
    labels: Mapping[str, str],
    serviceAccount: str | None,
    podIp: str | None,
) -> AgentSettings:
    """The arguments are spelled as in the file."""
    return AgentSettings(namespace, name, labels, serviceAccount, podIp)


_AGENT = {
    "namespace": Field(text(_anything)),
    "name": Field(text(_anything), "agent"),
    "labels": Field(_strings, {}),
    "serviceAccount": Field(text(_anything)),
    "podIp": Field(text(_anything)),
}
_IDENTITY = {
    "provider": Field(choice(Provider), missing="allowed: none, workload-api"),
    "socket": Field(text(_anything)),
    "spiffeId": Field(text(_spiffe_fault)),
}
_LISTEN = {
    "forward": Field(_address, ListenSettings().forward),
    "inbound": Field(_address),
    "telemetry": Field(_address, ListenSettings().telemetry),
}
_APPLICATION = {"host": Field(text(_anything), "127.0.0.1"), "ports": Field(list_of(integer(1, 65535)), ())}
_LOG = {"decisions": Field(choice(Decisions), Decisions.ALL)}

_FIELDS = {
    "agent": Field(_section(_AGENT, _agent), AgentSettings()),
    "identity": Field(_section(_IDENTITY, _identity), IdentitySettings()),
    "listen": Field(_section(_LISTEN, ListenSettings), ListenSettings()),
    "application": Field(_section(_APPLICATION, ApplicationSettings), ApplicationSettings()),
    "policies": Field(list_of(text(_anything), at_least=1), missing="at least one file or folder"),
    "connect": Field(_connect, {}),
    "limits": Field(_limits, Limits()),
    "log": Field(_section(_LOG, lambda decisions: decisions), Decisions.ALL),
    "authorities": Field(text(_anything)),
}
