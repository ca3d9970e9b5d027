"""How we prove ourselves to an authorization server: with our JWT-SVID, a key of our own, or a secret.

JWT-SVIDs are for one audience, and kept for two thirds of what is left of their life, so that a thousand users'
tokens are exchanged with one proof. One that holds `jti` is not kept: a server may take it once only (RFC 7523,
section 3). After a refusal by the source nobody asks it again for a second, however many wait.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from mesh.identity.errors import JwtInvalid
from mesh.identity.jws import read_jws
from mesh.identity.jwt_svid import JwtSvid
from mesh.policy.credentials import ClientAuth, ClientMethod, SecretKey, TokenServer
from mesh.protocol.http1.heads import Headers
from mesh.protocol.oauth.client_assertion import (
    JWT_BEARER,
    JWT_SPIFFE,
    basic,
    by_assertion,
    by_id,
    by_secret,
    own_assertion,
)
from mesh.protocol.oauth.form import Form
from mesh.protocol.oauth.signing_key import KeyInvalid, SigningKey, read_signing_key
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.identity.jwt_source import JwtSource, JwtUnavailable, jwt_fault

KEPT_PART = 2 / 3
PAUSE_SECONDS = 1.0
MOST_AUDIENCES = 256
_JTI_BYTES = 16


class Secrets(Protocol):
    """sidecar.credentials.secret_files.SecretFiles."""

    def read(self, secret: SecretKey) -> bytes:
        """Raises CredentialRefused (CREDENTIAL_SECRET_MISSING)."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """What goes into a request to a token endpoint. `secrets`: what must not be told of it."""

    headers: Headers = field(default_factory=list, repr=False)
    params: Form = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(slots=True)
class _Kept:
    """What is known for one audience. Times in seconds since 1970."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    svid: JwtSvid | None = None
    until: float = float("-inf")
    problem: str = ""
    again: float = float("-inf")


