"""The schema of a Backend's `credential`: exactly one kind, each read into its value of `credentials`.

The kinds that an authorization server gives are in `grants_schema`; here are those that are there already, in a
Secret, in a vault, or as our own identity.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from mesh.policy import yaml_tree
from mesh.policy.credentials import (
    Credential,
    GithubApp,
    Hidden,
    SecretKey,
    StaticSecret,
    SvidToken,
    Vault,
)
from mesh.policy.errors import shown
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Place,
    choice,
    describe,
    list_of,
    read_object,
    sound,
    text,
)
from mesh.policy.grants_schema import (
    read_client_credentials,
    read_exchange,
    read_id_jag,
    read_jwt_bearer,
)
from mesh.policy.header_names import header_fault, scheme_fault
from mesh.policy.oauth_schema import SECRET_KEY_FIELDS, is_the_secret, read_secret_key, read_url, read_word
from mesh.policy.yaml_tree import Node

MAX_VARIABLES = 100
MAX_REPOSITORIES = 500
MAX_PERMISSIONS = 100

_APP = re.compile(r"[A-Za-z0-9._-]{1,64}")
_INSTALLATION = re.compile(r"[0-9]{1,20}")
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}")
_PERMISSION = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SEGMENT = r"[A-Za-z0-9._~!$&'()*+,;=:@-]{1,256}"
_VAULT_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,31}}")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]{0,254}")


class Access(StrEnum):
    """How far a permission of a GitHub App goes."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


def _app_fault(value: str) -> str | None:
    return None if _APP.fullmatch(value) else f"{shown(value)} is neither the id nor the client id of an app"


def _installation_fault(value: str) -> str | None:
    return (
        None
        if _INSTALLATION.fullmatch(value)
        else f"{shown(value)} is no installation id, a number in quotes"
    )


def _repository_fault(value: str) -> str | None:
    if _REPOSITORY.fullmatch(value) and value not in (".", ".."):
        return None
    return f"{shown(value)} is no repository; write its name without the owner"


def vault_path_fault(value: str) -> str | None:
    """What is wrong with a path of Vault, or None: it goes into a URL as it is written."""
    if _VAULT_PATH.fullmatch(value) and not {".", ".."} & {*value.split("/")}:
        return None
    return (
        f"{shown(value)} is no path; write it as after /v1/, like secret/data/github: no / at its ends, no empty, "
        ". or .. segment, no percent-encoding or query"
    )


def _variable_fault(value: str) -> str | None:
    return None if _VARIABLE.fullmatch(value) else f"{shown(value)} is no name of an environment variable"


def read_permissions(node: Node, place: Place) -> tuple[tuple[str, str], ...] | Invalid:
    """`permissions` of a GitHub App: a level for each name."""
    if not isinstance(node, yaml_tree.Mapping):
        if isinstance(node, yaml_tree.Broken):
            return INVALID
        return place.error(node, f"expected a mapping like {{contents: read}}, found {describe(node)}")
    if len(node.entries) > MAX_PERMISSIONS:
        return place.error(node, f"{len(node.entries)} entries; at most {MAX_PERMISSIONS} are allowed")
    read_level = choice(Access)
    found: list[tuple[str, Any]] = []
    for entry in node.entries:
        below = place.child(entry.key)
        if not _PERMISSION.fullmatch(entry.key):
            found.append(
                (entry.key, below.error(entry.value, "no permission; allowed: a-z 0-9 _, like pull_requests"))
            )
        else:
            found.append((entry.key, read_level(entry.value, below)))
    return (
        INVALID
        if any(level is INVALID for _, level in found)
        else tuple((key, str(one)) for key, one in found)
    )


