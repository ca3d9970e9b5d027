"""A trust domain whose keys a test holds, so that it can sign what no control plane would."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from e2e.keycloak.server import Keycloak
from mesh.identity.bundle_document import jwk_of
from mesh.identity.jws import sign

NAME = "handmade.test"
CLIENT = "handmade"


class Handmade:
    """A SPIFFE provider of the realm, with one client; `bundle` is what its endpoint serves."""

    def __init__(self, audience: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.audience = audience
        self.key_id = "handmade-1"
        self.bundle: dict[str, Any] = {"keys": []}
        self._publish()

    @property
    def spiffe_id(self) -> str:
        return f"spiffe://{NAME}/ns/agents/sa/{CLIENT}"

    def svid(self, *, seconds: int = 300, without: str = "", **claims: Any) -> str:
        """A token that is right but for what is said."""
        now = int(time.time())
        right = {"sub": self.spiffe_id, "aud": [self.audience], "iat": now, "exp": now + seconds, **claims}
        return sign(self.key, self.key_id, {name: value for name, value in right.items() if name != without})

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
            body = json.dumps(domain.bundle).encode()
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
            _register(server, domain, f"http://127.0.0.1:{endpoint.server_port}/bundle")
            yield domain
        finally:
            endpoint.shutdown()
            thread.join()


def _register(server: Keycloak, domain: Handmade, endpoint: str) -> None:
    provider = {
        "alias": NAME,
        "providerId": "spiffe",
        "enabled": True,
        "config": {"trustDomain": f"spiffe://{NAME}", "bundleEndpoint": endpoint},
    }
    client = {
        "clientId": CLIENT,
        "clientAuthenticatorType": "federated-jwt",
        "standardFlowEnabled": False,
        "serviceAccountsEnabled": True,
        "attributes": {"jwt.credential.issuer": NAME, "jwt.credential.sub": domain.spiffe_id},
    }
    for path, document in (("/identity-provider/instances", provider), ("/clients", client)):
        answer = server.admin("POST", path, document)
        assert answer.status == 201, answer
