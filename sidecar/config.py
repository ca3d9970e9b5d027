"""The sidecar's own file: who it serves, where it listens, which policies hold.

Every fault is reported at once with its line, as for policies; nothing starts on half a configuration.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mesh.policy import yaml_tree
from mesh.policy.errors import ErrorLog, PolicyInvalid
from mesh.policy.fields import (
    INVALID,
    Field,
    Place,
    Sheet,
    choice,
    integer,
    list_of,
    read_object,
    text,
)
from mesh.policy.narrowing import Narrowing
from mesh.policy.yaml_tree import Node
from sidecar.addresses import Address, parse_address
from sidecar.app_probes import app_probes
from sidecar.contradictions import (
    Contradiction,
    in_control,
    in_identity,
    in_listeners,
    with_application,
    with_identity,
    without_control,
)
from sidecar.control_section import read_control
from sidecar.environment import ENVIRONMENT, blamed, environment_faults, overlay
from sidecar.hidden.variables import hidden_variables
from sidecar.identity.endpoint import ENDPOINT_VARIABLE
from sidecar.identity_section import read_identity
from sidecar.limits import Limits
from sidecar.narrow_section import read_narrowing
from sidecar.rate_store_section import read_rate_store
from sidecar.readers import (
    address,
    certificates,
    connect,
    host_fault,
    limits,
    open_address,
    port_modes,
    section,
    strings,
)
from sidecar.settings import (
    AgentSettings,
    ApplicationSettings,
    ControlSettings,
    Decisions,
    Denials,
    EgressSettings,
    IdentitySettings,
    InboundMode,
    InboundSettings,
    ListenSettings,
    PrivateAddresses,
    Provider,
    SidecarConfig,
)

__all__ = [
    "Address",
    "AgentSettings",
    "ApplicationSettings",
    "ControlSettings",
    "Decisions",
    "Denials",
    "EgressSettings",
    "IdentitySettings",
    "InboundMode",
    "InboundSettings",
    "ListenSettings",
    "PrivateAddresses",
    "Provider",
    "SidecarConfig",
    "load_config",
    "parse_address",
]


def load_config(path: Path | None, environment: Mapping[str, str]) -> SidecarConfig:
    """Read the file at `path`, if any, with the environment laid over it.

    Relative paths are relative to the file, or to the working directory where there is none. Raises
    PolicyInvalid with every fault (whoever wrote the file is at fault), OSError if it cannot be read.
    """
    log = ErrorLog(str(path) if path else ENVIRONMENT)
    nodes = yaml_tree.read_documents(path.read_text(encoding="utf-8"), log) if path else []
    if len(nodes) > 1:
        log.add(nodes[1].line, "", "one document expected; policies belong in files of their own")
    tree = overlay(nodes[0] if nodes else None, environment, log)
    if tree is None:
        log.add(1, "", "the configuration is empty")
    config = None if tree is None else _read(tree, path.parent if path else Path(), environment, log)
    errors = (*environment_faults(environment), *blamed(log.listed(), environment))
    if errors or config is None:
        raise PolicyInvalid(errors)
    return config


def _read(tree: Node, folder: Path, environment: Mapping[str, str], log: ErrorLog) -> SidecarConfig | None:
    sheet = Sheet(log)
    values = read_object(tree, Place(sheet, ""), _FIELDS)
    if values is None:
        return None
    endpoint = environment.get(ENDPOINT_VARIABLE) or None
    for path, message in _contradictions(values, endpoint, folder):
        log.add(_line(sheet, path, tree.line), path, message)
    if INVALID in values.values():
        return None
    identity: IdentitySettings = values["identity"]
    if identity.provider is Provider.WORKLOAD_API and not identity.socket:
        identity = replace(identity, socket=endpoint)
    authorities = values["authorities"]
    control: ControlSettings | None = values["control"]
    return SidecarConfig(
        values["agent"],
        identity.below(folder),
        values["listen"],
        values["application"],
        tuple(folder / item for item in values["policies"] if isinstance(item, str)),
        values["connect"],
        values["limits"],
        values["log"],
        folder / authorities if authorities else None,
        values["inbound"],
        folder / values["interception"] if values["interception"] else None,
        values["egress"],
        values["narrow"],
        control and control.below(folder),
        values["denials"],
        folder / values["credentials"] if values["credentials"] else None,
        {key: one.below(folder) for key, one in values["hiddenSecrets"].items()},
        values["moreAuthorities"],
        values["rateStore"] and values["rateStore"].below(folder),
    )


def _contradictions(values: Mapping[str, Any], endpoint: str | None, folder: Path) -> Iterator[Contradiction]:
    """Those between the sections that could be read; a fault elsewhere hides none of them."""
    listen, application, identity = values["listen"], values["application"], values["identity"]
    if listen is not INVALID:
        yield from in_listeners(listen)
    if listen is not INVALID and application is not INVALID:
        yield from with_application(listen, application)
    if listen is not INVALID and identity is not INVALID:
        yield from with_identity(listen, identity)
    if identity is not INVALID:
        yield from in_identity(identity, endpoint)
        if values["control"] is None:
            yield from without_control(identity)
    if INVALID not in (values["policies"], values["control"], values["agent"]):
        yield from in_control(values["policies"], values["control"], values["agent"])
    if isinstance(values["authorities"], str):
        yield from _without_certificates(folder / values["authorities"])


def _without_certificates(path: Path) -> Iterator[Contradiction]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
        why = "" if context.cert_store_stats()["x509"] else "it holds none"
    except FileNotFoundError:
        why = "there is no such file; relative paths are relative to the configuration"
    except (OSError, ValueError) as error:
        why = str(error)
    if why:
        yield Contradiction("authorities", f"{path}: no PEM certificates can be read from it: {why}")


def _line(sheet: Sheet, path: str, otherwise: int) -> int:
    """Where `path` stands, or the closest part of it that was written."""
    while path and path not in sheet.lines:
        path = path.rpartition(".")[0]
    return sheet.lines.get(path, otherwise)


def _anything(_: str) -> str | None:
    return None


def _agent(
    namespace: str | None,
    name: str,
    labels: Mapping[str, str],
    serviceAccount: str | None,
    podIp: str | None,
    uid: str | None,
) -> AgentSettings:
    """The arguments are spelled as in the file."""
    return AgentSettings(namespace, name, labels, serviceAccount, podIp, uid)


def _listen(
    forward: Address | None,
    inbound: Address | None,
    telemetry: Address | None,
    redirectOutbound: Address | None,
    redirectInbound: Address | None,
) -> ListenSettings:
    """The arguments are spelled as in the file."""
    return ListenSettings(forward, inbound, telemetry, redirectOutbound, redirectInbound)


_AGENT = {
    "namespace": Field(text(_anything)),
    "name": Field(text(_anything), "agent"),
    "labels": Field(strings, {}),
    "serviceAccount": Field(text(_anything)),
    "podIp": Field(text(_anything)),
    "uid": Field(text(_anything)),
}
_LISTEN = {
    "forward": Field(address, ListenSettings().forward),
    "inbound": Field(open_address),
    "telemetry": Field(open_address, ListenSettings().telemetry),
    "redirectOutbound": Field(open_address),
    "redirectInbound": Field(open_address),
}
_INBOUND = {"mode": Field(choice(InboundMode), InboundMode.STRICT), "ports": Field(port_modes, {})}
_INTERCEPTION = {"directory": Field(text(_anything), missing="a folder that the application reads")}
_EGRESS = {"privateAddresses": Field(choice(PrivateAddresses), PrivateAddresses.REFUSE)}
_CREDENTIALS = {"directory": Field(text(_anything), missing="the folder with the Secrets")}
_APPLICATION = {
    "host": Field(text(host_fault), "127.0.0.1"),
    "ports": Field(list_of(integer(1, 65535)), ()),
    "probes": Field(app_probes, {}),
}
_LOG = {"decisions": Field(choice(Decisions), Decisions.ALL)}

_FIELDS = {
    "agent": Field(section(_AGENT, _agent), AgentSettings()),
    "identity": Field(read_identity, IdentitySettings()),
    "listen": Field(section(_LISTEN, _listen), ListenSettings()),
    "application": Field(section(_APPLICATION, ApplicationSettings), ApplicationSettings()),
    "policies": Field(list_of(text(_anything), at_least=1), ()),
    "control": Field(read_control),
    "denials": Field(choice(Denials), Denials.HIDDEN),
    "connect": Field(connect, {}),
    "limits": Field(limits, Limits()),
    "log": Field(section(_LOG, lambda decisions: decisions), Decisions.ALL),
    "authorities": Field(text(_anything)),
    "moreAuthorities": Field(certificates, ""),
    "inbound": Field(section(_INBOUND, InboundSettings), InboundSettings()),
    "interception": Field(section(_INTERCEPTION, lambda directory: directory)),
    "egress": Field(
        section(_EGRESS, lambda privateAddresses: EgressSettings(privateAddresses)), EgressSettings()
    ),
    "narrow": Field(read_narrowing, Narrowing()),
    "credentials": Field(section(_CREDENTIALS, lambda directory: directory)),
    "hiddenSecrets": Field(hidden_variables, {}),
    "rateStore": Field(read_rate_store),
}
