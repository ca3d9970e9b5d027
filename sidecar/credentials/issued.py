"""A credential for one Backend, ready to be put into requests, and why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

from mesh.protocol.http1.heads import Headers
from mesh.reasons import Reason

_OF_ITSELF = frozenset({b"authorization", b"cookie"})
"""A session of its own at a server where we speak for it is none of the agent's business."""

OTHERWISE = frozenset({b"range", b"if-range", b"accept-charset"})
"""What asks for an answer in pieces or in another charset, in which no secret would be found."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Header fields for requests to one Backend. `expires`: seconds since 1970, infinity where it does not.

    `secrets`: every spelling of what must not come back to the agent in an answer.
    """

    fields: Headers = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    expires: float = float("inf")
    scopes: frozenset[str] = frozenset()
    replaced: frozenset[bytes] = field(init=False, repr=False, compare=False)
    """Names of fields that the agent does not fill in: these, what else it could say of itself, and OTHERWISE."""
    lines: bytes = field(init=False, repr=False, compare=False)
    """The fields as they leave, made once for many requests. Whoever made them has seen to it that no line breaks
    are in them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "replaced", _OF_ITSELF.union(OTHERWISE, (name for name, _ in self.fields)))
        object.__setattr__(self, "lines", b"".join(b"%b: %b\r\n" % one for one in self.fields))


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
