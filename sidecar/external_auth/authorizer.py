"""Every service that has to say yes is asked, one after the other; the first that does not ends it.

Nothing is remembered: a service may say yes now and no a moment later (Gateway API knows no caching of answers).
Who asks is told once, by a callback and not by a future, and may change its mind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from mesh.policy.boundary import Reach
from mesh.policy.compile import Policy
from mesh.policy.decision import AuthProtocol, ExternalCheck
from mesh.protocol.ext_authz import Approval
from mesh.protocol.http1.target import Target
from mesh.reasons import Reason
from sidecar.external_auth.answer import Refusal
from sidecar.external_auth.grpc_callout import GrpcCallout
from sidecar.external_auth.grpc_channels import GrpcChannels
from sidecar.external_auth.http_callout import HttpCallout
from sidecar.external_auth.question import BodyTooLarge, Question
from sidecar.limits import Limits
from sidecar.proxy.pool import Destination, Pool
from sidecar.proxy.routing import by_tls
from sidecar.telemetry.record import Recorder

Told = Callable[[tuple[Approval, ...] | Refusal], None]
"""Who asks: gets the approvals in the order of the checks, or why there is none."""


class _Callout(Protocol):
    def start(self) -> None: ...
    def cancel(self) -> None: ...


class Authorizer:
    """Asks; owns what is under way. `address` tells where a host and port are dialled."""

    def __init__(
        self,
        pool: Pool,
        limits: Limits,
        recorder: Recorder,
        clock: Callable[[], float],
        *,
        address: Callable[[str, int], tuple[str, int]] = lambda host, port: (host, port),
        channels: GrpcChannels | None = None,
    ) -> None:
        self.pool = pool
        self.limits = limits
        self.recorder = recorder
        self.clock = clock
        self.address = address
        self.channels = channels or GrpcChannels()
        self.under_way = 0

    async def close(self) -> None:
        """Close what only external authorization has open."""
        await self.channels.close()

    def inquiry(
        self, question: Question, checks: tuple[ExternalCheck, ...], policy: Policy, told: Told
    ) -> Inquiry:
        """What will ask all `checks`; its `start` begins, and may end, before it returns."""
        return Inquiry(self, question, checks, policy, told)


class Inquiry:
    """The questions about one request."""

    __slots__ = (
        "_approvals",
        "_authorizer",
        "_callout",
        "_checks",
        "_over",
        "_policy",
        "_question",
        "_since",
        "_timer",
        "_told",
    )

    def __init__(
        self,
        authorizer: Authorizer,
        question: Question,
        checks: tuple[ExternalCheck, ...],
        policy: Policy,
        told: Told,
    ) -> None:
        self._authorizer = authorizer
        self._question = question
        self._checks = checks
        self._policy = policy
        self._told = told
        self._approvals: list[Approval] = []
        self._callout: _Callout | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._over = False

    def start(self) -> None:
        """Ask the first service, or refuse where too many questions are under way."""
        authorizer = self._authorizer
        most = authorizer.limits.external_auth_at_once
        if authorizer.under_way >= most:
            self._over = True
            refusal = Refusal(Reason.EXTERNAL_AUTH_FAILED, f"{most} questions are under way")
            self._record(refusal, 0.0)
            self._told(refusal)
            return
        authorizer.under_way += 1
        self._next()

    def cancel(self) -> None:
        """The client has gone. Safe to call twice."""
        if not self._over:
            self._end()

    @property
    def _check(self) -> ExternalCheck:
        return self._checks[len(self._approvals)]

    def _next(self) -> None:
        """Ask the next service."""
        authorizer = self._authorizer
        self._since = authorizer.clock()
        seconds = authorizer.limits.external_auth_seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._late)
        try:
            self._callout = callout = self._make(self._check)
        except BodyTooLarge as error:
            self._answered(Refusal(Reason.HTTP_BODY_TOO_LARGE, str(error)))
            return
        except ValueError as error:
            self._answered(Refusal(Reason.EXTERNAL_AUTH_FAILED, str(error)))
            return
        callout.start()

    def _make(self, check: ExternalCheck) -> _Callout:
        """Raises BodyTooLarge, and ValueError for a check that cannot be put into words."""
        authorizer, question = self._authorizer, self._question
        destination = destination_of_check(check, self._policy)
        if check.protocol is AuthProtocol.GRPC:
            host, port = authorizer.address(destination.host, destination.port)
            seconds = authorizer.limits.external_auth_seconds
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            message = question.over_grpc(check)
            return GrpcCallout(authorizer.channels, destination, address, message, seconds, self._answered)
        return HttpCallout(
            authorizer.pool,
            destination,
            question.plan.head.method,
            question.over_http(check),
            check.allowed_response_headers,
            self._answered,
        )

    def _late(self) -> None:
        if self._callout is not None:
            self._callout.cancel()
        seconds = self._authorizer.limits.external_auth_seconds
        self._answered(Refusal(Reason.EXTERNAL_AUTH_FAILED, f"no answer within {seconds:g} s"))

    def _answered(self, said: Approval | Refusal) -> None:
        if self._over:
            return
        self._callout = None
        self._stop_timer()
        self._record(said, self._authorizer.clock() - self._since)
        if isinstance(said, Approval):
            self._approvals.append(said)
            if len(self._approvals) < len(self._checks):
                self._next()
                return
        self._end()
        self._told(said if isinstance(said, Refusal) else tuple(self._approvals))

    def _record(self, said: Approval | Refusal, seconds: float) -> None:
        check = self._check
        outcome, detail = (said.reason, said.detail) if isinstance(said, Refusal) else (Reason.ALLOWED, "")
        service = f"{check.host}:{check.port}"
        self._authorizer.recorder.external_auth(check.name, service, outcome, seconds, detail)

    def _end(self) -> None:
        self._over = True
        self._authorizer.under_way -= 1
        self._stop_timer()
        callout, self._callout = self._callout, None
        if callout is not None:
            callout.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def destination_of_check(check: ExternalCheck, policy: Policy) -> Destination:
    """How a service is reached: as its Backend, where it is one, and never with less TLS than that has.

    Otherwise in plain text: Gateway API names a Service and a port. Such a name may lead to any address but those
    of the node itself.
    """
    for host in _spellings(check.host):
        backends = policy.backends_at(host, check.port)
        if backends:
            return by_tls(backends, Target("http", host, check.port, b"/"))
    return Destination(check.host, check.port, reach=Reach.ROUTED)


def _spellings(host: str) -> tuple[str, ...]:
    """A Service's names, the longest first: a Backend may have been declared by any of them."""
    service, dot, _ = host.partition(".svc.")
    return (host, f"{service}.svc", service) if dot else (host,)
