"""One question to a token endpoint: where it is, how we prove ourselves, what it answered.

Every grant goes through here, so the rules about answers hold for each. The agent learns of a refusal which
Backend, which server and the likely cause, and nothing secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from mesh.identity.jwt_svid import JwtSvid
from mesh.policy.credentials import ClientMethod, TokenServer
from mesh.protocol.http1.heads import Headers
from mesh.protocol.oauth.form import MEDIA_TYPE, Form, encode_form
from mesh.protocol.oauth.grants import ACCESS_TOKEN
from mesh.protocol.oauth.metadata import ServerMetadata
from mesh.protocol.oauth.token_refusal import NoToken, Wanted
from mesh.protocol.oauth.token_response import Token, read_token_response
from mesh.reasons import Reason
from sidecar.credentials.client_proof import Proof, audience_for
from sidecar.credentials.fetch import Fetcher, FetchFailed
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.refreshed import Unavailable

ANSWER_BYTES = 64 * 1024
"""A token of 16 KiB, a refresh token and an id token of that size, and words."""

_HEADERS: Headers = [(b"content-type", MEDIA_TYPE), (b"accept", b"application/json")]
_TOKENS = frozenset({"subject_token", "actor_token", "assertion"})
_BY_SVID = frozenset({ClientMethod.JWT_SPIFFE, ClientMethod.JWT_BEARER})


class Metadata(Protocol):
    """sidecar.credentials.issuers.Issuers."""

    async def metadata(self, issuer: str) -> ServerMetadata:
        """Raises Unavailable."""
        ...


class Proofs(Protocol):
    """sidecar.credentials.client_proof.ClientProof."""

    async def __call__(self, server: TokenServer, endpoint: str, issuer: str | None) -> Proof:
        """Raises CredentialRefused."""
        ...

    async def svid(self, audience: str) -> JwtSvid:
        """Raises CredentialRefused."""
        ...

    def forget(self, audience: str) -> None:
        """The server did not believe it."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What minting needs. `now`: seconds since 1970; `backend`: its name, for details."""

    fetch: Fetcher
    issuers: Metadata
    proof: Proofs
    now: Callable[[], float]
    backend: str


async def endpoint_of(server: TokenServer, parts: Parts) -> str:
    """The URL of the token endpoint: as written, else as the issuer's metadata say. Raises CredentialRefused."""
    if server.endpoint is not None:
        return server.endpoint
    if server.issuer is None:
        raise refused(Reason.CREDENTIAL_UNAVAILABLE, "neither issuer nor tokenEndpoint is set", parts)
    try:
        metadata = await parts.issuers.metadata(server.issuer)
    except Unavailable as unavailable:
        raise refused(_why(unavailable), unavailable.detail, parts, unavailable.retry_after) from unavailable
    if metadata.token_endpoint is None:
        raise refused(
            Reason.CREDENTIAL_UNAVAILABLE,
            f"the metadata of {server.issuer} name no token_endpoint; write tokenEndpoint",
            parts,
        )
    return metadata.token_endpoint


def _why(unavailable: Unavailable) -> Reason:
    """Whose fault it is that there are no metadata."""
    if unavailable.plain_text:
        return Reason.CREDENTIAL_PLAIN_TEXT
    return Reason.CREDENTIAL_ANSWER_INVALID if unavailable.invalid else Reason.CREDENTIAL_UNAVAILABLE


async def ask(
    server: TokenServer,
    form: Form,
    parts: Parts,
    *,
    audience: str | None = None,
    scopes: Iterable[str] = (),
    token_type: str = ACCESS_TOKEN,
) -> Token:
    """Send a grant with our proof, and read the answer. Raises CredentialRefused.

    `audience` and `scopes`: those that were asked for; `token_type`: the kind of token.
    """
    endpoint = await endpoint_of(server, parts)
    proof = await _proof(server, endpoint, parts)
    method = server.client.method
    wanted = Wanted(
        audience,
        frozenset(scopes),
        token_type,
        (*(value for name, value in form if name in _TOKENS), *proof.secrets),
        spiffe=method is ClientMethod.JWT_SPIFFE,
        assertion=method is ClientMethod.JWT_BEARER,
    )
    body = encode_form((*form, *proof.params))
    asked = parts.now()
    try:
        answer = await parts.fetch("POST", endpoint, [*_HEADERS, *proof.headers], body, limit=ANSWER_BYTES)
        return read_token_response(
            answer.status, answer.headers, answer.body, wanted, asked=asked, now=parts.now()
        )
    except FetchFailed as failed:
        reason = Reason.CREDENTIAL_PLAIN_TEXT if failed.plain_text else Reason.CREDENTIAL_UNAVAILABLE
        raise refused(reason, failed.detail, parts) from failed
    except NoToken as no:
        if no.error == "invalid_client" and method in _BY_SVID:
            parts.proof.forget(audience_for(server.client, endpoint, server.issuer))
        raise refused(no.reason, f"{_host(endpoint)}: {no.detail}", parts, no.retry_after) from None


async def own_svid(written: str | None, server: TokenServer, parts: Parts) -> str:
    """Our JWT-SVID for `server`: for the audience that is written, else the issuer, else the token endpoint.

    Raises CredentialRefused.
    """
    audience = written or server.issuer or await endpoint_of(server, parts)
    try:
        return (await parts.proof.svid(audience)).token
    except CredentialRefused as no:
        raise refused(no.reason, no.detail, parts, no.retry_after) from no


async def _proof(server: TokenServer, endpoint: str, parts: Parts) -> Proof:
    try:
        return await parts.proof(server, endpoint, server.issuer)
    except CredentialRefused as no:
        raise refused(no.reason, no.detail, parts, no.retry_after) from no


def scopes_of(own: Iterable[str], extra: Iterable[str]) -> tuple[str, ...]:
    """What to ask for: the credential's own scopes as written, then the others, each once."""
    return tuple(dict.fromkeys((*own, *sorted(extra))))


def bearer(token: Token) -> Issued:
    """The token as a header field for requests to the Backend."""
    value = token.value.encode("ascii")
    return Issued([(b"authorization", b"Bearer " + value)], (value,), token.expires, token.scopes)


def refused(reason: Reason, detail: str, parts: Parts, retry_after: float | None = None) -> CredentialRefused:
    """Why the Backend has no credential."""
    return CredentialRefused(reason, f"Backend {parts.backend}: {detail}", retry_after)


def _host(endpoint: str) -> str:
    return urlsplit(endpoint).netloc.rpartition("@")[2]
