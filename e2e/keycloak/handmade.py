"""A trust domain whose keys a test holds, so that it can sign what no control plane would.

It is an identity provider as well, which vouches for users to the realm (ID-JAG).
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from e2e.keycloak.server import Keycloak
from mesh.identity.bundle_document import jwk_of
from mesh.identity.jws import sign, to_base64url
from mesh.protocol.oauth.grants import ID_JAG

NAME = "handmade.test"
CLIENT = "handmade"
JAG_CLIENT = "cross-app"
JAG_SECRET = "neither-a-secret"
JAG_USER = "alice-elsewhere"
_CONFIDENTIAL = {
    "standardFlowEnabled": False,
    "serviceAccountsEnabled": True,
    "fullScopeAllowed": False,
    "defaultClientScopes": ["basic", "calls-mcp-github"],
    "optionalClientScopes": ["repo:read"],
}


class Handmade:
    """A SPIFFE provider of the realm, with one client; `bundle` is what its endpoint serves."""

    def __init__(self, audience: str) -> None:
        self.url = ""
        self.asked: list[dict[str, str]] = []
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.audience = audience
        self.key_id = "handmade-1"
        self.bundle: dict[str, Any] = {"keys": []}
        self._publish()

    @property
    def spiffe_id(self) -> str:
        return f"spiffe://{NAME}/ns/agents/sa/{CLIENT}"

    @property
    def keys(self) -> dict[str, Any]:
        """The same keys for OpenID Connect."""
        return {"keys": [{**jwk, "use": "sig", "alg": "ES256"} for jwk in self.bundle["keys"]]}

    def svid(self, *, seconds: int = 300, without: str = "", **claims: Any) -> str:
        """A token that is right but for what is said."""
        now = int(time.time())
        right = {"sub": self.spiffe_id, "aud": [self.audience], "iat": now, "exp": now + seconds, **claims}
        return sign(self.key, self.key_id, {name: value for name, value in right.items() if name != without})

    def id_jag(self, **claims: Any) -> str:
        """An identity assertion of its identity provider for the realm: `sub` names the user there."""
        now = int(time.time())
        dates = {"iat": now, "exp": now + 60, "jti": secrets.token_hex(8)}
        right = {"iss": self.url, "aud": self.audience, "client_id": JAG_CLIENT, **dates, **claims}
        header = {"alg": "ES256", "kid": self.key_id, "typ": "oauth-id-jag+jwt"}
        parts = (to_base64url(json.dumps(part).encode()) for part in (header, right))
        signed = ".".join(parts)
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{to_base64url(r.to_bytes(32) + s.to_bytes(32))}"

    def signed_by_a_new_key(self) -> str:
        """Publish another key besides the one before, sign with it from now on; a token that it signed."""
        self.key, self.key_id = (
            ec.generate_private_key(ec.SECP256R1()),
            f"handmade-{len(self.bundle['keys']) + 1}",
        )
        self._publish()
        return self.svid()

    def _publish(self) -> None:
        jwk = jwk_of(self.key.public_key(), kid=self.key_id, use="jwt-svid")
        self.bundle = {"keys": [*self.bundle["keys"], jwk]}


@contextlib.contextmanager
def handmade(server: Keycloak) -> Iterator[Handmade]:
    """Serve the bundle of such a domain, and let the realm know it."""
    domain = Handmade(server.issuer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(domain.keys if self.path == "/keys" else domain.bundle)

        def do_POST(self) -> None:
            form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            domain.asked.append(form)
            claims = {"sub": JAG_USER, "resource": form["resource"], "scope": form.get("scope", "")}
            kind = {"issued_token_type": ID_JAG, "token_type": "N_A", "expires_in": 60}
            self._answer({"access_token": domain.id_jag(**claims), **kind, "scope": claims["scope"]})

        def _answer(self, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test that fails shows what Keycloak said."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, name="bundle endpoint", daemon=True)
        thread.start()
        try:
            domain.url = f"http://127.0.0.1:{endpoint.server_port}"
            _register(server, domain)
            yield domain
        finally:
            endpoint.shutdown()
            thread.join()


def _register(server: Keycloak, domain: Handmade) -> None:
    spiffe = {"trustDomain": f"spiffe://{NAME}", "bundleEndpoint": f"{domain.url}/bundle"}
    openid = {
        "issuer": domain.url,
        "jwksUrl": f"{domain.url}/keys",
        "useJwksUrl": "true",
        "validateSignature": "true",
        "jwtAuthorizationGrantEnabled": "true",
        "clientId": "unused",
        "clientSecret": "unused",
    }
    for place in ("authorizationUrl", "tokenUrl"):
        openid[place] = f"{domain.url}/nobody-logs-in-here"
    by_svid = {"jwt.credential.issuer": NAME, "jwt.credential.sub": domain.spiffe_id}
    by_jag = {
        "oauth2.jwt.authorization.grant.enabled": "true",
        "oauth2.jwt.authorization.grant.idp": f"{NAME}-idp",
    }
    _create(server, "/identity-provider/instances", _provider(NAME, "spiffe", spiffe))
    _create(server, "/identity-provider/instances", _provider(f"{NAME}-idp", "oidc", openid))
    _create(server, "/clients", {**_CONFIDENTIAL, **_client(CLIENT, "federated-jwt", by_svid)})
    secret = {"secret": JAG_SECRET}
    _create(server, "/clients", {**_CONFIDENTIAL, **_client(JAG_CLIENT, "client-secret", by_jag), **secret})
    (alice,) = server.admin("GET", "/users?username=alice&exact=true").json()
    link = {"identityProvider": f"{NAME}-idp", "userId": JAG_USER, "userName": JAG_USER}
    answer = server.admin("POST", f"/users/{alice['id']}/federated-identity/{NAME}-idp", link)
    assert answer.status == 204, answer


def _create(server: Keycloak, path: str, document: dict[str, Any]) -> None:
    answer = server.admin("POST", path, document)
    assert answer.status == 201, answer


def _provider(alias: str, kind: str, config: dict[str, str]) -> dict[str, Any]:
    return {"alias": alias, "providerId": kind, "enabled": True, "config": config}


def _client(name: str, proved_by: str, attributes: dict[str, str]) -> dict[str, Any]:
    return {"clientId": name, "clientAuthenticatorType": proved_by, "attributes": attributes}
