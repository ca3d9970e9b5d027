"""The control port with the configuration stream alone, who calls it being said by a header, and its clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from mesh.distribution.messages import (
    CONFIGURATION_PATH,
    Configuration,
    FromControl,
    FromSidecar,
    Hello,
    Refused,
    read_from_control,
    write_line,
)
from mesh.identity.issuance import Refusal
from mesh.identity.spiffe_id import SpiffeId
from webhook.admission.metrics import AdmissionMetrics
from webhook.distribution.hub import Hub, Limits
from webhook.distribution.stream import ConfigurationStreams, Patience
from webhook.distribution.world import World
from webhook.identity.application import control_application
from webhook.identity.callers import CallRefused, How, Proven

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def proven(
    namespace: str = "agents",
    account: str = "triage",
    pod: str | None = None,
    uid: str | None = None,
    expires: datetime = FAR,
) -> Proven:
    """By a token where a pod is given, else by a certificate."""
    identity = SpiffeId.parse(f"spiffe://mesh.example/ns/{namespace}/sa/{account}")
    how = How.CERTIFICATE if pod is None else How.TOKEN
    return Proven(namespace, account, identity, expires, how, pod, uid)


class SaidCallers:
    """Believes the header X-Caller: namespace account [pod uid [seconds]]."""

    async def who(self, request: web.Request) -> Proven:
        said = request.headers.get("X-Caller", "").split()
        if not said:
            raise CallRefused(Refusal.TOKEN_MISSING, "nobody")
        seconds = float(said[4]) if len(said) > 4 else 3600.0
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        return proven(*said[:4], expires=expires)


class Sidecar:
    """One stream, from the sidecar's side."""

    def __init__(self, url: str, session: aiohttp.ClientSession, caller: str) -> None:
        self._url = url
        self._session = session
        self._caller = caller
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.response: aiohttp.ClientResponse | None = None

    async def connect(self, pod: str, uid: str, namespace: str = "agents", version: str = "") -> int:
        """Say hello; the status of the answer."""
        return await self.begin(write_line(FromSidecar(hello=Hello(namespace, pod, uid, "1.0", version))))

    async def begin(self, *lines: bytes) -> int:
        for line in lines:
            self.raw(line)
        headers = {"X-Caller": self._caller} if self._caller else {}
        self.response = await self._session.post(self._url, data=self._body(), headers=headers)
        return self.response.status

    async def refusal(self) -> dict[str, Any]:
        assert self.response is not None
        return msgspec.json.decode(await self.response.read())

    def say(self, message: FromSidecar) -> None:
        self.raw(write_line(message))

    def applied(self, version: str) -> None:
        self.say(FromSidecar(applied=version))

    def refuse(self, version: str, reason: str = "policy_invalid", detail: str = "no") -> None:
        self.say(FromSidecar(refused=Refused(version, reason, detail)))

    def raw(self, data: bytes) -> None:
        self._said.put_nowait(data)

    def hang_up(self) -> None:
        self._said.put_nowait(None)

    def cut(self) -> None:
        assert self.response is not None
        self.response.close()

    async def hear(self) -> FromControl | None:
        """The next line; None at the end."""
        assert self.response is not None
        line = await self.response.content.readline()
        return read_from_control(line.rstrip(b"\n")) if line else None

    async def configuration(self) -> Configuration:
        """The next configuration."""
        while True:
            message = await self.hear()
            assert message is not None
            if message.configuration is not None:
                return message.configuration

    async def ended(self) -> list[FromControl]:
        """What is said until the end."""
        heard = []
        while (message := await self.hear()) is not None:
            heard.append(message)
        return heard

    async def _body(self) -> AsyncIterator[bytes]:
        while (piece := await self._said.get()) is not None:
            yield piece


class Control:
    """A control port that runs."""

    def __init__(self, world: World, hub: Hub, url: str, log: list[dict[str, object]]) -> None:
        self.world = world
        self.hub = hub
        self.url = url
        self.log = log
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), read_bufsize=2**24, timeout=aiohttp.ClientTimeout(20)
        )

    @property
    def port(self) -> int:
        return URL(self.url).port or 0

    def sidecar(self, caller: str = "agents triage") -> Sidecar:
        return Sidecar(self.url, self._session, caller)

    async def close(self) -> None:
        await self._session.close()


@asynccontextmanager
async def control(
    world: World,
    patience: Patience | None = None,
    limits: Limits | None = None,
    synced: bool = True,
    buffer: int = 2**24,
) -> AsyncIterator[Control]:
    """Run it."""
    log: list[dict[str, object]] = []
    hub = Hub(world, AdmissionMetrics(), lambda: synced, limits or Limits(pod_seconds=0.05))
    application = control_application(SaidCallers(), lambda _record: None)
    ConfigurationStreams(hub, log.append, patience).add_to(application)
    async with TestServer(application, shutdown_timeout=0.1, handler_cancellation=True) as server:
        running = Control(world, hub, str(server.make_url(CONFIGURATION_PATH)), log)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            task = group.create_task(hub.run())
            try:
                yield running
            finally:
                await running.close()
                task.cancel()
