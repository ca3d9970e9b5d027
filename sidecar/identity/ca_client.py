"""Asking the mesh's own CA: each call over HTTPS to a server that a pinned root vouches for.

Token and root are read afresh for each call, because the kubelet replaces both while the process runs. Every way
in which a call can fail has a cause of its own, so that its sentence can say what to do.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from mesh.identity.errors import DocumentInvalid, PemInvalid
from mesh.identity.issuance import (
    BUNDLES_PATH,
    JWT_SVID_PATH,
    MAX_ANSWER_BYTES,
    SVID_PATH,
    BundlesAnswer,
    JwtSvidAnswer,
    JwtSvidRequest,
    Refusal,
    RefusedAnswer,
    SvidAnswer,
    SvidRequest,
    read_document,
    retry_seconds,
    write_document,
)
from mesh.identity.pem import read_certificates
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import Headers
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.target import Target
from sidecar.identity.https_call import AnswerTruncatable, HttpsAnswer, HttpsCall, https_call
from sidecar.identity.identity_files import FileUnreadable, read_files

CALL_SECONDS = 10.0
MAX_TOKEN_BYTES = 16 * 1024


class Cause(StrEnum):
    """Why a call failed; the CA's own refusals keep the names of `Refusal`."""

    TOKEN_MISSING = "token_missing"  # noqa: S105 - a code, not a secret
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    CSR_REFUSED = "csr_refused"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    MALFORMED = "malformed"
    ROOT_UNUSABLE = "root_unusable"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    CLOCK = "clock"


class CaFailed(Exception):
    """The CA gave nothing. `detail` is a sentence that says who is at fault; `retry_after` is in seconds."""

    def __init__(self, cause: Cause, detail: str, retry_after: float | None = None) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
        self.retry_after = retry_after


A = TypeVar("A", SvidAnswer, BundlesAnswer, JwtSvidAnswer)


@dataclass(frozen=True, slots=True)
class CaClient:
    """The CA at `server`, whose certificate chains to `root` (PEM file); `token` is the file that proves us."""

    server: Target
    root: Path
    token: Path
    seconds: float = CALL_SECONDS

    async def svid(self, csr: str) -> SvidAnswer:
        """Have the key of `csr` certified; raises CaFailed."""
        return await self._ask("POST", SVID_PATH, SvidRequest(csr), SvidAnswer)

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvidAnswer:
        """A token for `audience`; raises CaFailed."""
        return await self._ask("POST", JWT_SVID_PATH, JwtSvidRequest(audience), JwtSvidAnswer)

    async def bundles(self) -> BundlesAnswer:
        """The bundles, which are no secret: this call needs no token. Raises CaFailed."""
        return await self._ask("GET", BUNDLES_PATH, None, BundlesAnswer)

    async def _ask(
        self, method: str, path: str, request: SvidRequest | JwtSvidRequest | None, kind: type[A]
    ) -> A:
        paths = (self.root,) if request is None else (self.root, self.token)
        files = await asyncio.to_thread(read_files, paths)
        headers: Headers = [(b"accept", b"application/json")]
        body = b""
        if request is not None:
            headers += [_authorization(self.token, files[self.token])]
            headers += [(b"content-type", b"application/json")]
            body = write_document(request)
        call = HttpsCall(method, self.server.path.rstrip(b"/") + path.encode("ascii"), headers, body)
        answer = await self._call(call, _context(self.root, files[self.root]))
        if answer.status != 200:
            raise _refused(answer)
        try:
            return read_document(answer.body, kind)
        except DocumentInvalid as malformed:
            raise CaFailed(Cause.MALFORMED, f"the CA's answer cannot be used: {malformed}") from malformed

    async def _call(self, call: HttpsCall, context: ssl.SSLContext) -> HttpsAnswer:
        limits = HttpLimits(body_bytes=MAX_ANSWER_BYTES)
        where = f"the CA at {self.server.host}:{self.server.port}"
        try:
            return await https_call(self.server, call, context, seconds=self.seconds, limits=limits)
        except ssl.SSLCertVerificationError as refused:
            raise _untrusted(where, self.root, refused) from refused
        except ssl.SSLError as failed:
            raise CaFailed(
                Cause.UNREACHABLE, f"{where} does not speak TLS 1.3 as expected: {failed.reason}"
            ) from failed
        except TimeoutError as late:
            raise CaFailed(Cause.UNREACHABLE, f"{where} did not answer within {self.seconds:g} s") from late
        except OSError as lost:
            raise CaFailed(Cause.UNREACHABLE, f"{where} cannot be reached: {lost.strerror or lost}") from lost
        except HttpRefused as malformed:
            raise CaFailed(Cause.MALFORMED, f"{where} answers no HTTP: {malformed.detail}") from malformed
        except AnswerTruncatable as malformed:
            raise CaFailed(Cause.MALFORMED, f"{where}: {malformed}") from malformed


