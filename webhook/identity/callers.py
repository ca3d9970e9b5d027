"""Who calls the control port? A client certificate of our own CA or a ServiceAccount token in, a workload out.

Handlers of the control port's application ask `who(request)` and raise `CallRefused`; a middleware of the
application makes the answer of it. What the request says of itself counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from aiohttp import web

from mesh.identity.issuance import Refusal
from mesh.identity.spiffe_id import SpiffeId


class How(StrEnum):
    """How a caller proved who it is; values of audit lines and metrics."""

    CERTIFICATE = "certificate"
    TOKEN = "token"  # noqa: S105 - a kind of proof


@dataclass(frozen=True, slots=True)
class Proven:
    """A workload, proved. A token is bound to a pod and tells its name and uid; a certificate does not.

    `expires` is when the proof ends (aware, UTC): what is built upon it should not last longer.
    """

    namespace: str
    service_account: str
    spiffe_id: SpiffeId
    expires: datetime
    how: How
    pod: str | None = None
    uid: str | None = None
    serial: str = ""
    """Of the certificate, hexadecimal."""

    @property
    def caller(self) -> str:
        """By what one caller is told from another, as far as the proof goes: for limits."""
        return str(self.spiffe_id) if self.uid is None else f"{self.spiffe_id} {self.uid}"

    def at(self, address: str | None) -> str:
        """As `caller`; pods of one ServiceAccount, which a certificate does not tell apart, by their addresses."""
        return self.caller if self.uid else f"{self.caller} {address}"


class CallRefused(Exception):
    """The caller gets this answer instead of what it asked for. It is at fault unless `refusal` is `unavailable`.

    `retry_after`: seconds.
    """

    def __init__(self, refusal: Refusal, detail: str, retry_after: int | None = None) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal
        self.detail = detail
        self.retry_after = retry_after


class Callers(Protocol):
    """Judges requests."""

    async def who(self, request: web.Request) -> Proven:
        """The workload that proves itself by `request`'s connection or token; raises CallRefused."""
        ...


CALLERS: Final = web.AppKey("callers", Callers)


async def who(request: web.Request) -> Proven:
    """The workload that calls; raises CallRefused."""
    return await request.app[CALLERS].who(request)
