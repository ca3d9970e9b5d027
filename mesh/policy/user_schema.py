"""The schema of an AgentPolicy's `users`: whose tokens callers bring, and what becomes of them."""

from __future__ import annotations

import re
from typing import Any

from mesh.identity.jws import ALGORITHMS
from mesh.policy.credentials import ClientAuth, ClientMethod
from mesh.policy.durations import duration
from mesh.policy.errors import shown
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Place,
    boolean,
    choice,
    list_of,
    read_object,
    sound,
    suggestion,
    text,
)
from mesh.policy.hosts import path_fault
from mesh.policy.oauth_schema import read_client, read_scopes, read_url, read_word
from mesh.policy.user_auth import (
    DEFAULT_ALGORITHMS,
    DEFAULT_CORRELATION,
    DEFAULT_SKEW_SECONDS,
    Correlation,
    Given,
    Introspection,
    Issuer,
    UserAuth,
)
from mesh.policy.yaml_tree import Node

MAX_ISSUERS = 20
MAX_AUDIENCES = 50
MAX_BYPASSES = 100

_SYMMETRIC = re.compile(r"HS[0-9]+")


def algorithm_fault(value: str) -> str | None:
    """What is wrong with a signature algorithm (RFC 7518), or None."""
    if value in ALGORITHMS:
        return None
    allowed = f"allowed: {', '.join(ALGORITHMS)}"
    if value.lower() == "none":
        return f"a token without a signature proves nothing; {allowed}"
    if _SYMMETRIC.fullmatch(value):
        return f"{value} is symmetric: whoever can verify a token could make one; {allowed}"
    return f"{shown(value)} is not supported{suggestion(value, ALGORITHMS)}; {allowed}"


def bypass_fault(value: str) -> str | None:
    """What is wrong with a path that nobody needs a token for, or None."""
    if value == "/*":
        return "/* is every path; write required: false to need no token anywhere"
    path = value.removesuffix("/*")
    if "*" in path:
        return f"{shown(value)}: a path is exact, or ends in /*"
    return path_fault(path)


INTROSPECTION_FIELDS = {
    "endpoint": Field(read_url),
    "cache": Field(duration("0s", "1h"), default=60.0),
    "client": Field(read_client, default=ClientAuth()),
}


def read_introspection(node: Node, place: Place) -> Introspection | Invalid:
    """The section `introspection` of an issuer."""
    values = read_object(node, place, INTROSPECTION_FIELDS)
    if values is None:
        return INVALID
    client = values["client"]
    if isinstance(client, ClientAuth) and client.method is ClientMethod.NONE:
        message = "none is not allowed: who asks about tokens proves who they are (RFC 7662, section 2.1)"
        place.child("client").child("method").report(message, node.line)
        return INVALID
    return Introspection(client, values["endpoint"], values["cache"]) if sound(values) else INVALID


ISSUER_FIELDS = {
    "issuer": Field(
        read_url, missing="the issuer (iss) of the tokens, like https://idp.example.com/realms/acme"
    ),
    "audiences": Field(
        list_of(read_word, at_least=1, at_most=MAX_AUDIENCES),
        missing="what tokens for this workload have as audience (aud)",
    ),
    "jwksUri": Field(read_url),
    "algorithms": Field(list_of(text(algorithm_fault), at_least=1, at_most=20), default=DEFAULT_ALGORITHMS),
    "clockSkew": Field(duration("0s", "5m"), default=DEFAULT_SKEW_SECONDS),
    "introspection": Field(read_introspection),
}


def read_issuer(node: Node, place: Place) -> Issuer | Invalid:
    """One entry of `issuers`."""
    values = read_object(node, place, ISSUER_FIELDS)
    return Issuer(*(values[key] for key in ISSUER_FIELDS)) if values and sound(values) else INVALID


USERS_FIELDS = {
    "issuers": Field(
        list_of(read_issuer, at_least=1, at_most=MAX_ISSUERS), missing="whose tokens are accepted"
    ),
    "required": Field(boolean, default=True),
    "scopes": Field(read_scopes, default=()),
    "bypass": Field(list_of(text(bypass_fault), at_most=MAX_BYPASSES), default=()),
    "resource": Field(read_url),
    "application": Field(choice(Given), default=Given.HANDLE),
    "correlation": Field(list_of(choice(Correlation)), default=tuple(sorted(DEFAULT_CORRELATION))),
}


def read_users(node: Node, place: Place) -> UserAuth | Invalid:
    """The section `users`."""
    values = read_object(node, place, USERS_FIELDS)
    if values is None:
        return INVALID
    if not _issuers_once(values["issuers"], node, place) or not sound(values):
        return INVALID
    return UserAuth(
        issuers=values["issuers"],
        required=values["required"],
        scopes=frozenset(values["scopes"]),
        bypass=values["bypass"],
        resource=values["resource"],
        given=values["application"],
        correlation=frozenset(values["correlation"]),
    )


def _issuers_once(issuers: Any, node: Node, place: Place) -> bool:
    if isinstance(issuers, Invalid):
        return False
    first: dict[str, int] = {}
    once = True
    for index, one in enumerate(issuers):
        if isinstance(one, Issuer) and first.setdefault(one.issuer, index) != index:
            message = f"the same issuer as issuers[{first[one.issuer]}]; keep one of the two"
            place.child("issuers").item(index).report(message, node.line)
            once = False
    return once
