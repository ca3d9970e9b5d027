"""The clients that an authorization server knows, and how they prove themselves."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin, InvalidClientError, InvalidGrantError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc.jwk import KeySet

from e2e.oauth.keys import LEEWAY, Trust, unverified, verified_svid
from e2e.oauth.records import Records
from e2e.oauth.strict import JWT_BEARER_ASSERTION, JWT_SPIFFE_ASSERTION

METHODS = [
    "svid_jwt_spiffe",
    "svid_jwt_bearer",
    "private_key_jwt",
    "client_secret_basic",
    "client_secret_post",
    "none",
]
PUBLISHED = {"svid_jwt_spiffe": "jwt_spiffe", "svid_jwt_bearer": "private_key_jwt"}
LONGEST = 3600


@dataclass(frozen=True)
class Client(ClientMixin):
    """Who may ask for what.

    `audiences`: what this client is called in tokens that are meant for it, and which it may exchange.
    `targets`: for whom it may ask; empty: anybody. `known_as`: its name at other authorization servers, by issuer.
    """

    id: str
    methods: tuple[str, ...]
    grants: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)
    jwks: dict[str, Any] | None = None
    spiffe_id: str | None = None
    audiences: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    known_as: dict[str, str] = field(default_factory=dict)
    needs_actor: bool = False

    def get_client_id(self) -> str:
        return self.id

    def check_client_secret(self, client_secret: str) -> bool:
        return self.secret is not None and hmac.compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in self.methods

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grants


class PrivateKeyAssertion(JWTBearerClientAssertion):
    """private_key_jwt: Authlib verifies the assertion, and what it lets pass is looked at here."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, audiences: list[str], records: Records) -> None:
        super().__init__(leeway=LEEWAY)
        self._audiences = audiences
        self._records = records

    def __call__(self, query_client: Any, request: Any) -> Any:
        named = request.form.get("client_id")
        client = super().__call__(query_client, request)
        if client is not None and named not in (None, client.id):
            self._records.violation("RFC 7521 4.2: client_id is not that of the assertion")
            raise InvalidClientError(description="another client_id")
        return client

    def get_audiences(self) -> list[str]:
        return self._audiences

    def resolve_client_public_key(self, client: Client) -> KeySet:
        if client.jwks is None:
            raise InvalidClientError(description="The client has no keys.")
        return KeySet.import_key_set(client.jwks)

    def validate_jti(self, claims: dict[str, Any], jti: str) -> bool:
        for name in ("iat", "exp"):
            if not isinstance(claims.get(name), int):
                self._records.violation(f"RFC 7523 3: {name} of the client assertion is {claims.get(name)!r}")
        if claims["exp"] - claims.get("iat", 0) > LONGEST:
            self._records.violation("the client assertion lives longer than an hour")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1:
            self._records.violation("the client assertion has several audiences")
        fresh = self._records.first_use(str(claims["sub"]), jti)
        if not fresh:
            self._records.violation("RFC 7523 3: the client assertion was used before")
        return fresh


class SvidAssertion:
    """A JWT-SVID as client assertion, of either type.

    By draft-ietf-oauth-spiffe-client-auth `aud` is our issuer alone, and the client is known by its SPIFFE ID. As
    RFC 7523 has no SVIDs, the type jwt-bearer is held to the same.
    """

    def __init__(
        self, kind: str, issuer: str, trust: Trust, records: Records, by_spiffe_id: dict[str, Client]
    ) -> None:
        self._kind = kind
        self._issuer = issuer
        self._trust = trust
        self._records = records
        self._clients = by_spiffe_id

    def __call__(self, query_client: Any, request: Any) -> Client | None:
        assertion = request.form.get("client_assertion")
        if request.form.get("client_assertion_type") != self._kind or not assertion:
            return None
        try:
            _, claims = unverified(assertion)
            client = self._clients.get(str(claims.get("sub")))
            if client is None:
                return self._unknown(claims)
            verified_svid(assertion, self._trust, self._issuer)
        except InvalidGrantError as error:
            raise InvalidClientError(description=error.description) from error
        if request.form.get("client_id") not in (None, client.id, client.spiffe_id):
            self._records.violation("client_id is not that of the JWT-SVID")
            raise InvalidClientError(description="another client_id")
        return client

    def _unknown(self, claims: dict[str, Any]) -> None:
        if self._kind == JWT_SPIFFE_ASSERTION:
            raise InvalidGrantError(f"no client is {claims.get('sub')!r}")


def proofs(
    issuer: str, endpoint: str, trust: Trust, records: Records, clients: dict[str, Client]
) -> dict[str, Any]:
    """How clients prove themselves besides secrets, by the name of the method."""
    known = {client.spiffe_id: client for client in clients.values() if client.spiffe_id}
    return {
        "svid_jwt_spiffe": SvidAssertion(JWT_SPIFFE_ASSERTION, issuer, trust, records, known),
        "svid_jwt_bearer": SvidAssertion(JWT_BEARER_ASSERTION, issuer, trust, records, known),
        "private_key_jwt": PrivateKeyAssertion([issuer, endpoint], records),
    }
