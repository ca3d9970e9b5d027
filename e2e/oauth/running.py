"""Starts authorization servers and steers them: the test's side of e2e.oauth.serve."""

from __future__ import annotations

import contextlib
import json
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e import environments
from e2e.processes import spawn
from mesh.identity.ca import make_authority
from tests.support.forge import forge

HOST = "localhost"
SECONDS = 10
LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WebAuthority:
    """A CA of the test: `roots` (PEM) vouch for `certificate` (key and chain), which is that of localhost."""

    roots: Path
    certificate: Path

    def context(self) -> ssl.SSLContext:
        """For clients of the test itself."""
        return ssl.create_default_context(cafile=str(self.roots))


def web_authority(folder: Path, name: str = "web.test") -> WebAuthority:
    """A new CA; the sidecar trusts it by its setting `authorities`."""
    now = datetime.now(UTC)
    root = make_authority(name, now, LIFETIME)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = forge(root, key.public_key(), now, uris=(), dns=(HOST,), extended=("SERVER_AUTH",))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    made = WebAuthority(folder / f"{name}.roots.pem", folder / f"{name}.server.pem")
    made.roots.write_text(ssl.DER_cert_to_PEM_cert(root.der), encoding="ascii")
    made.certificate.write_text(private + ssl.DER_cert_to_PEM_cert(leaf), encoding="ascii")
    return made


@dataclass(frozen=True, slots=True)
class OAuthServer:
    """A running authorization server."""

    issuer: str
    admin: int
    authority: WebAuthority = field(repr=False)

    @property
    def token_endpoint(self) -> str:
        return f"{self.issuer}/token"

    @property
    def jwks_uri(self) -> str:
        return f"{self.issuer}/jwks"

    @property
    def violations(self) -> list[str]:
        """Sentences about requests that were not what the RFCs say. Tests of honest traffic want none."""
        return list(self._ask("violations"))

    @property
    def refusals(self) -> list[str]:
        return list(self._ask("refusals"))

    @property
    def counts(self) -> dict[str, int]:
        """Requests by grant type; also "introspection", "metadata", "jwks", "not-found"."""
        return dict(self._ask("counts"))

    @property
    def granted(self) -> list[dict[str, Any]]:
        """What was issued, without the tokens: client_id, sub, aud, scope, act."""
        return list(self._ask("granted"))

    @property
    def tokens(self) -> list[str]:
        """Every token and assertion that was issued or brought: what must be nowhere else."""
        return list(self._ask("tokens"))

    def sign_in(self, **wanted: Any) -> str:
        """A user's token; see Server.sign_in."""
        return str(self._ask("sign-in", wanted)["token"])

    def behave(self, **how: Any) -> None:
        """Misbehave from now on; see Behaviour."""
        self._ask("behave", how)

    def clear(self) -> None:
        """Forget what was, and behave."""
        self._ask("clear", {})

    def rotate(self, *, retire: bool = True, kind: str = "EC") -> None:
        """Sign with a new key; `retire` withdraws those before."""
        self._ask("rotate", {"retire": retire, "kind": kind})

    def tokens_live(self, seconds: int) -> None:
        self._ask("seconds", {"seconds": seconds})

    def revoke(self, token: str) -> None:
        self._ask("revoke", {"token": token})

    def documents(self, **changed: Any) -> None:
        """Replace members of `metadata` or `jwks`, or be `down` for both."""
        self._ask("documents", changed)

    def _ask(self, path: str, wanted: Mapping[str, Any] | None = None) -> Any:
        data = None if wanted is None else json.dumps(wanted).encode()
        url = f"http://127.0.0.1:{self.admin}/{path}"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(urllib.request.Request(url, data), timeout=SECONDS) as answer:
            return json.load(answer)


@contextlib.contextmanager
def oauth_server(folder: Path, authority: WebAuthority, **settings: Any) -> Iterator[OAuthServer]:
    """Run an authorization server.

    `settings`: clients (see Client), issuers and bundles that are trusted (see Trust), workloads, extensions
    (parameters that it takes besides those of the RFCs), path, port. Raises Unavailable or DidNotStart.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "authorization-server.json"
    described = {"certificate": str(authority.certificate), "authorities": str(authority.roots), **settings}
    file.write_text(json.dumps(described), encoding="utf-8")
    command = [environments.python_with_authlib(), "-m", "e2e.oauth.serve", file]
    with spawn(command, _ready) as ready:
        yield OAuthServer(ready["issuer"], ready["admin"], authority)


def _ready(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and "issuer" in value else None
