"""An authorization server that answers what a test says, and reads requests with other code than ours."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from mesh.identity.jwt_svid import JwtSvid, issue_jwt_svid, make_jwt_key
from mesh.identity.spiffe_id import SpiffeId
from mesh.policy.credentials import ClientAuth, ClientMethod, SecretKey, TokenServer
from mesh.policy.principal import User
from mesh.protocol.oauth.metadata import ServerMetadata
from mesh.reasons import Reason
from sidecar.credentials.client_proof import ClientProof
from sidecar.credentials.fetch import Fetched, FetchFailed
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.token_endpoint import Parts
from sidecar.credentials.refreshed import Unavailable
from sidecar.credentials.verified import Verified
from sidecar.identity.jwt_source import JwtSource, JwtUnavailable

NOW = 1_800_000_000.0
ME = SpiffeId.parse("spiffe://cluster.local/ns/agents/sa/triage")
ISSUER = "https://idp.example.com/realms/acme"
ENDPOINT = ISSUER + "/protocol/openid-connect/token"
SECRET = SecretKey("idp", "key")
NO_CLIENT = ClientAuth(ClientMethod.NONE, "triage")


def jwt(**claims: Any) -> str:
    """Signed by nobody."""
    parts = (json.dumps({"alg": "RS256", "typ": "at+jwt"}), json.dumps(claims), "signature")
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


USERS_TOKEN = jwt(sub="alice", iss=ISSUER, aud="triage")
ALICE = Verified(User(ISSUER, "alice"), USERS_TOKEN, NOW + 600, b"k")


def server(
    client: ClientAuth = NO_CLIENT, *, endpoint: str | None = None, issuer: str | None = ISSUER
) -> TokenServer:
    return TokenServer(issuer, endpoint, client)


def answer(body: object, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> Fetched:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Fetched(status, [(b"content-type", b"application/json"), *headers], data)


def given(value: str = "opaque-token", **more: Any) -> Fetched:
    return answer({"access_token": value, "token_type": "Bearer", "expires_in": 300, **more})


@dataclass
class Clock:
    time: float = NOW

    def __call__(self) -> float:
        return self.time


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)

    @property
    def form(self) -> dict[str, str]:
        """The parameters, none of which may be repeated or empty (RFC 6749, section 3.2)."""
        pairs = self.pairs
        assert len(dict(pairs)) == len(pairs)
        assert all(value for _, value in pairs)
        return dict(pairs)

    @property
    def basic(self) -> tuple[str, str]:
        (value,) = (value for name, value in self.headers if name == b"authorization")
        scheme, _, rest = value.partition(b" ")
        assert scheme == b"Basic"
        name, _, secret = base64.b64decode(rest, validate=True).decode("ascii").partition(":")
        return unquote_plus(name), unquote_plus(secret)


@dataclass
class FakeFetch:
    """Gives one answer after the other, the last one for ever; each takes `seconds` of `clock`."""

    answers: list[Fetched | FetchFailed]
    clock: Clock = field(default_factory=Clock)
    seconds: float = 0.0
    requests: list[Request] = field(default_factory=list)

    async def __call__(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        seconds: float = 10.0,
        limit: int = 256 * 1024,
    ) -> Fetched:
        self.requests.append(Request(method, url, list(headers), body))
        self.clock.time += min(self.seconds, seconds)
        if self.seconds > seconds:
            raise FetchFailed(f"idp.example.com:443 gave no whole answer within {seconds:g} s")
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, FetchFailed):
            raise said
        if len(said.body) > limit:
            raise FetchFailed(f"idp.example.com:443: an answer of more than {limit} bytes")
        return said


class FakeIssuers:
    """Every issuer has its endpoint where Keycloak has it, but those of `unknown`."""

    def __init__(self, *unknown: str, endpoint: bool = True) -> None:
        self._unknown = unknown
        self._endpoint = endpoint

    async def metadata(self, issuer: str) -> ServerMetadata:
        if issuer in self._unknown:
            raise Unavailable(f"the metadata of {issuer}: no answer", 7.0)
        return ServerMetadata(issuer, issuer + "/protocol/openid-connect/token" if self._endpoint else None)


class FakeSource:
    """A provider of identity with JWT-SVIDs. Counts what it is asked."""

    def __init__(self, clock: Callable[[], float], *, seconds: float = 300.0, jti: bool = False) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.problem: str | None = None
        self.key = make_jwt_key()
        self._clock = clock
        self._seconds = seconds
        self._jti = jti

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvid:
        self.asked.append(audience)
        if self.problem is not None:
            raise JwtUnavailable(self.problem)
        now = datetime.fromtimestamp(self._clock() + len(self.asked) * 1e-9, UTC)
        if self._jti:
            token = jwt(sub=str(ME), aud=list(audience), exp=now.timestamp() + self._seconds, jti="once")
            return JwtSvid(ME, audience, datetime.fromtimestamp(now.timestamp() + self._seconds, UTC), token)
        lifetime = datetime.fromtimestamp(now.timestamp() + self._seconds, UTC) - now
        return JwtSvid.parse(issue_jwt_svid(self.key, ME, audience, now, lifetime))


class FakeSecrets:
    def __init__(self, values: dict[SecretKey, bytes] | None = None) -> None:
        self.values = values or {}

    def read_field(self, secret: SecretKey) -> bytes:
        return self.read(secret)

    def read(self, secret: SecretKey) -> bytes:
        if secret not in self.values:
            raise CredentialRefused(
                Reason.CREDENTIAL_SECRET_MISSING, f"Secret {secret.name}: it is not mounted"
            )
        return self.values[secret]


def proof(
    source: JwtSource | None, clock: Callable[[], float], secrets: dict[SecretKey, bytes] | None = None
) -> ClientProof:
    return ClientProof(lambda: source, FakeSecrets(secrets), clock, lambda size: bytes(range(size)))


def parts(
    fetch: FakeFetch, *, issuers: FakeIssuers | None = None, secrets: dict[SecretKey, bytes] | None = None
) -> Parts:
    source = FakeSource(fetch.clock)
    return Parts(fetch, issuers or FakeIssuers(), proof(source, fetch.clock, secrets), fetch.clock, "crm")
