"""The credentials that an authorization server gives: `exchange`, `clientCredentials`, `jwtBearer` and `idJag`."""

from __future__ import annotations

from typing import Any

from mesh.policy.credentials import (
    ClientCredentials,
    ClientMethod,
    Exchange,
    IdJag,
    JwtBearer,
    Preset,
    SubjectKind,
    TokenServer,
    WithoutUser,
)
from mesh.policy.fields import INVALID, Field, Invalid, Place, boolean, choice, read_object, sound
from mesh.policy.oauth_schema import (
    SERVER_FIELDS,
    read_scopes,
    read_secret_key,
    read_server,
    read_url,
    read_word,
    server_of,
)
from mesh.policy.yaml_tree import Node

_STEP_UP = {"stepUp": Field(read_scopes, default=())}

EXCHANGE_FIELDS = {
    **SERVER_FIELDS,
    "preset": Field(choice(Preset), default=Preset.RFC8693),
    "audience": Field(read_word),
    "resource": Field(read_url),
    "scopes": Field(read_scopes, default=()),
    "subjectToken": Field(choice(SubjectKind), default=SubjectKind.ACCESS_TOKEN),
    "actor": Field(boolean, default=False),
    "withoutUser": Field(choice(WithoutUser), default=WithoutUser.REFUSE),
    **_STEP_UP,
}
CLIENT_CREDENTIALS_FIELDS = {
    **SERVER_FIELDS,
    "audience": Field(read_word),
    "resource": Field(read_url),
    "scopes": Field(read_scopes, default=()),
    **_STEP_UP,
}
JWT_BEARER_FIELDS = {
    **SERVER_FIELDS,
    "assertion": Field(read_secret_key),
    "assertionAudience": Field(read_word),
    "resource": Field(read_url),
    "scopes": Field(read_scopes, default=()),
    **_STEP_UP,
}
ID_JAG_FIELDS = {
    "idp": Field(read_server, missing="the identity provider: {issuer: https://..., client: {...}}"),
    "server": Field(read_server, missing="the MCP server's authorization server: {issuer: https://...}"),
    "resource": Field(read_url, missing="the URL of the MCP server"),
    "audience": Field(read_word),
    "scopes": Field(read_scopes, default=()),
    "subjectToken": Field(choice(SubjectKind), default=SubjectKind.ID_TOKEN),
}

_KEYCLOAK = {
    "actor": "Keycloak's standard token exchange takes no actor token, and refuses requests that bring one; "
    "remove it, azp names the agent",
    "resource": "Keycloak's standard token exchange knows no resource; write audience: CLIENT-ID",
}
_ENTRA = {
    "actor": "Entra's on-behalf-of flow takes no actor token; remove it, azp names the agent",
    "resource": "Entra's on-behalf-of flow knows no resource; its scopes name it: api://APP/.default",
    "audience": "Entra's on-behalf-of flow knows no audience; its scopes name it: api://APP/.default",
}
_TWO_ASSERTIONS = (
    "assertionAudience",
    "it is the JWT-SVID's, and assertion takes its place with a JWT whose audience is settled; remove one of them",
)


def read_exchange(node: Node, place: Place) -> Exchange | Invalid:
    """The section `exchange`."""
    values = read_object(node, place, EXCHANGE_FIELDS)
    if values is None:
        return INVALID
    server = server_of(values, node, place)
    faults = [] if isinstance(values["preset"], Invalid) else [*_preset_faults(values)]
    if isinstance(server, TokenServer) and values["withoutUser"] is WithoutUser.CLIENT_CREDENTIALS:
        faults += _nobody_faults(server, "withoutUser: client-credentials is")
    if not _reported(faults, node, place) or isinstance(server, Invalid) or not sound(values):
        return INVALID
    return Exchange(
        server,
        values["preset"],
        values["audience"],
        values["resource"],
        values["scopes"],
        values["subjectToken"],
        values["actor"],
        values["withoutUser"],
        values["stepUp"],
    )


def _preset_faults(values: dict[str, Any]) -> list[tuple[str, str]]:
    preset = values["preset"]
    without = _KEYCLOAK if preset is Preset.KEYCLOAK else _ENTRA if preset is Preset.ENTRA else {}
    faults = [(key, message) for key, message in without.items() if values[key] not in (None, False, INVALID)]
    if preset is Preset.ENTRA:
        client = values["client"]
        if values["scopes"] == ():
            faults.append(("scopes", "missing; Entra's scopes name the audience: [api://APP/.default]"))
        if not isinstance(client, Invalid) and client.id is None:
            faults.append(("client.id", "missing; Entra needs the application's client id"))
        if not isinstance(client, Invalid) and client.method is ClientMethod.JWT_SPIFFE:
            faults.append(("client.method", "Entra does not know jwt-spiffe; write method: jwt-bearer"))
    return faults


def _nobody_faults(server: TokenServer, what: str) -> list[tuple[str, str]]:
    if server.client.method is not ClientMethod.NONE:
        return []
    return [
        (
            "client.method",
            f"{what} for clients that prove who they are (RFC 6749, section 4.4); leave method out for "
            "jwt-spiffe, or write jwt-bearer, private-key, secret-basic or secret-post",
        )
    ]


def _reported(faults: list[tuple[str, str]], node: Node, place: Place) -> bool:
    """Report contradictions; True when there is none."""
    for path, message in faults:
        below = place
        for key in path.split("."):
            below = below.child(key)
        below.report(message, node.line)
    return not faults


def read_client_credentials(node: Node, place: Place) -> ClientCredentials | Invalid:
    """The section `clientCredentials`."""
    values = read_object(node, place, CLIENT_CREDENTIALS_FIELDS)
    if values is None:
        return INVALID
    server = server_of(values, node, place)
    faults = _nobody_faults(server, "clientCredentials is") if isinstance(server, TokenServer) else []
    if not _reported(faults, node, place) or isinstance(server, Invalid) or not sound(values):
        return INVALID
    return ClientCredentials(
        server, values["audience"], values["resource"], values["scopes"], values["stepUp"]
    )


def read_jwt_bearer(node: Node, place: Place) -> JwtBearer | Invalid:
    """The section `jwtBearer`."""
    values = read_object(node, place, JWT_BEARER_FIELDS)
    if values is None:
        return INVALID
    server = server_of(values, node, place)
    faults = [] if None in (values["assertion"], values["assertionAudience"]) else [_TWO_ASSERTIONS]
    if not _reported(faults, node, place) or isinstance(server, Invalid) or not sound(values):
        return INVALID
    return JwtBearer(
        server,
        values["assertionAudience"],
        values["resource"],
        values["scopes"],
        values["stepUp"],
        values["assertion"],
    )


def read_id_jag(node: Node, place: Place) -> IdJag | Invalid:
    """The section `idJag`."""
    values = read_object(node, place, ID_JAG_FIELDS)
    if values is None:
        return INVALID
    server = values["server"]
    if isinstance(server, TokenServer) and server.issuer is None and values["audience"] is None:
        message = "missing; it is the issuer of server, which names a token endpoint alone"
        values["audience"] = place.child("audience").error(node, message)
    if not sound(values):
        return INVALID
    return IdJag(
        values["idp"],
        server,
        values["resource"],
        values["audience"],
        values["scopes"],
        values["subjectToken"],
    )
