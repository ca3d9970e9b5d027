"""A credential for one Backend, ready to be put into requests, and why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

from mesh.protocol.http1.heads import Headers
from mesh.reasons import Reason


@dataclass(frozen=True, slots=True)
class Issued:
    """Header fields for requests to one Backend. `expires`: seconds since 1970, infinity where it does not.

    `secrets`: every spelling of what must not come back to the agent in an answer.
    """

    fields: Headers = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    expires: float = float("inf")
    scopes: frozenset[str] = frozenset()


class CredentialRefused(Exception):
    """There is no credential for a Backend now. The reason says whose fault: CREDENTIAL_REFUSED the authorization
    server said no, CREDENTIAL_UNAVAILABLE it does not answer, CREDENTIAL_ANSWER_INVALID its answer is none,
    CREDENTIAL_SECRET_MISSING and CREDENTIAL_PLAIN_TEXT the installation, SUBJECT_MISSING the agent.

    `detail` is for logs and answers: it names servers and error codes, and holds no secret. `retry_after`:
    seconds for which asking again is of no use, None where unknown.
    """

    def __init__(self, reason: Reason, detail: str, retry_after: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
