"""What OAuth sections have in common: authorization servers, how we prove ourselves to them, scopes, Secrets.

For the credentials of Backends, and for introspection.
"""

from __future__ import annotations

import re
from typing import Any

from mesh.policy import yaml_tree
from mesh.policy.credentials import ClientAuth, ClientMethod, SecretKey, TokenServer
from mesh.policy.errors import shown
from mesh.policy.fields import INVALID, Field, Invalid, Place, choice, list_of, read_object, text
from mesh.policy.metadata import name_check
from mesh.policy.urls import url_fault
from mesh.policy.yaml_tree import Node

MAX_SCOPES = 100
MAX_TEXT = 2048

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
_TEXT = re.compile(r"[\x20-\x7e]{1,2048}")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")

_SHARED = (ClientMethod.SECRET_BASIC, ClientMethod.SECRET_POST)
_WITH_SECRET = (*_SHARED, ClientMethod.PRIVATE_KEY)
_WITH_ASSERTION = (ClientMethod.JWT_SPIFFE, ClientMethod.JWT_BEARER, ClientMethod.PRIVATE_KEY)


def scope_fault(value: str) -> str | None:
    """What is wrong with a scope (RFC 6749, section 3.3: scope-token), or None."""
    if _SCOPE.fullmatch(value):
        return None
    if " " in value:
        return f"{shown(value)} holds a space; write each scope as an entry of its own"
    return (
        f'{shown(value)} is no scope; allowed: printable ASCII characters without space, " and \\ (RFC 6749)'
    )


def word_fault(value: str) -> str | None:
    """What is wrong with a text that goes into a request, or None."""
    if _TEXT.fullmatch(value):
        return None
    return f"{shown(value)}: 1 to {MAX_TEXT} printable ASCII characters are allowed"


def secret_key_fault(value: str) -> str | None:
    """What is wrong with a key of a Secret (it is the name of a file), or None."""
    if _SECRET_KEY.fullmatch(value) and not value.startswith("..") and value != ".":
        return None
    return f"{shown(value)} is no key of a Secret; allowed: up to 253 of A-Z a-z 0-9 . _ -, not beginning with .."


def secret_name_fault(value: str) -> str | None:
    """What is wrong with the name of a Secret, or None."""
    return name_check(value)


read_word = text(word_fault)
read_url = text(url_fault)
read_scopes = list_of(text(scope_fault), at_most=MAX_SCOPES)
read_needed_scopes = list_of(text(scope_fault), at_least=1, at_most=MAX_SCOPES)

SECRET_KEY_FIELDS = {
    "name": Field(text(secret_name_fault), missing="the name of a Secret that the sidecar mounts"),
    "key": Field(text(secret_key_fault), missing="the key in the Secret"),
}


def is_the_secret(node: Node, place: Place) -> bool:
    """Whether somebody wrote a secret itself in the place of its name; it is reported, and not repeated."""
    if isinstance(node, yaml_tree.Scalar):
        place.error(node, "expected {name: ..., key: ...} of a Secret; a secret itself is never written here")
    return isinstance(node, yaml_tree.Scalar)


def read_secret_key(node: Node, place: Place) -> SecretKey | Invalid:
    """`{name, key}` of a Secret."""
    if is_the_secret(node, place):
        return INVALID
    values = read_object(node, place, SECRET_KEY_FIELDS)
    return INVALID if values is None or INVALID in values.values() else SecretKey(**values)


CLIENT_FIELDS = {
    "method": Field(choice(ClientMethod), default=ClientMethod.JWT_SPIFFE),
    "id": Field(read_word),
    "audience": Field(read_word),
    "secret": Field(read_secret_key),
}


def read_client(node: Node, place: Place) -> ClientAuth | Invalid:
    """The section `client`. What a method cannot do without, and what it would not look at, is said here."""
    values = read_object(node, place, CLIENT_FIELDS)
    if values is None:
        return INVALID
    agrees = isinstance(values["method"], Invalid) or _client_agrees(values, node, place)
    return ClientAuth(**values) if agrees and INVALID not in values.values() else INVALID


def _client_agrees(values: dict[str, Any], node: Node, place: Place) -> bool:
    method = values["method"]
    faults = []
    if method in _WITH_SECRET:
        what = "the private key" if method is ClientMethod.PRIVATE_KEY else "the client secret"
        if values["secret"] is None:
            faults.append(("secret", f"missing; {method} needs {what}: {{name: ..., key: ...}}"))
        if values["id"] is None:
            faults.append(("id", f"missing; {method} needs the client id"))
    elif values["secret"] is not None:
        faults.append(("secret", f"{method} has no secret; remove it, or choose another method"))
    if method not in _WITH_ASSERTION and values["audience"] is not None:
        faults.append(("audience", f"it is the assertion's, and {method} has none; remove it"))
    for key, message in faults:
        place.child(key).report(message, node.line)
    return not faults


SERVER_FIELDS = {
    "issuer": Field(read_url),
    "tokenEndpoint": Field(read_url),
    "client": Field(read_client, default=ClientAuth()),
}


def server_of(values: dict[str, Any], node: Node, place: Place) -> TokenServer | Invalid:
    """The authorization server among the values of a section."""
    issuer, endpoint, client = (values[key] for key in SERVER_FIELDS)
    if issuer is None and endpoint is None:
        message = (
            "missing; write issuer: https://..., whose metadata name the token endpoint, or tokenEndpoint"
        )
        return place.child("issuer").error(node, message)
    return INVALID if INVALID in (issuer, endpoint, client) else TokenServer(issuer, endpoint, client)


def read_server(node: Node, place: Place) -> TokenServer | Invalid:
    """A section that is an authorization server and nothing else."""
    values = read_object(node, place, SERVER_FIELDS)
    return INVALID if values is None else server_of(values, node, place)
