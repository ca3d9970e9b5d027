"""The grants of an authorization server: Authlib's where it has one, and token exchange, which it has not.

Each ends in `issue`, which makes a JWT access token (RFC 9068) for exactly the audience that was asked for.
"""

from __future__ import annotations

from typing import Any

from authlib.oauth2.drafts.id_jag import IDJAGGrant
from authlib.oauth2.rfc6749 import (
    BaseGrant,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    TokenEndpointMixin,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc7523 import JWTBearerGrant

from e2e.oauth.client_proofs import METHODS, Client
from e2e.oauth.keys import LEEWAY, unverified, verified, verified_svid
from e2e.oauth.strict import ACCESS_TOKEN, ID_JAG, ID_TOKEN, JWT, TOKEN_EXCHANGE

CONFIDENTIAL = [method for method in METHODS if method != "none"]
ID_JAG_TYP = "oauth-id-jag+jwt"
ID_JAG_SECONDS = 300
SPIFFE = "spiffe://"


class InvalidTargetError(OAuth2Error):
    """RFC 8707 2, RFC 8693 2.2.2."""

    error = "invalid_target"


def targets_of(request: Any, client: Client) -> list[str]:
    """Whom the token is to be for, as asked; raises InvalidTargetError."""
    asked = [*request.payload.datalist.get("audience", []), *request.payload.datalist.get("resource", [])]
    wanted = list(dict.fromkeys(asked))
    for target in wanted:
        if client.targets and target not in client.targets:
            raise InvalidTargetError(f"{client.id} may not ask for {target}")
    return wanted


def narrowed(asked: str | None, held: list[str]) -> list[str]:
    """The scopes that were asked for, which have to be held, or all that are held."""
    if asked is None:
        return held
    wanted = asked.split()
    if not set(wanted) <= set(held):
        raise InvalidScopeError(f"{sorted(set(wanted) - set(held))} cannot be had")
    return wanted


class ForItself(ClientCredentialsGrant):
    """client_credentials (RFC 6749 4.4) with resource (RFC 8707)."""

    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL

    def create_token_response(self) -> Any:
        client = self.request.client
        scopes = narrowed(self.request.payload.scope, list(client.scopes))
        token = self.server.issue(client, client.id, targets_of(self.request, client), scopes)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class ForAnother(BaseGrant, TokenEndpointMixin):
    """Token exchange (RFC 8693), and with it the asking for an ID-JAG at an identity provider."""

    GRANT_TYPE = TOKEN_EXCHANGE
    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL

    def validate_token_request(self) -> None:
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError(f"{client.id} may not exchange tokens")
        self.request.client = client
        form = self.request.form
        try:
            self.subject = self._subject(form["subject_token"], form["subject_token_type"], client)
            self.actor = self._actor(form.get("actor_token"), form.get("actor_token_type"), client)
        except InvalidGrantError as error:  # RFC 8693 2.2.2
            raise InvalidRequestError(error.description) from error

    def _subject(self, token: str, kind: str, client: Client) -> dict[str, Any]:
        header, claims = unverified(token)
        keys = self.server.trust.of_issuer(claims.get("iss"))
        audiences = [client.id] if kind == ID_TOKEN else [client.id, *client.audiences]
        found = verified(token, keys, audiences, iss={"essential": True})
        if kind == ACCESS_TOKEN and header.get("typ") != "at+jwt":
            raise InvalidGrantError(f"an access token has the typ {header.get('typ')!r} here")
        if kind == ID_TOKEN and header.get("typ") == "at+jwt":
            raise InvalidGrantError("an access token is called an ID token")
        return found

    def _actor(self, token: str | None, kind: str | None, client: Client) -> dict[str, Any] | None:
        if token is None:
            if client.needs_actor:
                raise InvalidRequestError(f"{client.id} has to say who acts")
            return None
        _, claims = unverified(token)
        if str(claims.get("sub", "")).startswith(SPIFFE):
            if kind != JWT:
                self.server.records.violation(f"RFC 8693 3: a JWT-SVID is called {kind}")
            found = verified_svid(token, self.server.trust, self.server.issuer)
            acts = client.spiffe_id or found["sub"]
        else:
            keys = self.server.trust.of_issuer(claims.get("iss"))
            found, acts = verified(token, keys, [client.id, self.server.issuer]), client.id
        if found["sub"] != acts:
            self.server.records.violation(f"{client.id} says that {found['sub']} acts")
            raise InvalidRequestError("the actor is somebody else")
        may = self.subject.get("may_act")
        if may is not None and may.get("sub") != found["sub"]:
            raise InvalidRequestError("RFC 8693 4.4: this actor may not act for the subject")
        return found

    def create_token_response(self) -> Any:
        if self.request.form.get("requested_token_type") == ID_JAG:
            return 200, self._id_jag(), self.TOKEN_RESPONSE_HEADER
        client = self.request.client
        held = [scope for scope in str(self.subject.get("scope", "")).split() if scope in client.scopes]
        scopes = narrowed(self.request.payload.scope, held)
        more: dict[str, Any] = {"act": self.subject["act"]} if "act" in self.subject else {}
        if self.actor is not None:
            more["act"] = {"sub": self.actor["sub"], **more}
        targets = targets_of(self.request, client)
        token = self.server.issue(
            client, self.subject["sub"], targets, scopes, until=self.subject["exp"], **more
        )
        kind = self.request.form.get("requested_token_type") or ACCESS_TOKEN
        return 200, {**token, "issued_token_type": kind}, self.TOKEN_RESPONSE_HEADER

    def _id_jag(self) -> dict[str, Any]:
        client = self.request.client
        audience, resource = self.request.form["audience"], self.request.form["resource"]
        targets_of(self.request, client)
        claims = {"resource": resource}
        if self.request.payload.scope:
            claims["scope"] = self.request.payload.scope
        key = self.server.keys.signing
        algorithm = key.as_dict(private=False)["alg"]
        grant = IDJAGGrant.sign(
            key,
            self.server.issuer,
            audience,
            self.subject["sub"],
            client.known_as.get(audience, client.id),
            claims=claims,
            expires_in=ID_JAG_SECONDS,
            header={"kid": key.kid, "alg": algorithm},
        )
        self.server.records.granted(
            grant=TOKEN_EXCHANGE,
            kind=ID_JAG,
            client=client.id,
            sub=self.subject["sub"],
            aud=audience,
            **claims,
        )
        answer = {"access_token": grant, "issued_token_type": ID_JAG, "token_type": "N_A"}
        return {
            **answer,
            "expires_in": ID_JAG_SECONDS,
            **({"scope": claims["scope"]} if "scope" in claims else {}),
        }


class CrossApp(IDJAGGrant):
    """An ID-JAG becomes a token. Its audience is our issuer alone, and `resource` says for whom the token is."""

    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL
    LEEWAY = LEEWAY

    @classmethod
    def check_token_endpoint(cls, request: Any) -> bool:
        return bool(super().check_token_endpoint(request)) and _typ(request) == ID_JAG_TYP

    def get_audiences(self) -> list[str]:
        return [self.server.issuer]

    def resolve_issuer_key(self, issuer: str, headers: dict[str, Any]) -> Any:
        return self.server.trust.of_issuer(issuer)

    def authenticate_user(self, subject: str) -> str:
        return subject

    def check_jti(self, claims: dict[str, Any], jti: str) -> bool:
        fresh: bool = self.server.records.first_use(str(claims["iss"]), jti)
        if not fresh:
            self.server.records.violation("the ID-JAG was used before")
        return fresh

    def check_id_jag_permission(self, client: Client, user: str, scopes: list[str]) -> bool:
        claims = self.request.id_jag_claims
        if claims["aud"] not in (self.server.issuer, [self.server.issuer]):
            raise InvalidGrantError("the ID-JAG has more audiences than this server")
        asked = self.request.payload.datalist.get("resource", [])
        if asked and asked != [claims.get("resource")]:
            raise InvalidTargetError("the resource is not that of the ID-JAG")
        return not client.targets or claims.get("resource") in client.targets

    def create_token_response(self) -> Any:
        claims, client = self.request.id_jag_claims, self.request.client
        scopes = [scope for scope in (self.request.scope or "").split() if scope in client.scopes]
        token = self.server.issue(client, claims["sub"], [claims["resource"]], scopes)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class Federated(JWTBearerGrant):
    """A workload's own JWT as the grant (RFC 7523 2.1): a JWT-SVID, or one of a trusted issuer.

    A JWT-SVID needs no `iss`, and its keys are those of its trust domain; all else is held to Authlib's check.
    """

    LEEWAY = LEEWAY

    @classmethod
    def check_token_endpoint(cls, request: Any) -> bool:
        return bool(super().check_token_endpoint(request)) and _typ(request) != ID_JAG_TYP

    def validate_token_request(self) -> None:
        if any(self.request.form.get(name) for name in ("client_assertion", "client_secret")) or (
            self.request.headers.get("Authorization")
        ):
            self.proved = self.server.authenticate_client(self.request, CONFIDENTIAL)
        else:
            self.proved = None
        super().validate_token_request()
        named = self.request.form.get("client_id")
        if self.proved not in (None, self.request.client) or named not in (None, self.request.client.id):
            self.server.records.violation("RFC 7521 4.1: client_id is not that of the assertion's client")
            raise InvalidGrantError("the assertion is another client's")

    def process_assertion_claims(self, assertion: str) -> Any:
        _, claims = self.extract_assertion(assertion)
        if not str(claims.get("sub", "")).startswith(SPIFFE):
            return super().process_assertion_claims(assertion)
        found = verified_svid(assertion, self.server.trust, self.server.issuer)
        return {**found, "iss": found["sub"]}

    def get_audiences(self) -> list[str]:
        return [self.server.issuer, self.server.token_endpoint]

    def resolve_issuer_client(self, issuer: str) -> Client | None:
        found: Client | None = self.server.workload(issuer)
        return found

    def resolve_client_public_key(self, client: Client) -> Any:
        _, claims = self.extract_assertion(self.request.form["assertion"])
        return self.server.trust.of_issuer(claims["iss"])

    def authenticate_user(self, subject: str) -> str:
        return subject

    def has_granted_permission(self, client: Client, user: str) -> bool:
        return True

    def create_token_response(self) -> Any:
        client = self.request.client
        scopes = narrowed(self.request.payload.scope, list(client.scopes))
        token = self.server.issue(client, self.request.user, targets_of(self.request, client), scopes)
        return 200, token, self.TOKEN_RESPONSE_HEADER


def _typ(request: Any) -> object:
    try:
        return unverified(request.form.get("assertion", ""))[0].get("typ")
    except InvalidGrantError:
        return None


GRANTS = [ForItself, ForAnother, CrossApp, Federated]
