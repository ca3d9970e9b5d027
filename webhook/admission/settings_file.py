"""The platform's settings file: YAML to `InjectionSettings` and the namespaces that it describes.

Read with the same strictness as policies: unknown keys, ambiguous values and impossible ones are all reported at
once, each with its line, and nothing takes effect while one remains.

    image: registry.example/outrider/sidecar@sha256:…
    nativeSidecars: auto            # auto | always | never
    identity: {provider: workload-api, volume: csi, socket: spire-agent.sock}    # see identity_settings
    defaults: {memory-limit: 512Mi}
    namespaces:                     # only without a cluster to ask
      agents: {labels: {outrider.dev/injection: required}}
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from mesh.policy import yaml_tree
from mesh.policy.errors import ErrorLog, PolicyError, shown
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
from mesh.policy.scalars import plain_integer
from mesh.policy.yaml_tree import Broken, Node, Scalar
from mesh.settings.store_address import store_fault
from mesh.settings.table import (
    ENV_EGRESS_PRIVATE_ADDRESSES,
    MODE,
    PREFIX,
    REDIRECT_BACKEND,
    REDIRECT_IPV6,
    REDIRECT_UDP,
)
from mesh.settings.values import Choice
from webhook.admission.control_settings import Denials, read_control_plane
from webhook.admission.identity_settings import IdentityProvider, read_identity
from webhook.admission.outcome import Namespace
from webhook.admission.parameters import PARAMETERS
from webhook.admission.permission import PERMISSIONS
from webhook.admission.settings import Egress, InjectionSettings, NativeSidecars, Ports, Redirection
from webhook.admission.settings_readers import (
    NAME,
    attribute,
    authorities,
    entries,
    filled,
    matching,
    plain,
    row,
    section,
    strings,
)
from webhook.identity.federation.peers import Peer, read_federation

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_NO_ISSUER = "the provider builtin is the control plane's CA, and controlPlane.url does not say where that is"
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
    must be asked. `federation` are the trust domains that sidecars recognise beside their own."""

    injection: InjectionSettings
    namespaces: Mapping[str, Namespace] | None = None
    federation: tuple[Peer, ...] = ()


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
    namespaces, federation = values.pop("namespaces", None), values.pop("federation", None) or ()
    given = {attribute(key): value for key, value in values.items() if value is not None}
    settings = InjectionSettings(**given)
    if settings.identity.chosen is IdentityProvider.BUILTIN and not settings.control_plane.present:
        raise SettingsInvalid(
            (PolicyError(file, _line_of(nodes[0], "identity"), "identity.provider", _NO_ISSUER),)
        )
    return SettingsFile(settings, namespaces, federation)


def _line_of(document: Node, key: str) -> int:
    found = document.entries if isinstance(document, yaml_tree.Mapping) else ()
    return next((entry.line for entry in found if entry.key == key), document.line)


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


def _rate_store(value: str) -> str | None:
    return store_fault(value) if value else None


def _config_map(node: Node, place: Place) -> str | Invalid:
    value = read_text(node, place)
    if isinstance(value, Invalid) or value == "" or NAME.fullmatch(value):
        return value
    return place.error(node, f'{shown(value)} is not the name of a ConfigMap; "" means none')


def _ports(node: Node, place: Place) -> Ports | Invalid:
    # An unprivileged process cannot bind below 1024.
    fields = dict.fromkeys(_PORTS, Field(integer(1024, 65535)))
    ports: Ports | Invalid = section(fields, Ports)(node, place)
    if isinstance(ports, Ports) and len(ports.reserved) < len(_PORTS):
        return place.error(node, f"{', '.join(_PORTS)} must differ from one another")
    return ports


def _limits(node: Node, place: Place) -> dict[str, int | float] | Invalid:
    given = entries(node, place)
    if isinstance(given, Invalid):
        return given
    limits: dict[str, int | float] = {}
    for entry in given:
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
    given = entries(node, place)
    if isinstance(given, Invalid):
        return given
    fields = {"labels": Field(strings, {}), "annotations": Field(strings, {})}
    namespaces = {}
    for entry in given:
        values = read_object(entry.value, place.child(entry.key), fields)
        if values is not None and INVALID not in values.values():
            namespaces[entry.key] = Namespace(entry.key, values["labels"], values["annotations"])
    return namespaces


_PORTS = ("forward", "inbound", "telemetry", "outboundRedirect", "inboundRedirect")

_DEFAULTS = {setting.name.removeprefix(PREFIX): row(setting) for setting in PARAMETERS}
# `observe` takes back an `enforce`, and there is none before the platform's.
_DEFAULTS[MODE.name.removeprefix(PREFIX)] = row(replace(MODE, values=Choice(("enforce",))))
_REDIRECT = {
    "udp": row(REDIRECT_UDP),
    "ipv6": row(REDIRECT_IPV6),
    "backend": row(REDIRECT_BACKEND),
    "nameservers": Field(list_of(text(_address))),
}
_EGRESS = {"privateAddresses": row(ENV_EGRESS_PRIVATE_ADDRESSES)}
_FIELDS = {
    "image": Field(text(filled)),
    "imagePullPolicy": Field(plain(choice(PullPolicy), str)),
    "imagePullSecrets": Field(list_of(matching(NAME, "the name of a Secret"))),
    "uid": Field(integer(1, 2**31 - 1)),
    "ports": Field(_ports),
    "listenHost": Field(text(filled)),
    "nativeSidecars": Field(choice(NativeSidecars)),
    "identity": Field(read_identity),
    "controlPlane": Field(read_control_plane),
    "policyConfigMap": Field(_config_map),
    "denials": Field(choice(Denials)),
    "clusterDomain": Field(matching(_DOMAIN, "a DNS domain")),
    "noProxy": Field(list_of(text(_no_proxy_entry))),
    "limits": Field(_limits),
    "rateStore": Field(text(_rate_store)),
    "defaults": Field(_defaults),
    "allow": Field(plain(list_of(text(_permission)), frozenset)),
    "redirect": Field(section(_REDIRECT, Redirection)),
    "egress": Field(section(_EGRESS, Egress)),
    "authorities": Field(authorities),
    "ignoredNamespaces": Field(plain(list_of(matching(NAME, "the name of a namespace")), frozenset)),
    "federation": Field(read_federation),
    "namespaces": Field(_namespaces),
}
