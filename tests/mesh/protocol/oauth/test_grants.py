"""The parameters of each grant, none more and none empty."""

from __future__ import annotations

from mesh.protocol.oauth.grants import (
    ID_JAG,
    ID_TOKEN,
    client_credentials,
    jwt_bearer,
    on_behalf_of,
    token_exchange,
)

TYPE = "urn:ietf:params:oauth:token-type:"


def test_an_exchange_with_everything() -> None:
    form = token_exchange(
        "users",
        TYPE + "access_token",
        audience="crm",
        resource="https://crm.example/mcp",
        scopes=("read", "write"),
        actor_token="svid",
    )
    assert form == (
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("resource", "https://crm.example/mcp"),
        ("audience", "crm"),
        ("scope", "read write"),
        ("requested_token_type", TYPE + "access_token"),
        ("subject_token", "users"),
        ("subject_token_type", TYPE + "access_token"),
        ("actor_token", "svid"),
        ("actor_token_type", TYPE + "jwt"),
    )


def test_what_is_not_asked_for_is_left_out() -> None:
    assert dict(token_exchange("users", ID_TOKEN, requested_token_type=ID_JAG)) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": TYPE + "id-jag",
        "subject_token": "users",
        "subject_token_type": TYPE + "id_token",
    }
    assert client_credentials() == (("grant_type", "client_credentials"),)
    assert jwt_bearer("jwt") == (
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", "jwt"),
    )


def test_client_credentials_with_everything() -> None:
    assert dict(client_credentials(audience="a", resource="https://r", scopes=["x", "y"])) == {
        "grant_type": "client_credentials",
        "scope": "x y",
        "resource": "https://r",
        "audience": "a",
    }


def test_on_behalf_of() -> None:
    assert dict(on_behalf_of("users", scopes=["api://crm/.default"])) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": "users",
        "scope": "api://crm/.default",
        "requested_token_use": "on_behalf_of",
    }