SVID_FIELDS = {"audience": Field(read_word, missing="for whom the JWT-SVID is, like https://crm.example.com")}
_HEADER_FIELDS = {
    "header": Field(text(header_fault), default="authorization"),
    "scheme": Field(text(scheme_fault)),
}
SECRET_FIELDS = {**SECRET_KEY_FIELDS, **_HEADER_FIELDS}
GITHUB_APP_FIELDS = {
    "appId": Field(text(_app_fault), missing="the app's id or client id, in quotes"),
    "installationId": Field(text(_installation_fault), missing="the installation's id, in quotes"),
    "privateKey": Field(read_secret_key, missing="the app's private key: {name: ..., key: ...}"),
    "url": Field(read_url, default="https://api.github.com"),
    "repositories": Field(list_of(text(_repository_fault), at_most=MAX_REPOSITORIES), default=()),
    "permissions": Field(read_permissions, default=()),
}
VAULT_FIELDS = {
    "url": Field(read_url, missing="where Vault or OpenBao is, like https://vault.example.com:8200"),
    "role": Field(read_word, missing="the role of the JWT auth method"),
    "path": Field(text(vault_path_fault), missing="the path of the secret, like secret/data/github"),
    "field": Field(read_word, missing="which field of the secret"),
    "mount": Field(text(vault_path_fault), default="jwt"),
    "audience": Field(read_word, default="vault"),
    "namespace": Field(text(vault_path_fault)),
    **_HEADER_FIELDS,
}
HIDDEN_FIELDS = {
    "variables": Field(
        list_of(text(_variable_fault), at_least=1, at_most=MAX_VARIABLES),
        missing="the environment variables whose placeholders become their secrets here",
    ),
}


def read_svid(node: Node, place: Place) -> SvidToken | Invalid:
    """The section `svid`."""
    values = read_object(node, place, SVID_FIELDS)
    return INVALID if values is None or not sound(values) else SvidToken(**values)


def _header(values: dict[str, Any]) -> tuple[str, str]:
    """Header and scheme. A scheme that is not written is Bearer, and in a header of another kind none."""
    header, scheme = values["header"].lower(), values["scheme"]
    if scheme is None:
        scheme = "Bearer" if header == "authorization" else ""
    return header, scheme


def read_secret(node: Node, place: Place) -> StaticSecret | Invalid:
    """The section `secret`."""
    values = None if is_the_secret(node, place) else read_object(node, place, SECRET_FIELDS)
    if values is None or not sound(values):
        return INVALID
    key = SecretKey(values["name"], values["key"])
    return StaticSecret(key, *_header(values))


def read_github_app(node: Node, place: Place) -> GithubApp | Invalid:
    """The section `githubApp`."""
    values = read_object(node, place, GITHUB_APP_FIELDS)
    if values is None or not sound(values):
        return INVALID
    return GithubApp(*(values[key] for key in GITHUB_APP_FIELDS))


def read_vault(node: Node, place: Place) -> Vault | Invalid:
    """The section `vault`."""
    values = read_object(node, place, VAULT_FIELDS)
    if values is None or not sound(values):
        return INVALID
    header, scheme = _header(values)
    return Vault(**{**values, "header": header, "scheme": scheme})


def read_hidden(node: Node, place: Place) -> Hidden | Invalid:
    """The section `hidden`."""
    values = read_object(node, place, HIDDEN_FIELDS)
    return INVALID if values is None or not sound(values) else Hidden(**values)


CREDENTIAL_FIELDS = {
    "exchange": Field(read_exchange),
    "clientCredentials": Field(read_client_credentials),
    "jwtBearer": Field(read_jwt_bearer),
    "idJag": Field(read_id_jag),
    "svid": Field(read_svid),
    "secret": Field(read_secret),
    "githubApp": Field(read_github_app),
    "vault": Field(read_vault),
    "hidden": Field(read_hidden),
}


def read_credential(node: Node, place: Place) -> Credential | Invalid:
    """The section `credential`, which holds one kind."""
    values = read_object(node, place, CREDENTIAL_FIELDS)
    if values is None:
        return INVALID
    written = [key for key, value in values.items() if value is not None]
    if not written and isinstance(node, yaml_tree.Mapping) and node.entries:
        return INVALID  # of fields that are none, each is reported
    if not written:
        return place.error(node, f"missing; write one of {', '.join(CREDENTIAL_FIELDS)}")
    if len(written) > 1:
        message = f"{', '.join(written)}: a Backend has one credential; keep one of them"
        return place.error(node, message)
    credential: Credential | Invalid = values[written[0]]
    return credential
