"""What has to be asked of others before a request can leave: who calls, whether it may, and what it leaves with.

One question at a time, each told once, by a callback, unless nobody wants to know any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from mesh.protocol.ext_authz import Approval
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.external_auth.answer import Refusal
from sidecar.proxy.plan import Held, Owing, Plan, Reply, Unverified
from sidecar.tasks import spawn

if TYPE_CHECKING:
    from sidecar.external_auth.authorizer import Inquiry
    from sidecar.proxy.pipeline import Pipeline

T = TypeVar("T")

_UNFORESEEN = "the sidecar failed, see its log"


class Asking:
    """The question that one exchange waits for."""

    __slots__ = ("_errand", "_inquiry", "_pipeline")

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._inquiry: Inquiry | None = None
        self._errand: asyncio.Task[Any] | None = None

    @property
    def waits(self) -> bool:
        """Whether a question is under way."""
        return self._errand is not None or self._inquiry is not None

    def verify(self, unverified: Unverified, told: Callable[[Verified | TokenRefused], None]) -> None:
        """Who calls."""
        callers = self._pipeline.callers
        assert callers is not None  # noqa: S101 - nobody else wants tokens verified
        failed = TokenRefused(Reason.ISSUER_UNAVAILABLE, _UNFORESEEN)
        self._wait_for(callers.outcome(unverified), told, failed, "verify a user's token")

    def authorize(
        self, plan: Plan, held: Held, told: Callable[[tuple[Approval, ...] | Refusal], None]
    ) -> None:
        """Whether every external check says yes."""

        def answered(outcome: tuple[Approval, ...] | Refusal) -> None:
            self._inquiry = None
            told(outcome)

        self._inquiry = inquiry = self._pipeline.inquire(plan, held, answered)
        inquiry.start()

    def rate(self, plan: Plan, held: Held, told: Callable[[bytes | Held | Owing | Reply], None]) -> None:
        """Whether the store of shared limits has room."""
        failed = self._pipeline.unrated(plan, held)
        self._wait_for(self._pipeline.rate(plan, held), told, failed, "ask the store of shared limits")

    def screen(self, plan: Plan, held: Held, told: Callable[[Held | Reply], None]) -> None:
        """What detectors find that are asked over HTTP."""
        failed = self._pipeline.unscreened(plan, held)
        self._wait_for(self._pipeline.screen(plan, held), told, failed, "ask detectors about a request")

    def obtain(self, plan: Plan, told: Callable[[CredentialRefused | None], None]) -> None:
        """The credential; None is told when it is in the plan."""
        owners = self._pipeline.owners
        if owners is None:
            told(CredentialRefused(Reason.CREDENTIAL_UNAVAILABLE, "this sidecar has none"))
            return
        failed = CredentialRefused(Reason.CREDENTIAL_UNAVAILABLE, _UNFORESEEN)
        self._wait_for(owners.outcome(plan), told, failed, "obtain a credential")

    def _wait_for(
        self, awaited: Coroutine[Any, Any, T], told: Callable[[T], None], failed: T, name: str
    ) -> None:
        self._errand = errand = spawn(awaited, name=name)
        errand.add_done_callback(partial(self._told, told, failed))

    def _told(self, told: Callable[[T], None], failed: T, errand: asyncio.Task[T]) -> None:
        """What nobody foresaw is a refusal; its exception is in the log."""
        if errand is not self._errand or errand.cancelled():
            return
        self._errand = None
        told(failed if errand.exception() is not None else errand.result())

    def cancel(self) -> None:
        """Nobody wants to know any more."""
        if self._inquiry is not None:
            self._inquiry.cancel()
            self._inquiry = None
        errand, self._errand = self._errand, None
        if errand is not None:
            errand.cancel()