def _authorization(path: Path, content: bytes | FileUnreadable) -> tuple[bytes, bytes]:
    if isinstance(content, FileUnreadable):
        raise CaFailed(Cause.TOKEN_MISSING, f"the ServiceAccount token: {content}")
    token = content.strip()
    if not token or len(token) > MAX_TOKEN_BYTES or any(byte <= 0x20 or byte >= 0x7F for byte in token):
        raise CaFailed(Cause.TOKEN_MISSING, f"{path} holds no ServiceAccount token")
    return b"authorization", b"Bearer " + token


def _context(path: Path, content: bytes | FileUnreadable) -> ssl.SSLContext:
    """Verifies the server's name and chain by the pinned root alone; the system's roots have no say."""
    if isinstance(content, FileUnreadable):
        raise CaFailed(Cause.ROOT_UNUSABLE, f"the CA's root: {content}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The file may pin an intermediate, or the server's own certificate.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=b"".join(read_certificates(content)))
    except (PemInvalid, ssl.SSLError) as malformed:
        raise CaFailed(Cause.ROOT_UNUSABLE, f"{path} holds no certificates: {malformed}") from malformed
    return context


# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL (x509_vfy.h).
_DATES = (9, 10)


def _untrusted(where: str, root: Path, refused: ssl.SSLCertVerificationError) -> CaFailed:
    if refused.verify_code in _DATES:
        sentence = (
            f"the certificate of {where} is out of date ({refused.verify_message}), or our clock is wrong"
        )
        return CaFailed(Cause.CLOCK, sentence)
    sentence = f"the certificate of {where} is not vouched for by {root}: {refused.verify_message}"
    return CaFailed(Cause.UNTRUSTED, sentence)


_SENTENCES = {
    Cause.TOKEN_MISSING: "the CA found no ServiceAccount token in the request",
    Cause.TOKEN_EXPIRED: "the CA takes our ServiceAccount token as expired; the kubelet should renew its file",
    Cause.TOKEN_REFUSED: "the CA refuses our ServiceAccount token",
    Cause.CSR_REFUSED: "the CA refuses our certificate request",
    Cause.RATE_LIMITED: "the CA is asked too often for this identity",
    Cause.UNAVAILABLE: "the CA cannot issue now",
    Cause.MALFORMED: "the CA does not understand the request",
}


def _refused(answer: HttpsAnswer) -> CaFailed:
    try:
        document = read_document(answer.body, RefusedAnswer)
        cause = Cause(Refusal(document.error))
    except (DocumentInvalid, ValueError):
        return CaFailed(
            Cause.MALFORMED, f"the CA answers with status {answer.status} and no reason known here"
        )
    detail = f"{_SENTENCES[cause]}: {_line(document.detail)}{_clocks(cause, document.time)}"
    return CaFailed(cause, detail, retry_seconds(document))


def _clocks(cause: Cause, time: datetime | None) -> str:
    if cause is not Cause.TOKEN_EXPIRED or time is None:
        return ""
    return f" (its clock says {time:%Y-%m-%d %H:%M:%S})"


def _line(text: str) -> str:
    """What a server says, fit for a log line."""
    return "".join(c if c.isprintable() else " " for c in text[:300])
