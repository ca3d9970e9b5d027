"""An authorization server on Authlib: a second pair of eyes on what the sidecar sends."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import fields
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.requests import OAuth2Payload
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from e2e.oauth.client_proofs import PUBLISHED, Client, proofs
from e2e.oauth.grants import CONFIDENTIAL, GRANTS
from e2e.oauth.keys import Keys, Trust, unverified, verified
from e2e.oauth.records import Records
from e2e.oauth.strict import OF_GRANTS, Form

SECONDS = 300
INACTIVE = "revoked"


class Payload(OAuth2Payload):
    """The form in Authlib's words."""

    def __init__(self, form: Form) -> None:
        self._form = form

    @property
    def data(self) -> dict[str, str]:
        return {name: values[0] for name, values in self._form.values.items()}

    @property
    def datalist(self) -> Any:
        return self._form.values


class Request(OAuth2Request):
    """A request whose form has been read strictly before Authlib sees it."""

    def __init__(self, uri: str, headers: Any, form: Form) -> None:
        super().__init__("POST", uri, headers=headers)
        self.payload = Payload(form)

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data

    @property
    def args(self) -> dict[str, str]:
        return {}


class Introspection(IntrospectionEndpoint):
    """RFC 7662: a client may ask about tokens that are meant for it."""

    CLIENT_AUTH_METHODS = CONFIDENTIAL

    def query_token(self, token_string: str, token_type_hint: str | None) -> Any:
        return token_string

    def check_permission(self, token: str, client: Client, request: Any) -> bool:
        return True

    def create_introspection_payload(self, token: Any) -> dict[str, Any]:
        return self.server.about(token, self._asking)

    def authenticate_endpoint_client(self, request: Any) -> Any:
        self._asking = super().authenticate_endpoint_client(request)
        return self._asking


class Server(AuthorizationServer):
    """Clients, keys and grants of one issuer."""

    def __init__(self, issuer: str, settings: dict[str, Any], records: Records) -> None:
        super().__init__()
        self.issuer = issuer
        self.token_endpoint = f"{issuer}/token"
        self.records = records
        self.keys = Keys()
        self.trust = Trust(
            issuer,
            self.keys,
            settings.get("issuers", {}),
            settings.get("bundles", {}),
            settings.get("authorities"),
        )
        self.seconds = SECONDS
        self.lie: str | None = None
        self._revoked: set[str] = set()
        known = {each.name for each in fields(Client)}
        read = [
            Client(
                **{name: tuple(value) if isinstance(value, list) else value for name, value in each.items()}
            )
            for each in settings.get("clients", [])
            if each.keys() <= known
        ]
        self.clients = {client.id: client for client in read}
        # Workloads of other issuers, by `iss`: which client they are.
        self._workloads: dict[str, str] = settings.get("workloads", {})
        for name, proof in proofs(issuer, self.token_endpoint, self.trust, records, self.clients).items():
            self.register_client_auth_method(name, proof)
        for grant in GRANTS:
            self.register_grant(grant)
        self.register_endpoint(Introspection)

    def metadata(self) -> dict[str, Any]:
        """RFC 8414."""
        methods = sorted({PUBLISHED.get(method, method) for method in CONFIDENTIAL})
        return {
            "issuer": self.issuer,
            "token_endpoint": self.token_endpoint,
            "jwks_uri": f"{self.issuer}/jwks",
            "introspection_endpoint": f"{self.issuer}/introspect",
            "grant_types_supported": sorted(OF_GRANTS),
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": [*methods, "none"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256", "RS256"],
            "introspection_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_signing_alg_values_supported": ["ES256", "RS256"],
        }

    def workload(self, issuer: str) -> Client | None:
        """The client that a workload is: by its SPIFFE ID, or by the issuer of its tokens."""
        for client in self.clients.values():
            if client.spiffe_id == issuer:
                return client
        return self.clients.get(self._workloads.get(issuer, ""))

    def issue(
        self,
        client: Client,
        subject: str,
        audiences: list[str],
        scopes: list[str],
        *,
        until: int | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """A token response with an access token; it does not outlive `until`."""
        now = int(time.time())
        seconds = self.seconds if until is None else min(self.seconds, until - now)
        if self.lie == "other-audience":
            audiences = ["https://somebody.else.example"]
        audience: Any = audiences[0] if len(audiences) == 1 else audiences or self.issuer
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience,
            "client_id": client.id,
            "exp": now + seconds,
            "iat": now,
            "jti": secrets.token_urlsafe(12),
            **({"scope": " ".join(scopes)} if scopes else {}),
            **more,
        }
        self.records.granted(
            **{name: claims.get(name) for name in ("client_id", "sub", "aud", "scope", "act")}
        )
        answer = {
            "access_token": self.keys.sign(claims, "at+jwt"),
            "token_type": "Bearer",
            "expires_in": seconds,
        }
        self.records.token(answer["access_token"])
        return {**answer, **({"scope": claims["scope"]} if scopes else {})}

    def sign_in(self, wanted: dict[str, Any]) -> str:
        """A token as a user's client would have it after the login, which these tests have no page for.

        `wanted`: sub, aud, scope, client_id, seconds, and `kind` (access_token or id_token), and further `claims`.
        """
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": wanted["sub"],
            "aud": wanted["aud"],
            "exp": now + int(wanted.get("seconds", SECONDS)),
            "iat": now,
            "jti": secrets.token_urlsafe(12),
            **{name: wanted[name] for name in ("scope", "client_id") if name in wanted},
            **wanted.get("claims", {}),
        }
        return self.keys.sign(claims, "JWT" if wanted.get("kind") == "id_token" else "at+jwt")

    def revoke(self, token: str) -> None:
        """Introspection says from now on that the token is not active."""
        self._revoked.add(token)

    def about(self, token: str, client: Client) -> dict[str, Any]:
        """What introspection says."""
        if token in self._revoked:
            return {"active": False}
        try:
            _, claims = unverified(token)
            keys = self.trust.of_issuer(claims.get("iss"))
            return {
                "active": True,
                "token_type": "Bearer",
                **verified(token, keys, [client.id, *client.audiences]),
            }
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is not active
            self.records.refusal("inactive", str(error))
            return {"active": False}

    def query_client(self, client_id: str) -> Client | None:
        return self.clients.get(client_id)

    def save_token(self, token: Any, request: Any) -> None:
        """Nothing is stored: tokens speak for themselves."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: Any) -> Any:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, dict[str, str], Any]:
        fields_of = dict(headers)
        if status >= 400:
            content = body if isinstance(body, dict) else json.loads(body)
            self.records.refusal(content.get("error", "?"), content.get("error_description", ""))
        return status, fields_of, body
