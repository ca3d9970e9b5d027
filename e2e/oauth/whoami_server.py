"""An MCP server that takes tokens for itself only, and tells what is in them.

`python -m e2e.oauth.whoami_server --resource URL --issuer URL --jwks URL --roots FILE`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
from typing import Any

import jwt
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl

from e2e.servers.serve import serve

ALGORITHMS = ["ES256", "RS256"]
TOLD = ("iss", "sub", "aud", "client_id", "scope", "act")


class Verifier:
    """A TokenVerifier of the SDK: signature, issuer, expiry, and this server as the one and only audience."""

    def __init__(self, resource: str, issuer: str, jwks: str, roots: str | None) -> None:
        self._resource = resource
        self._issuer = issuer
        context = ssl.create_default_context(cafile=roots)
        self._keys = jwt.PyJWKClient(jwks, ssl_context=context, lifespan=5)

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            claims = await asyncio.to_thread(self._verified, token)
        except jwt.PyJWTError:
            return None
        return AccessToken(
            token=token,
            client_id=claims.get("client_id") or claims.get("azp") or "",
            scopes=str(claims.get("scope", "")).split(),
            expires_at=claims["exp"],
            resource=self._resource,
            subject=claims["sub"],
            claims=claims,
        )

    def _verified(self, token: str) -> dict[str, Any]:
        key = self._keys.get_signing_key_from_jwt(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=ALGORITHMS,
            audience=self._resource,
            issuer=self._issuer,
            options={"require": ["exp", "iat", "sub", "aud", "iss"]},
        )
        if claims["aud"] not in (self._resource, [self._resource]):
            raise jwt.InvalidAudienceError("the token is for others, too")
        return claims


def build(verifier: Verifier, resource: str, issuer: str) -> MCPServer:
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(issuer),
        resource_server_url=AnyHttpUrl(resource),
        validate_token_resource=True,
    )
    server = MCPServer("whoami", token_verifier=verifier, auth=settings)

    @server.tool(description="What the token of this request says")
    def whoami() -> str:
        token = get_access_token()
        assert token is not None
        assert token.claims is not None
        return json.dumps({name: token.claims.get(name) for name in TOLD})

    @server.tool(description="Answers with what it is sent")
    def echo(words: str) -> str:
        return words

    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("resource", "issuer", "jwks"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--roots")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    verifier = Verifier(options.resource, options.issuer, options.jwks, options.roots)
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    server = build(verifier, options.resource, options.issuer)
    serve(server.streamable_http_app(transport_security=security), ("127.0.0.1", options.port))


if __name__ == "__main__":
    main()
