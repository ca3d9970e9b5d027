"""Where an authorization server has its endpoints, as it says itself (RFC 8414; OpenID Connect Discovery 1.0).

The document is worth nothing unless its `issuer` is the very text that was asked for: otherwise one issuer could
speak for another. And no endpoint of an https issuer may be plain http, because tokens and keys go there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import absolute_form
from mesh.protocol.strict_json import JsonRefused, parse

_TEXT = re.compile(r"[!-~]+")
_MOST_NAMES = 64
_MOST_TOLD = 200
_OAUTH = "/.well-known/oauth-authorization-server"
_OPENID = "/.well-known/openid-configuration"


class MetadataInvalid(ValueError):
    """The document is none, or is another issuer's; the authorization server is at fault."""


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What an authorization server publishes, as far as it is used here. Each URI is absolute, None if absent."""

    issuer: str
    token_endpoint: str | None = None
    jwks_uri: str | None = None
    introspection_endpoint: str | None = None
    token_endpoint_auth_methods: tuple[str, ...] = ()
    """`token_endpoint_auth_methods_supported`; empty where it does not say."""
    introspection_endpoint_auth_methods: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ()


def probe_urls(issuer: str) -> tuple[str, ...]:
    """Where the metadata of `issuer` may be, in the order to try (MCP authorization, server metadata discovery).

    With a path: inserted before it for OAuth and for OpenID, then behind it for OpenID; without: OAuth, OpenID.
    Raises MetadataInvalid for what is no issuer's URL.
    """
    if not is_endpoint(issuer, plain_text=True) or "?" in issuer:
        raise MetadataInvalid("the issuer is no http or https URL without query and fragment")
    url = urlsplit(issuer)
    origin, path = f"{url.scheme}://{url.netloc}", url.path.rstrip("/")
    if not path:
        return origin + _OAUTH, origin + _OPENID
    return origin + _OAUTH + path, origin + _OPENID + path, origin + path + _OPENID


def read_metadata(issuer: str, body: bytes) -> ServerMetadata:
    """Read the document that was fetched for `issuer`; raises MetadataInvalid."""
    document = _object(body)
    if document.get("issuer") != issuer:
        said = str(document.get("issuer"))[:_MOST_TOLD]
        raise MetadataInvalid(f"the metadata are of another issuer, {said!r}; the names have to be identical")
    plain_text = issuer.lower().startswith("http://")
    return ServerMetadata(
        issuer,
        _endpoint(document, "token_endpoint", plain_text),
        _endpoint(document, "jwks_uri", plain_text),
        _endpoint(document, "introspection_endpoint", plain_text),
        _names(document, "token_endpoint_auth_methods_supported"),
        _names(document, "introspection_endpoint_auth_methods_supported"),
        _names(document, "grant_types_supported"),
    )


def is_endpoint(url: str, *, plain_text: bool) -> bool:
    """Whether this is an absolute URL that a request can be sent to; http counts where `plain_text` says so."""
    if _TEXT.fullmatch(url) is None:
        return False
    try:
        target = absolute_form(url.encode("ascii"))
    except HttpRefused:
        return False
    return target.scheme == "https" or plain_text


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = parse(body, max_depth=16).value
    except JsonRefused as refused:
        raise MetadataInvalid(f"the metadata are no JSON: {refused.detail}") from refused
    if not isinstance(value, dict):
        raise MetadataInvalid("the metadata are no JSON object")
    return value


def _endpoint(document: Mapping[str, Any], name: str, plain_text: bool) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_endpoint(value, plain_text=plain_text):
        raise MetadataInvalid(f"{name} is no {'http or ' if plain_text else ''}https URL")
    return value


def _names(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = document.get(name)
    if not isinstance(value, list):
        return ()
    return tuple(one for one in value[:_MOST_NAMES] if isinstance(one, str))
