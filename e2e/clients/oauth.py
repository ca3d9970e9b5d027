"""The OAuth half of the conformance client: the SDK's own flow with a browser that always agrees.

The mock authorization servers redirect at once, so following the user's part of the flow means to ask for the
authorization page and to read the answer out of where it sends the browser.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl

REDIRECT = "http://localhost:3000/callback"
CLIENT_METADATA_URL = "https://conformance-test.local/client-metadata.json"


class MemoryTokens:
    """Tokens and registrations for the length of one run."""

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self._client = client
        self._tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


class AgreeingBrowser:
    """Opens the authorization page and keeps what the redirect back to the client carries."""

    def __init__(self) -> None:
        self._sent_to = ""

    async def open(self, url: str) -> None:
        async with httpx2.AsyncClient(follow_redirects=False) as browser:
            page = await browser.get(url)
        self._sent_to = page.headers["location"]

    async def result(self) -> AuthorizationCodeResult:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self._sent_to).query).items()}
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


def authorization(url: str, scenario: str, context: dict[str, Any]) -> httpx2.Auth:
    """The SDK's provider for one scenario: registered beforehand where the context holds credentials."""
    browser = AgreeingBrowser()
    metadata = OAuthClientMetadata(
        client_name="conformance-client",
        redirect_uris=[AnyUrl(REDIRECT)],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
    )
    return OAuthClientProvider(
        url,
        metadata,
        MemoryTokens(_registered(context)),
        redirect_handler=browser.open,
        callback_handler=browser.result,
        client_metadata_url=CLIENT_METADATA_URL,
    )


def _registered(context: dict[str, Any]) -> OAuthClientInformationFull | None:
    if "client_secret" not in context:
        return None
    return OAuthClientInformationFull(
        client_id=context["client_id"],
        client_secret=context["client_secret"],
        redirect_uris=[AnyUrl(REDIRECT)],
        token_endpoint_auth_method="client_secret_basic",
        issuer=context.get("issuer"),
    )
