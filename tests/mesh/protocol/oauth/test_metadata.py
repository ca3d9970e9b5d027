"""Metadata of authorization servers: where they are looked for, and what is believed of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.protocol.oauth.metadata import MetadataInvalid, is_endpoint, probe_urls, read_metadata

ISSUER = "https://idp.example.com/realms/acme"


def document(**changed: Any) -> bytes:
    said: dict[str, Any] = {
        "issuer": ISSUER,
        "token_endpoint": ISSUER + "/token",
        "jwks_uri": ISSUER + "/jwks",
    }
    return json.dumps({**said, **changed}).encode()


def test_an_issuer_with_a_path_is_looked_for_in_three_places() -> None:
    assert probe_urls(ISSUER) == (
        "https://idp.example.com/.well-known/oauth-authorization-server/realms/acme",
        "https://idp.example.com/.well-known/openid-configuration/realms/acme",
        "https://idp.example.com/realms/acme/.well-known/openid-configuration",
    )


@pytest.mark.parametrize("issuer", ["https://idp.example.com", "https://idp.example.com/"])
def test_an_issuer_without_a_path_is_looked_for_in_two_places(issuer: str) -> None:
    assert probe_urls(issuer) == (
        "https://idp.example.com/.well-known/oauth-authorization-server",
        "https://idp.example.com/.well-known/openid-configuration",
    )


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "idp",
        "ftp://idp.example.com",
        "https://",
        "https://idp?x=1",
        "https://idp/#x",
        "https://u:p@idp/",
        "https://idp/ü",
    ],
)
def test_what_is_no_url_is_no_issuer(issuer: str) -> None:
    with pytest.raises(MetadataInvalid):
        probe_urls(issuer)


def test_a_document_says_where_everything_is() -> None:
    found = read_metadata(
        ISSUER,
        document(
            introspection_endpoint=ISSUER + "/introspect",
            token_endpoint_auth_methods_supported=["private_key_jwt", 7],
            grant_types_supported="all",
        ),
    )
    assert (found.issuer, found.token_endpoint) == (ISSUER, ISSUER + "/token")
    assert (found.jwks_uri, found.introspection_endpoint) == (ISSUER + "/jwks", ISSUER + "/introspect")
    assert found.token_endpoint_auth_methods == ("private_key_jwt",)
    assert found.grant_types == ()


@pytest.mark.parametrize("other", [ISSUER + "/", ISSUER.upper(), "https://evil.example.com", None, 7])
def test_a_document_of_another_issuer_is_not_believed(other: Any) -> None:
    with pytest.raises(MetadataInvalid, match="another issuer"):
        read_metadata(ISSUER, document(issuer=other))


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri", "introspection_endpoint"])
@pytest.mark.parametrize(
    "url", ["http://idp.example.com/x", "/token", "file:///etc/passwd", "https://u@idp/x", 7, ["x"]]
)
def test_no_endpoint_of_an_https_issuer_may_be_anything_else(name: str, url: Any) -> None:
    with pytest.raises(MetadataInvalid, match=name):
        read_metadata(ISSUER, document(**{name: url}))


def test_an_issuer_in_plain_text_may_have_endpoints_in_plain_text() -> None:
    issuer = "http://127.0.0.1:8080/realms/acme"
    found = read_metadata(issuer, document(issuer=issuer, jwks_uri="http://127.0.0.1:8080/jwks"))
    assert found.jwks_uri == "http://127.0.0.1:8080/jwks"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"issuer": "a", "issuer": "b"}', b"\xff"])
def test_what_is_no_json_object_is_no_document(body: bytes) -> None:
    with pytest.raises(MetadataInvalid):
        read_metadata(ISSUER, body)


def test_an_endpoint_is_a_url_that_a_request_can_be_sent_to() -> None:
    assert is_endpoint("https://idp/x?y=1", plain_text=False)
    assert not is_endpoint("http://idp/x", plain_text=False)
    assert is_endpoint("http://idp/x", plain_text=True)
    assert not is_endpoint("https://idp/a b", plain_text=True)
