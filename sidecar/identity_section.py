"""The section `identity` of the sidecar's configuration: which provider, and what each of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.spiffe_id import SpiffeId, parse_trust_domain
from mesh.policy.fields import INVALID, Field, Invalid, Place, choice, text
from mesh.policy.yaml_tree import Node
from sidecar.control_section import path_fault
from sidecar.identity.endpoint import endpoint_fault
from sidecar.readers import section, strings
from sidecar.settings import FilesSettings, IdentitySettings, Provider


def _files_of(
    certificate: str,
    key: str | None,
    bundle: str,
    federated: Mapping[str, str],
    jwtSvids: Mapping[str, str],
) -> FilesSettings:
    """The arguments are spelled as in the file."""
    return FilesSettings(
        Path(certificate),
        None if key is None else Path(key),
        Path(bundle),
        _paths(federated),
        _paths(jwtSvids),
    )


def _identity_of(
    provider: Provider,
    socket: str | None,
    spiffeId: str | None,
    files: FilesSettings | None,
) -> IdentitySettings:
    """The arguments are spelled as in the file."""
    return IdentitySettings(provider, socket, spiffeId, files)


def _paths(values: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(value) for name, value in values.items()}


def _spiffe_fault(value: str) -> str | None:
    try:
        SpiffeId.parse(value)
    except SpiffeIdInvalid as invalid:
        return str(invalid)
    return None


def _federated(node: Node, place: Place) -> dict[str, str] | Invalid:
    """The name of a trust domain -> the file of its bundle."""
    values = strings(node, place)
    if isinstance(values, Invalid):
        return values
    faults = 0
    for name, path in values.items():
        try:
            parse_trust_domain(name)
            fault = path_fault(path)
        except SpiffeIdInvalid as invalid:
            fault = str(invalid)
        if fault is not None:
            faults += 1
            place.child(name).error(node, fault)
    return INVALID if faults else values


_FILES = {
    "certificate": Field(text(path_fault), missing="the file of the SVID's chain"),
    "key": Field(text(path_fault)),
    "bundle": Field(text(path_fault), missing="the file of the trust domain's authorities"),
    "federated": Field(_federated, {}),
    "jwtSvids": Field(strings, {}),
}
_IDENTITY = {
    "provider": Field(choice(Provider), missing="allowed: none, workload-api, files, builtin"),
    "socket": Field(text(endpoint_fault)),
    "spiffeId": Field(text(_spiffe_fault)),
    "files": Field(section(_FILES, _files_of)),
}

read_identity = section(_IDENTITY, _identity_of)
"""The reader of the section; gives IdentitySettings."""
