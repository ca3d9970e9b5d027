"""The platform's settings file: YAML to `InjectionSettings` and the namespaces that it describes.

Read with the same strictness as policies: unknown keys, ambiguous values and impossible ones are all reported at
once, each with its line, and nothing takes effect while one remains.

    image: registry.example/outrider/sidecar@sha256:…
    identity: {volume: csi, socket: spire-agent.sock}
    defaults: {memory-limit: 512Mi}
    namespaces:                     # only without a cluster to ask
      agents: {labels: {outrider.dev/injection: required}}
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mesh.policy import yaml_tree
from mesh.policy.errors import ErrorLog, PolicyError, shown
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Place,
    Reader,
    Sheet,
    choice,
    describe,
    integer,
    list_of,
    read_object,
    read_text,
    text,
)
from mesh.policy.scalars import plain_integer
from mesh.policy.yaml_tree import Broken, Entry, Node, Scalar
from mesh.settings.kinds import Setting
from mesh.settings.table import (
    ENV_EGRESS_PRIVATE_ADDRESSES,
    PREFIX,
    REDIRECT_BACKEND,
    REDIRECT_IPV6,
    REDIRECT_UDP,
)
from webhook.admission.outcome import Namespace
from webhook.admission.parameters import PARAMETERS
from webhook.admission.permission import PERMISSIONS
from webhook.admission.settings import Egress, Identity, IdentityVolume, InjectionSettings, Ports, Redirection

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_DECIMAL = re.compile(r"[0-9]{1,12}\.[0-9]{1,6}")


class SettingsInvalid(Exception):
    """Whoever wrote the settings file is at fault; nothing of it takes effect. `errors` holds every fault."""

    def __init__(self, errors: tuple[PolicyError, ...]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors


class PullPolicy(StrEnum):
    """When the node pulls the sidecar's image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What a settings file says. `namespaces` is None where the file does not speak of them, so that a cluster
    must be asked."""

    injection: InjectionSettings
    namespaces: Mapping[str, Namespace] | None = None


def parse_settings(source: str, file: str) -> SettingsFile:
    """Read the text of a settings file; `file` is its name for error messages.

    Raises:
        SettingsInvalid: with every fault.
    """
    log = ErrorLog(file)
    nodes = yaml_tree.read_documents(source, log)
    if len(nodes) > 1:
        log.add(nodes[1].line, "", "one document expected")
    values = read_object(nodes[0], Place(Sheet(log), ""), _FIELDS) if nodes else {}
    errors = tuple(log.listed())
    if errors or values is None:
        raise SettingsInvalid(errors)
    namespaces = values.pop("namespaces", None)
    given = {_ATTRIBUTES[key]: value for key, value in values.items() if value is not None}
    return SettingsFile(InjectionSettings(**given), namespaces)


def _matching(pattern: re.Pattern[str], meant: str) -> Reader:
    def check(value: str) -> str | None:
        return None if pattern.fullmatch(value) else f"{shown(value)} is not {meant}"

    return text(check)


def _filled(value: str) -> str | None:
    return None if value.strip() else "must not be empty"


def _absolute(value: str) -> str | None:
    return None if value.startswith("/") else f"{shown(value)} is not an absolute path"


def _file_name(value: str) -> str | None:
    return None if value and "/" not in value and value != ".." else f"{shown(value)} is not a file name"


def _address(value: str) -> str | None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return f"{shown(value)} is not an IP address"
    return None


def _no_proxy_entry(value: str) -> str | None:
    if not value.strip() or "," in value or value == "*":
        return f"{shown(value)} is not one host, domain or CIDR block; * would switch the sidecar off"
    return None


def _config_map(node: Node, place: Place) -> str | Invalid:
    value = read_text(node, place)
    if isinstance(value, Invalid) or value == "" or _NAME.fullmatch(value):
        return value
    return place.error(node, f'{shown(value)} is not the name of a ConfigMap; "" means none')


def _section(fields: Mapping[str, Field], make: Callable[..., Any]) -> Reader:
    """A mapping whose values are the arguments of `make`; absent ones keep its defaults."""

    def read(node: Node, place: Place) -> Any:
        values = read_object(node, place, fields)
        if values is None or INVALID in values.values():
            return INVALID
        return make(
            **{_ATTRIBUTES.get(key, key): value for key, value in values.items() if value is not None}
        )

    return read


def _entries(node: Node, place: Place) -> tuple[Entry, ...] | Invalid:
    """The entries of a mapping whose keys are free."""
    if isinstance(node, yaml_tree.Mapping):
        return node.entries
    if isinstance(node, Broken):
        return INVALID
    return place.error(node, f"expected a mapping, found {describe(node)}")


def _plain(read: Reader, make: Callable[[Any], Any]) -> Reader:
    """What `read` returns, made into the type that the settings want."""

    def made(node: Node, place: Place) -> Any:
        value = read(node, place)
        return INVALID if isinstance(value, Invalid) else make(value)

    return made


def _ports(node: Node, place: Place) -> Ports | Invalid:
    # An unprivileged process cannot bind below 1024.
    fields = dict.fromkeys(_PORTS, Field(integer(1024, 65535)))
    ports: Ports | Invalid = _section(fields, Ports)(node, place)
    if isinstance(ports, Ports) and len(ports.reserved) < len(_PORTS):
        return place.error(node, f"{', '.join(_PORTS)} must differ from one another")
    return ports


def _strings(node: Node, place: Place) -> dict[str, str] | Invalid:
    entries = _entries(node, place)
    if isinstance(entries, Invalid):
        return entries
    read = {entry.key: read_text(entry.value, place.child(entry.key)) for entry in entries}
    return {key: value for key, value in read.items() if isinstance(value, str)}


def _limits(node: Node, place: Place) -> dict[str, int | float] | Invalid:
    entries = _entries(node, place)
    if isinstance(entries, Invalid):
        return entries
    limits: dict[str, int | float] = {}
    for entry in entries:
        raw = entry.value.text if isinstance(entry.value, Scalar) and entry.value.plain else ""
        whole = plain_integer(raw)
        if whole is not None and whole >= 0:
            limits[entry.key] = whole
        elif _DECIMAL.fullmatch(raw):
            limits[entry.key] = float(raw)
        elif not isinstance(entry.value, Broken):
            found = describe(entry.value)
            place.child(entry.key).report(f"expected a number, not negative, found {found}", entry.line)
    return limits


def _row(setting: Setting) -> Field:
    """A value that a row of the settings table allows."""

    def fault(value: str) -> str | None:
        problem = setting.values.problem(value)
        return None if problem is None else f"{shown(value)} {problem}; allowed: {setting.values.allowed}"

    return Field(text(fault))


def _permission(value: str) -> str | None:
    if value in PERMISSIONS:
        return None
    return f"{shown(value)} is nothing that can be allowed; allowed: {', '.join(sorted(PERMISSIONS))}"


def _defaults(node: Node, place: Place) -> dict[str, str] | Invalid:
    values = read_object(node, place, _DEFAULTS)
    if values is None or INVALID in values.values():
        return INVALID
    return {PREFIX + key: value for key, value in values.items() if value is not None}


def _namespaces(node: Node, place: Place) -> dict[str, Namespace] | Invalid:
    entries = _entries(node, place)
    if isinstance(entries, Invalid):
        return entries
    fields = {"labels": Field(_strings, {}), "annotations": Field(_strings, {})}
    namespaces = {}
    for entry in entries:
        values = read_object(entry.value, place.child(entry.key), fields)
        if values is not None and INVALID not in values.values():
            namespaces[entry.key] = Namespace(entry.key, values["labels"], values["annotations"])
    return namespaces


_PORTS = ("forward", "inbound", "telemetry", "outboundRedirect", "inboundRedirect")

# Keys of the file that are spelled otherwise as attributes.
_ATTRIBUTES = {
    "image": "image",
    "imagePullPolicy": "image_pull_policy",
    "imagePullSecrets": "image_pull_secrets",
    "uid": "uid",
    "ports": "ports",
    "listenHost": "listen_host",
    "identity": "identity",
    "hostPath": "host_path",
    "policyConfigMap": "policy_config_map",
    "clusterDomain": "cluster_domain",
    "noProxy": "no_proxy",
    "limits": "limits",
    "defaults": "defaults",
    "allow": "allow",
    "redirect": "redirect",
    "egress": "egress",
    "privateAddresses": "private_addresses",
    "outboundRedirect": "outbound_redirect",
    "inboundRedirect": "inbound_redirect",
    "ignoredNamespaces": "ignored_namespaces",
}

_DEFAULTS = {setting.name.removeprefix(PREFIX): _row(setting) for setting in PARAMETERS}
_REDIRECT = {
    "udp": _row(REDIRECT_UDP),
    "ipv6": _row(REDIRECT_IPV6),
    "backend": _row(REDIRECT_BACKEND),
    "nameservers": Field(list_of(text(_address))),
}
_EGRESS = {"privateAddresses": _row(ENV_EGRESS_PRIVATE_ADDRESSES)}
_IDENTITY = {
    "volume": Field(choice(IdentityVolume)),
    "socket": Field(text(_file_name)),
    "hostPath": Field(text(_absolute)),
}
_FIELDS = {
    "image": Field(text(_filled)),
    "imagePullPolicy": Field(_plain(choice(PullPolicy), str)),
    "imagePullSecrets": Field(list_of(_matching(_NAME, "the name of a Secret"))),
    "uid": Field(integer(1, 2**31 - 1)),
    "ports": Field(_ports),
    "listenHost": Field(text(_filled)),
    "identity": Field(_section(_IDENTITY, Identity)),
    "policyConfigMap": Field(_config_map),
    "clusterDomain": Field(_matching(_DOMAIN, "a DNS domain")),
    "noProxy": Field(list_of(text(_no_proxy_entry))),
    "limits": Field(_limits),
    "defaults": Field(_defaults),
    "allow": Field(_plain(list_of(text(_permission)), frozenset)),
    "redirect": Field(_section(_REDIRECT, Redirection)),
    "egress": Field(_section(_EGRESS, Egress)),
    "ignoredNamespaces": Field(_plain(list_of(_matching(_NAME, "the name of a namespace")), frozenset)),
    "namespaces": Field(_namespaces),
}
