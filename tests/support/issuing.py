"""Issuers of users' tokens: keys, signatures of any shape, and a web that answers with what tests put there."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from mesh.identity.bundle_document import jwk_of
from mesh.policy.user_auth import Issuer, UserAuth
from sidecar.credentials.fetch import Fetched, FetchFailed

ISSUER = "https://idp.example.com/realms/acme"
JWKS_URI = ISSUER + "/jwks"
AUDIENCE = "https://triage.agents.example.com"
NOW = 1_780_000_000.0

RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text_of(value: Any) -> bytes:
    """JSON of a value; bytes stand for themselves, to write what no encoder would."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def signature(key: Any, algorithm: str, data: bytes) -> bytes:
    digest = _HASHES.get(algorithm[2:], hashes.SHA256())
    if isinstance(key, bytes):
        return hmac.new(key, data, hashlib.sha256).digest()
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        return key.sign(data, pss if algorithm[:2] == "PS" else padding.PKCS1v15(), digest)
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size) + s.to_bytes(size)


def claims(**changed: Any) -> dict[str, Any]:
    """Those of a good token; a value of `...` leaves the claim out."""
    said = {"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": int(NOW) + 300, "iat": int(NOW), **changed}
    return {name: value for name, value in said.items() if value is not ...}


def header(**changed: Any) -> dict[str, Any]:
    said = {"alg": "RS256", "kid": "one", "typ": "JWT", **changed}
    return {name: value for name, value in said.items() if value is not ...}


def token(body: Any = None, head: Any = None, key: Any = RSA_KEY) -> str:
    """A token of any shape; good by default."""
    head = header() if head is None else head
    signed = f"{b64(text_of(head))}.{b64(text_of(claims() if body is None else body))}"
    algorithm = head.get("alg", "RS256") if isinstance(head, dict) else "RS256"
    return f"{signed}.{b64(signature(key, str(algorithm), signed.encode()))}"


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def jwk(key: Any = RSA_KEY, **members: Any) -> dict[str, Any]:
    said = {**jwk_of(key.public_key()), "kid": "one", "use": "sig", **members}
    return {name: value for name, value in said.items() if value is not ...}


GOOD_JWKS = jwks(jwk(), jwk(EC_KEY, kid="two"))
ENTRY = Issuer(ISSUER, (AUDIENCE,), JWKS_URI)
AUTH = UserAuth((ENTRY,))


class Web:
    """Answers by URL: a Fetched, an exception, or a list of them for one call after the other (the last stays)."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = dict(answers)
        self.asked: list[tuple[str, str, bytes]] = []
        self.headers: list[Sequence[tuple[bytes, bytes]]] = []
        self.gate: asyncio.Event | None = None

    def serve(self, url: str, body: bytes, status: int = 200) -> None:
        self.answers[url] = Fetched(status, [], body)

    def fail(self, url: str) -> None:
        self.answers[url] = FetchFailed("connection refused")

    def count(self, url: str) -> int:
        return sum(asked[1] == url for asked in self.asked)

    async def __call__(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        seconds: float = 10.0,
        limit: int = 0,
    ) -> Fetched:
        self.asked.append((method, url, body))
        self.headers.append(headers)
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.get(url, Fetched(404, [], b""))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Told:
    """Who is told of issuers' keys."""

    def __init__(self) -> None:
        self.keys: list[tuple[str, str | None, int]] = []

    def user_keys(self, issuer: str, problem: str | None, keys: int) -> None:
        self.keys.append((issuer, problem, keys))