class ClientProof:
    """Makes proofs. `jwt_source` gives the provider of identity, None where it has no JWT-SVIDs; `now`: seconds
    since 1970; `random`: so many unpredictable bytes.
    """

    def __init__(
        self,
        jwt_source: Callable[[], JwtSource | None],
        secrets: Secrets,
        now: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._jwt_source = jwt_source
        self._secrets = secrets
        self._now = now
        self._random = random
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._keys: dict[SecretKey, tuple[bytes, SigningKey]] = {}

    async def __call__(self, server: TokenServer, endpoint: str, issuer: str | None) -> Proof:
        """The proof for `server`, whose token endpoint is `endpoint`. Raises CredentialRefused."""
        client = server.client
        audience = audience_for(client, endpoint, issuer)
        match client.method:
            case ClientMethod.JWT_SPIFFE:
                return await self._by_svid(JWT_SPIFFE, client, audience)
            case ClientMethod.JWT_BEARER:
                return await self._by_svid(JWT_BEARER, client, audience)
            case ClientMethod.PRIVATE_KEY:
                return await self._by_key(client, audience)
            case ClientMethod.SECRET_BASIC:
                secret = self._secret(client)
                name = await self._id(client, audience)
                value = basic(name, secret)
                encoded = value.removeprefix(b"Basic ").decode("ascii")
                return Proof(headers=[(b"authorization", value)], secrets=(secret, encoded))
            case ClientMethod.SECRET_POST:
                secret = self._secret(client)
                name = await self._id(client, audience)
                return Proof(params=by_secret(name, secret), secrets=(secret,))
            case ClientMethod.NONE:
                return Proof(params=by_id(client.id))

    async def svid(self, audience: str) -> JwtSvid:
        """Our JWT-SVID for `audience`, with a third of its life to go at least. Raises CredentialRefused."""
        kept = self._kept.get(audience)
        if kept is None:
            if len(self._kept) >= MOST_AUDIENCES:
                self._kept.popitem(last=False)
            kept = self._kept[audience] = _Kept()
        else:
            self._kept.move_to_end(audience)
        async with kept.lock:
            if kept.svid is not None and self._now() < kept.until:
                return kept.svid
            if self._now() < kept.again:
                raise _unavailable(kept.problem)
            return await self._fetch(audience, kept)

    def forget(self, audience: str) -> None:
        """The server did not believe the JWT-SVID for this audience: the next proof has a new one."""
        kept = self._kept.get(audience)
        if kept is not None:
            kept.svid = None

    async def _fetch(self, audience: str, kept: _Kept) -> JwtSvid:
        kept.svid = None
        source = self._jwt_source()
        if source is None:
            raise _unavailable(
                "our provider of identity has no JWT-SVIDs: identity.provider none, or files without tokens; "
                "take workload-api or builtin, or another client.method"
            )
        began = self._now()
        try:
            svid = await source.jwt_svid((audience,))
            fault = jwt_fault(svid, (audience,), None, datetime.fromtimestamp(self._now(), UTC))
        except JwtUnavailable as unavailable:
            fault = str(unavailable)
        if fault is not None:
            kept.problem = f"there is no JWT-SVID for {audience}: {fault}"
            kept.again = self._now() + PAUSE_SECONDS
            raise _unavailable(kept.problem)
        if not _is_for_once(svid):
            kept.svid = svid
            kept.until = began + (svid.expires_at.timestamp() - began) * KEPT_PART
        return svid

    async def _by_svid(self, kind: str, client: ClientAuth, audience: str) -> Proof:
        svid = await self.svid(audience)
        return Proof(params=by_assertion(kind, svid.token, client.id), secrets=(svid.token,))

    async def _by_key(self, client: ClientAuth, audience: str) -> Proof:
        key = self._key(client)
        name = await self._id(client, audience)
        assertion = own_assertion(key, name, audience, now=self._now(), ident=self._random(_JTI_BYTES).hex())
        return Proof(params=by_assertion(JWT_BEARER, assertion, name), secrets=(assertion,))

    async def _id(self, client: ClientAuth, audience: str) -> str:
        """Our name there: the one configured, else our SPIFFE ID."""
        if client.id:
            return client.id
        try:
            return str((await self.svid(audience)).spiffe_id)
        except CredentialRefused as no:
            raise CredentialRefused(no.reason, f"client.id is not set, and {no.detail}") from no

    def _secret(self, client: ClientAuth) -> str:
        secret, data = self._read(client)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise _unusable(secret, "it is no text") from None

    def _key(self, client: ClientAuth) -> SigningKey:
        """The private key, read anew when its file changes: to read one costs milliseconds."""
        secret, data = self._read(client)
        known = self._keys.get(secret)
        if known is not None and known[0] == data:
            return known[1]
        try:
            key = read_signing_key(data)
        except KeyInvalid as invalid:
            raise _unusable(secret, str(invalid)) from None
        self._keys[secret] = data, key
        return key

    def _read(self, client: ClientAuth) -> tuple[SecretKey, bytes]:
        if client.secret is None:
            raise CredentialRefused(
                Reason.CREDENTIAL_SECRET_MISSING, f"client.method {client.method} needs client.secret"
            )
        return client.secret, self._secrets.read(client.secret)


def audience_for(client: ClientAuth, endpoint: str, issuer: str | None) -> str:
    """For whom an assertion is: as configured, else the issuer, which servers want as the only audience (draft
    rfc7523bis), else the endpoint.
    """
    return client.audience or issuer or endpoint


def _is_for_once(svid: JwtSvid) -> bool:
    try:
        return "jti" in read_jws(svid.token).claims
    except JwtInvalid:
        return True


def _unavailable(detail: str) -> CredentialRefused:
    return CredentialRefused(Reason.CREDENTIAL_UNAVAILABLE, detail)


def _unusable(secret: SecretKey, why: str) -> CredentialRefused:
    return CredentialRefused(
        Reason.CREDENTIAL_UNAVAILABLE, f"Secret {secret.name}, key {secret.key} is of no use here: {why}"
    )
