"""The keys of an authorization server, and those of the issuers and trust domains that it trusts."""

from __future__ import annotations

import json
import secrets
import ssl
import threading
import urllib.request
from pathlib import Path
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

ALGORITHMS = ["ES256", "RS256", "PS256", "ES384", "RS384", "PS384", "RS512", "PS512"]
LEEWAY = 5
SECONDS = 5


class Keys:
    """Our signing key, which can be replaced, and the public ones that are published."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Any] = []
        self.rotate(retire=True)

    def rotate(self, *, retire: bool, kind: str = "EC") -> None:
        """Sign with a new key from now on; `retire` takes the others out of the published set."""
        parameters = {"kid": secrets.token_urlsafe(8), "use": "sig"}
        new = (
            RSAKey.generate_key(2048, {**parameters, "alg": "RS256"})
            if kind == "RSA"
            else ECKey.generate_key("P-256", {**parameters, "alg": "ES256"})
        )
        with self._lock:
            self._all = [new] if retire else [new, *self._all]

    def public(self) -> dict[str, Any]:
        with self._lock:
            return {"keys": [key.as_dict(private=False) for key in self._all]}

    @property
    def signing(self) -> Any:
        with self._lock:
            return self._all[0]

    def sign(self, claims: dict[str, Any], typ: str) -> str:
        key = self.signing
        algorithm = key.as_dict(private=False)["alg"]
        header = {"alg": algorithm, "kid": key.kid, "typ": typ}
        return str(jwt.encode(header, claims, key, algorithms=[algorithm]))


class Trust:
    """Whose tokens are believed: our own, those of `issuers` (by the URL of their keys), and `bundles` of trust
    domains (a file with a JWKS each), which are read anew each time, because they rotate."""

    def __init__(
        self, own: str, keys: Keys, issuers: dict[str, str], bundles: dict[str, str], authorities: str | None
    ) -> None:
        self._own = own
        self._keys = keys
        self._issuers = issuers
        self._bundles = bundles
        self._context = ssl.create_default_context(cafile=authorities)

    def of_issuer(self, issuer: object) -> KeySet:
        """Raises InvalidGrantError for an issuer that is not trusted."""
        if issuer == self._own:
            return KeySet.import_key_set(self._keys.public())
        if not isinstance(issuer, str) or issuer not in self._issuers:
            raise InvalidGrantError(f"the issuer {issuer!r} is not trusted")
        url = self._issuers[issuer]
        with urllib.request.urlopen(url, timeout=SECONDS, context=self._context) as answer:  # noqa: S310
            return KeySet.import_key_set(json.load(answer))

    def of_domain(self, spiffe_id: object) -> KeySet:
        """The keys for JWT-SVIDs of a workload's trust domain; raises InvalidGrantError."""
        if not isinstance(spiffe_id, str) or not spiffe_id.startswith("spiffe://"):
            raise InvalidGrantError(f"{spiffe_id!r} is no SPIFFE ID")
        domain = spiffe_id.removeprefix("spiffe://").partition("/")[0]
        if domain not in self._bundles:
            raise InvalidGrantError(f"the trust domain {domain} is not trusted")
        document = json.loads(Path(self._bundles[domain]).read_text(encoding="utf-8"))
        document["keys"] = [
            {name: value for name, value in key.items() if name != "use"}  # "jwt-svid" is SPIFFE's own
            for key in document["keys"]
            if key.get("use") in (None, "jwt-svid")
        ]
        return KeySet.import_key_set(document)


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of something that is to be verified yet; raises InvalidGrantError."""
    try:
        found = jws.extract_compact(token.encode("ascii"))
        claims = json.loads(found.payload)
    except (JoseError, ValueError) as error:
        raise InvalidGrantError(f"this is no JWT: {error}") from error
    if not isinstance(claims, dict):
        raise InvalidGrantError("the claims are no object")
    return found.headers(), claims


def verified(token: str, keys: KeySet, audiences: list[str], **more: Any) -> dict[str, Any]:
    """The claims of a token that is signed by one of `keys`, is for one of `audiences`, and lives.

    Raises InvalidGrantError.
    """
    header, _ = unverified(token)
    if header.get("alg") not in ALGORITHMS or "crit" in header or "jwk" in header or "jku" in header:
        raise InvalidGrantError(f"the header of the token is {header}")
    registry = jwt.JWTClaimsRegistry(
        leeway=LEEWAY,
        exp={"essential": True},
        sub={"essential": True},
        aud={"essential": True, "values": audiences},
        **more,
    )
    try:
        found = jwt.decode(token, keys, algorithms=ALGORITHMS)
        registry.validate(found.claims)
    except (JoseError, ValueError) as error:
        raise InvalidGrantError(f"{type(error).__name__}: {error}") from error
    return dict(found.claims)


def verified_svid(token: str, trust: Trust, audience: str) -> dict[str, Any]:
    """The claims of a JWT-SVID that is for `audience` alone; raises InvalidGrantError.

    SPIFFE JWT-SVID 2 and 3: only alg, kid and typ in the header; sub is a SPIFFE ID.
    """
    header, claims = unverified(token)
    if not header.keys() <= {"alg", "kid", "typ"} or header.get("typ", "JWT") not in ("JWT", "JOSE"):
        raise InvalidGrantError(f"the header of the JWT-SVID is {header}")
    found = verified(token, trust.of_domain(claims.get("sub")), [audience])
    if found["aud"] not in (audience, [audience]):
        raise InvalidGrantError(f"the JWT-SVID has more audiences than {audience}: {found['aud']}")
    return found
