"""The section `identity` of the sidecar's configuration: which provider, and what each of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.spiffe_id import SpiffeId, parse_trust_domain
from mesh.policy.errors import shown
from mesh.policy.fields import INVALID, Field, Invalid, Place, choice, text
from mesh.policy.yaml_tree import Node
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import absolute_form
from sidecar.identity.endpoint import endpoint_fault
from sidecar.readers import section, strings
from sidecar.settings import BuiltinSettings, FilesSettings, IdentitySettings, Provider


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


def _builtin_of(url: str, root: str, token: str) -> BuiltinSettings:
    return BuiltinSettings(absolute_form(url.encode()), Path(root), Path(token))


def _identity_of(
    provider: Provider,
    socket: str | None,
    spiffeId: str | None,
    files: FilesSettings | None,
    builtin: BuiltinSettings | None,
) -> IdentitySettings:
    """The arguments are spelled as in the file."""
    return IdentitySettings(provider, socket, spiffeId, files, builtin)


def _paths(values: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(value) for name, value in values.items()}


def _spiffe_fault(value: str) -> str | None:
    try:
        SpiffeId.parse(value)
    except SpiffeIdInvalid as invalid:
        return str(invalid)
    return None


def _url_fault(value: str) -> str | None:
    try:
        target = absolute_form(value.encode())
    except HttpRefused as refused:
        return f"{shown(value)}: {refused.detail}"
    if target.scheme != "https":
        return f"{shown(value)} would show the token to the network; write an https:// URL"
    if b"?" in target.path:
        return f"{shown(value)} has a query; write it without"
    return None


def _path_fault(value: str) -> str | None:
    return None if value and "\0" not in value else f"{shown(value)} is no path"


def _federated(node: Node, place: Place) -> dict[str, str] | Invalid:
    """The name of a trust domain -> the file of its bundle."""
    values = strings(node, place)
    if isinstance(values, Invalid):
        return values
    faults = 0
    for name, path in values.items():
        try:
            parse_trust_domain(name)
            fault = _path_fault(path)
        except SpiffeIdInvalid as invalid:
            fault = str(invalid)
        if fault is not None:
            faults += 1
            place.child(name).error(node, fault)
    return INVALID if faults else values


_FILES = {
    "certificate": Field(text(_path_fault), missing="the file of the SVID's chain"),
    "key": Field(text(_path_fault)),
    "bundle": Field(text(_path_fault), missing="the file of the trust domain's authorities"),
    "federated": Field(_federated, {}),
    "jwtSvids": Field(strings, {}),
}
_BUILTIN = {
    "url": Field(text(_url_fault), missing="the https:// URL of the mesh's CA"),
    "root": Field(
        text(_path_fault), missing="the file of the root that vouches for the CA's own certificate"
    ),
    "token": Field(text(_path_fault), missing="the file of the ServiceAccount token"),
}
_IDENTITY = {
    "provider": Field(choice(Provider), missing="allowed: none, workload-api, files, builtin"),
    "socket": Field(text(endpoint_fault)),
    "spiffeId": Field(text(_spiffe_fault)),
    "files": Field(section(_FILES, _files_of)),
    "builtin": Field(section(_BUILTIN, _builtin_of)),
}

read_identity = section(_IDENTITY, _identity_of)
"""The reader of the section; gives IdentitySettings."""
