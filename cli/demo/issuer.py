"""A stand-in for an authorization server: it signs users' tokens, and exchanges them (RFC 8693).

It has what this story needs of one, and no users to log in: whose token the demo asks for, it makes. What it is
asked to exchange it verifies: the client by its JWT-SVID, the user's token by its own key, the actor by its SVID.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from cli.demo.cast import HELPDESK, HELPDESK_AUDIENCE, ISSUER, NOTES_AUDIENCE, TRUST_DOMAIN
from mesh.identity.bundle_document import jwk_of, jwt_keys_of
from mesh.identity.errors import JwtInvalid
from mesh.identity.jws import read_jws, sign, verify
from mesh.identity.jwt_svid import make_jwt_key, validate_jwt_svid

LIFETIME = 300
"""Of every token, in seconds."""

JWT_SPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a kind

CLIENTS = {HELPDESK.spiffe_id: (HELPDESK_AUDIENCE, frozenset({NOTES_AUDIENCE}))}
"""Who may exchange tokens: those made for which audience, for those of which others."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A token that was made from another. `digest`: its SHA-256, to know it by when it is seen again."""

    client: str
    subject: str
    actor: str
    audience: str
    digest: str


class Refusal(Exception):
    """The client is at fault; `error` is the code of RFC 6749, section 5.2."""

    def __init__(self, error: str, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.error = error
        self.status = status


class Issuer:
    """Its keys and what it has done. `made`: every token, `exchanges`: those made from others, in order."""

    def __init__(self) -> None:
        self._key = make_jwt_key()
        self._trusted: dict[str, Any] = {}
        self.made: list[str] = []
        self.exchanges: list[Exchanged] = []

    def trust(self, jwks: Mapping[str, Any]) -> None:
        """Whose JWT-SVIDs prove clients: the mesh's."""
        self._trusted = {TRUST_DOMAIN: jwt_keys_of(jwks["keys"])}

    def token(self, user: str) -> str:
        """What a user gets who has logged in: a token for the helpdesk."""
        return self._sign({"sub": user, "aud": HELPDESK_AUDIENCE, "azp": "portal"})

    def application(self) -> web.Application:
        """Metadata (RFC 8414), keys and the token endpoint."""
        application = web.Application()
        application.router.add_get("/.well-known/oauth-authorization-server", self._metadata)
        application.router.add_get("/keys", self._keys)
        application.router.add_post("/token", self._token)
        return application

    async def _metadata(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", "token_endpoint": f"{ISSUER}/token"}
        )

    async def _keys(self, request: web.Request) -> web.Response:
        key = jwk_of(self._key.public, use="sig", alg="ES256", kid=self._key.key_id)
        return web.json_response({"keys": [key]})

    async def _token(self, request: web.Request) -> web.Response:
        try:
            token = self._exchange({name: str(value) for name, value in (await request.post()).items()})
        except Refusal as refused:
            told = {"error": refused.error, "error_description": str(refused)}
            return web.json_response(told, status=refused.status)
        answer = {"access_token": token, "token_type": "Bearer", "issued_token_type": ACCESS_TOKEN}
        return web.json_response({**answer, "expires_in": LIFETIME})

    def _exchange(self, form: Mapping[str, str]) -> str:
        if form.get("grant_type") != EXCHANGE or form.get("subject_token_type") != ACCESS_TOKEN:
            raise Refusal("unsupported_grant_type", "only access tokens are exchanged here")
        if form.get("client_assertion_type") != JWT_SPIFFE:
            raise Refusal("invalid_client", "clients prove themselves by JWT-SVID", 401)
        client = self._svid(form.get("client_assertion", ""), "invalid_client", 401)
        if client not in CLIENTS:
            raise Refusal("unauthorized_client", f"{client} may exchange nothing")
        own, others = CLIENTS[client]
        if form.get("audience") not in others:
            raise Refusal("invalid_target", "this client gets no tokens for that audience")
        subject = self._user(form.get("subject_token", ""), own)
        actor = self._svid(form.get("actor_token", ""), "invalid_request", 400)
        audience = form["audience"]
        token = self._sign({"sub": subject, "aud": audience, "azp": client, "act": {"sub": actor}})
        self.exchanges.append(Exchanged(client, subject, actor, audience, digest(token)))
        return token

    def _svid(self, token: str, error: str, status: int) -> str:
        """The SPIFFE ID that a JWT-SVID for this server proves."""
        try:
            return str(validate_jwt_svid(token, ISSUER, self._trusted, datetime.now(UTC))[0])
        except JwtInvalid as invalid:
            raise Refusal(error, f"no JWT-SVID: {invalid}", status) from invalid

    def _user(self, token: str, audience: str) -> str:
        """Whose token this is, if it is one of ours for `audience`."""
        try:
            read = read_jws(token)
            verify(read, self._key.public)
        except JwtInvalid as invalid:
            raise Refusal("invalid_grant", f"subject_token: {invalid}") from invalid
        if read.claims["aud"] != audience or read.claims["exp"] <= _now():
            raise Refusal("invalid_grant", "subject_token is for somebody else, or has expired")
        return str(read.claims["sub"])

    def _sign(self, claims: Mapping[str, Any]) -> str:
        now = _now()
        made = sign(
            self._key.key, self._key.key_id, {"iss": ISSUER, "iat": now, "exp": now + LIFETIME, **claims}
        )
        self.made.append(made)
        return made


def digest(token: str) -> str:
    """By which a token is recognised without being told."""
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> int:
    return int(datetime.now(UTC).timestamp())
