"""The one exception of this package, with the status a proxy answers it with.

A message that can be read in two ways is refused rather than repaired: whoever reads it next might repair it
differently, and that difference is what request smuggling lives on.
"""

from __future__ import annotations

from mesh.reasons import Reason

BAD_REQUEST = 400
BAD_GATEWAY = 502

# RFC 9110, sections 15.5 and 15.6; everything that is not here is answered with 400.
_STATUS: dict[Reason, int] = {
    Reason.HTTP_BODY_TOO_LARGE: 413,
    Reason.HTTP_EXPECTATION: 417,
    Reason.HTTP_HEAD_TOO_LARGE: 431,
    Reason.HTTP_UPGRADE: 501,
    Reason.HTTP_VERSION: 505,
}


class HttpRefused(Exception):
    """A message cannot be passed on. The peer that sent it is at fault, never this process.

    `reason` is the code for logs and metrics, `detail` says in a few words what was wrong (never the bytes
    themselves: they may hold credentials). `status` is what to answer the client with: for a request the
    status of its fault, for a response always 502. The connection cannot be used further: where the next
    message begins is unknown.
    """

    def __init__(self, reason: Reason, detail: str, status: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = status if status is not None else _STATUS.get(reason, BAD_REQUEST)
