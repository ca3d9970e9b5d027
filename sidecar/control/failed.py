"""Why the control plane gave nothing: a cause for each way to fail, so that its sentence can say what to do."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from mesh.identity.errors import DocumentInvalid
from mesh.identity.issuance import Refusal, RefusedAnswer, read_document, retry_seconds
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import Target
from sidecar.identity.identity_files import FileUnreadable

MAX_TOKEN_BYTES = 16 * 1024


class Cause(StrEnum):
    """Why a call failed; refusals of the control plane keep the names of `Refusal`."""

    TOKEN_MISSING = "token_missing"  # noqa: S105 - a code, not a secret
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    CERTIFICATE_REFUSED = "certificate_refused"
    CALLER_REFUSED = "caller_refused"
    CSR_REFUSED = "csr_refused"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    MALFORMED = "malformed"
    ROOT_UNUSABLE = "root_unusable"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    CLOCK = "clock"
    SILENT = "silent"
    ENDED = "ended"


class CallFailed(Exception):
    """The control plane gave nothing. `detail` is a sentence that says who is at fault; `retry_after` is in
    seconds."""

    def __init__(self, cause: Cause, detail: str, retry_after: float | None = None) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
        self.retry_after = retry_after


def place(server: Target) -> str:
    """The server as sentences name it."""
    return f"the control plane at {server.host}:{server.port}"


@contextmanager
def explained(server: Target, seconds: float) -> Iterator[None]:
    """Turn what connections raise into CallFailed. `seconds`: how long an answer was waited for."""
    where = place(server)
    try:
        yield
    except ssl.SSLCertVerificationError as refused:
        raise _untrusted(where, refused) from refused
    except ssl.SSLError as failed:
        raise _tls_failed(where, failed) from failed
    except TimeoutError as late:
        raise CallFailed(Cause.UNREACHABLE, f"{where} did not answer within {seconds:g} s") from late
    except OSError as lost:
        raise CallFailed(Cause.UNREACHABLE, f"{where} cannot be reached: {lost.strerror or lost}") from lost
    except HttpRefused as malformed:
        raise CallFailed(Cause.MALFORMED, f"{where} answers no HTTP: {malformed.detail}") from malformed


def authorization(path: Path, content: bytes | FileUnreadable) -> tuple[bytes, bytes]:
    """The header that proves us by the token that was read from `path`; raises CallFailed."""
    if isinstance(content, FileUnreadable):
        raise CallFailed(Cause.TOKEN_MISSING, f"the ServiceAccount token: {content}")
    token = content.strip()
    if not token or len(token) > MAX_TOKEN_BYTES or any(byte <= 0x20 or byte >= 0x7F for byte in token):
        raise CallFailed(Cause.TOKEN_MISSING, f"{path} holds no ServiceAccount token")
    return b"authorization", b"Bearer " + token


# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL (x509_vfy.h).
_DATES = (9, 10)


def _untrusted(where: str, refused: ssl.SSLCertVerificationError) -> CallFailed:
    if refused.verify_code in _DATES:
        sentence = (
            f"the certificate of {where} is out of date ({refused.verify_message}), or our clock is wrong"
        )
        return CallFailed(Cause.CLOCK, sentence)
    sentence = f"the certificate of {where} is not vouched for by control.roots: {refused.verify_message}"
    return CallFailed(Cause.UNTRUSTED, sentence)


_ABOUT_US = (
    "UNKNOWN_CA",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
)
"""Alerts by which a server refuses its client's certificate (RFC 8446, 6.2)."""


def _tls_failed(where: str, failed: ssl.SSLError) -> CallFailed:
    alert = (failed.reason or "").partition("_ALERT_")[2]
    if alert in _ABOUT_US:
        sentence = f"{where} refuses our SVID: {alert.lower().replace('_', ' ')}"
        return CallFailed(Cause.CERTIFICATE_REFUSED, sentence)
    return CallFailed(Cause.UNREACHABLE, f"{where} does not speak TLS 1.3 as expected: {failed.reason}")


_SENTENCES = {
    Cause.TOKEN_MISSING: "the control plane found no ServiceAccount token in the request",
    Cause.TOKEN_EXPIRED: "the control plane takes our ServiceAccount token as expired; the kubelet should renew"
    " its file",
    Cause.TOKEN_REFUSED: "the control plane refuses our ServiceAccount token",
    Cause.CERTIFICATE_REFUSED: "the control plane refuses our SVID",
    Cause.CALLER_REFUSED: "the control plane knows who we are, and refuses what we ask for",
    Cause.CSR_REFUSED: "the control plane refuses our certificate request",
    Cause.RATE_LIMITED: "the control plane is asked too often for this identity",
    Cause.UNAVAILABLE: "the control plane cannot serve this now",
    Cause.MALFORMED: "the control plane does not understand the request",
}


def refused(status: int, body: bytes) -> CallFailed:
    """What an answer that is not 200 means."""
    try:
        document = read_document(body, RefusedAnswer)
        cause = Cause(Refusal(document.error))
    except (DocumentInvalid, ValueError):
        return CallFailed(
            Cause.MALFORMED, f"the control plane answers with status {status} and no reason known here"
        )
    detail = f"{_SENTENCES[cause]}: {_line(document.detail)}{_clocks(cause, document.time)}"
    return CallFailed(cause, detail, retry_seconds(document))


def _clocks(cause: Cause, time: datetime | None) -> str:
    if cause is not Cause.TOKEN_EXPIRED or time is None:
        return ""
    return f" (its clock says {time:%Y-%m-%d %H:%M:%S})"


def _line(text: str) -> str:
    """What a server says, fit for a log line."""
    return "".join(c if c.isprintable() else " " for c in text[:300])
