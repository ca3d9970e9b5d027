"""One question to an authorization service over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mesh.protocol.ext_authz import Approval, CheckDenied, CheckUnusable
from mesh.protocol.ext_authz_grpc import check_response
from mesh.reasons import Reason
from sidecar.external_auth.answer import Refusal
from sidecar.external_auth.grpc_channels import CannotAsk, GrpcChannels
from sidecar.proxy.pool import Destination
from sidecar.tasks import spawn


class GrpcCallout:
    """Sends one CheckRequest; `answered` is told once, unless it is cancelled."""

    __slots__ = ("_address", "_answered", "_channels", "_destination", "_message", "_seconds", "_task")

    def __init__(
        self,
        channels: GrpcChannels,
        destination: Destination,
        address: str,
        message: bytes,
        seconds: float,
        answered: Callable[[Approval | Refusal], None],
    ) -> None:
        self._channels = channels
        self._destination = destination
        self._address = address
        self._message = message
        self._seconds = seconds
        self._answered = answered
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = spawn(self._ask(), name=f"external authorization at {self._destination}")

    def cancel(self) -> None:
        """Nobody waits any more. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _ask(self) -> None:
        said: Approval | Refusal
        try:
            answer = await self._channels.ask(self._destination, self._address, self._message, self._seconds)
            said = check_response(answer)
        except CannotAsk as cannot:
            said = cannot.refusal
        except CheckDenied as denied:
            said = Refusal(Reason.EXTERNAL_AUTH_DENIED, str(denied))
        except CheckUnusable as unusable:
            said = Refusal(Reason.EXTERNAL_AUTH_FAILED, str(unusable))
        self._task = None
        self._answered(said)
