"""The protocol by which a workload gets its identity from a CA: what travels, as typed documents.

Three calls over HTTPS with JSON bodies, described in docs/identity.md: POST /v1/svid, POST /v1/jwt-svid and
GET /v1/bundles. Both ends share this module. A request is read strictly, because what the server does not know
it cannot heed; an answer may hold more than is known here, so that an older client understands a newer server.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec

from mesh.identity.bundle_document import BundleDocument, bundle_from_object, bundle_to_object
from mesh.identity.errors import DocumentInvalid
from mesh.identity.jwt_svid import JwtSvid
from mesh.identity.pem import CERTIFICATE, read_certificates, write_pem

SVID_PATH: Final = "/v1/svid"
JWT_SVID_PATH: Final = "/v1/jwt-svid"
BUNDLES_PATH: Final = "/v1/bundles"

MAX_REQUEST_BYTES: Final = 16 * 1024
MAX_ANSWER_BYTES: Final = 1024 * 1024
MAX_AUDIENCES: Final = 8
MAX_AUDIENCE_BYTES: Final = 512
MAX_REFRESH_SECONDS: Final = 24 * 3600
MAX_RETRY_SECONDS: Final = 24 * 3600


class Refusal(StrEnum):
    """Why a CA refused; `error` of its answer."""

    MALFORMED = "malformed"
    """The request breaks the protocol."""
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a code, not a secret
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    """Forged, for another audience, or no ServiceAccount's."""
    CERTIFICATE_REFUSED = "certificate_refused"
    """The client certificate of the connection does not prove a workload of this trust domain now."""
    CALLER_REFUSED = "caller_refused"
    """It is proved who calls, and that is not who may have what is asked for."""
    CSR_REFUSED = "csr_refused"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    """The CA cannot judge or sign now, for instance because its own API server does not answer."""


STATUS: Final[Mapping[Refusal, int]] = {
    Refusal.MALFORMED: 400,
    Refusal.TOKEN_MISSING: 401,
    Refusal.TOKEN_EXPIRED: 401,
    Refusal.TOKEN_REFUSED: 403,
    Refusal.CERTIFICATE_REFUSED: 403,
    Refusal.CALLER_REFUSED: 403,
    Refusal.CSR_REFUSED: 422,
    Refusal.RATE_LIMITED: 429,
    Refusal.UNAVAILABLE: 503,
}


class SvidRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/svid. `csr`: PEM; only its key counts."""

    csr: str


class JwtSvidRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/jwt-svid. `audience`: who may accept the token, one to eight names."""

    audience: tuple[str, ...]


class BundlesAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Answer to GET /v1/bundles: the SPIFFE bundle document of each trust domain, our own among them.

    `time` is the CA's clock. `refresh_after_seconds`: when to ask for the bundles again, None leaves that open.
    """

    bundles: dict[str, Any]
    time: datetime
    refresh_after_seconds: int | None = None


class SvidAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Answer to POST /v1/svid: the chain (PEM, leaf first, no root), and what BundlesAnswer has."""

    chain: str
    bundles: dict[str, Any]
    time: datetime
    refresh_after_seconds: int | None = None


class JwtSvidAnswer(msgspec.Struct, frozen=True):
    """Answer to POST /v1/jwt-svid."""

    token: str
    time: datetime

    def __repr__(self) -> str:
        """Without the token."""
        return f"JwtSvidAnswer(time={self.time!r})"


class RefusedAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The body of every answer that is not 200. `detail` is a sentence for people."""

    error: str
    detail: str
    time: datetime | None = None
    retry_after_seconds: int | None = None


D = TypeVar("D", SvidRequest, JwtSvidRequest, BundlesAnswer, SvidAnswer, JwtSvidAnswer, RefusedAnswer)


def read_document(data: bytes, kind: type[D]) -> D:
    """Read a body as `kind`; raises DocumentInvalid."""
    try:
        document = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as malformed:
        raise DocumentInvalid(f"not the document that was expected: {malformed}") from malformed
    time = getattr(document, "time", None)
    if time is not None and time.tzinfo is None:
        raise DocumentInvalid("time has no time zone")
    if isinstance(document, JwtSvidRequest):
        _check_audience(document.audience)
    return document


def write_document(document: msgspec.Struct) -> bytes:
    """The JSON of a document."""
    return msgspec.json.encode(document)


def read_bundles(answer: SvidAnswer | BundlesAnswer) -> dict[str, BundleDocument]:
    """The bundles of an answer by trust domain; raises IdentityInvalid for a malformed one."""
    return {name: bundle_from_object(name, value) for name, value in answer.bundles.items()}


def write_bundles(bundles: Mapping[str, BundleDocument]) -> dict[str, Any]:
    """The inverse."""
    return {name: bundle_to_object(bundle) for name, bundle in bundles.items()}


def read_chain(answer: SvidAnswer) -> tuple[bytes, ...]:
    """The certificates (DER) of an answer; raises PemInvalid."""
    return read_certificates(answer.chain.encode("utf-8", "surrogatepass"))


def write_chain(chain_der: tuple[bytes, ...]) -> str:
    """The inverse."""
    return write_pem(CERTIFICATE, *chain_der)


def read_jwt_svid(answer: JwtSvidAnswer, audience: tuple[str, ...]) -> JwtSvid:
    """The token of an answer, which must be for the whole of `audience`; raises JwtInvalid, DocumentInvalid."""
    svid = JwtSvid.parse(answer.token)
    if not set(audience) <= set(svid.audience):
        raise DocumentInvalid(f"the token is for {', '.join(svid.audience)}, not for {', '.join(audience)}")
    return svid


def refresh_seconds(answer: SvidAnswer | BundlesAnswer) -> float | None:
    """When to ask for the bundles again, within reason: from a second to a day; None: not said."""
    hint = answer.refresh_after_seconds
    return None if hint is None else float(min(max(hint, 1), MAX_REFRESH_SECONDS))


def retry_seconds(answer: RefusedAnswer) -> float | None:
    """For how long not to ask again, within reason: at most a day; None: not said."""
    wait = answer.retry_after_seconds
    # Bounded while it is whole: JSON has numbers that no float holds.
    return None if wait is None else float(min(max(wait, 0), MAX_RETRY_SECONDS))


def stamp(now: datetime) -> datetime:
    """`now` as documents carry it: UTC, whole seconds."""
    return now.astimezone(UTC).replace(microsecond=0)


def _check_audience(audience: tuple[str, ...]) -> None:
    if not 1 <= len(audience) <= MAX_AUDIENCES:
        raise DocumentInvalid(f"an audience of 1 to {MAX_AUDIENCES} names is needed, not {len(audience)}")
    if not all(1 <= len(name.encode("utf-8", "surrogatepass")) <= MAX_AUDIENCE_BYTES for name in audience):
        raise DocumentInvalid(f"each name of the audience has 1 to {MAX_AUDIENCE_BYTES} bytes")
