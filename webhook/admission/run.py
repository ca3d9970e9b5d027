"""The admission server's life: start, serve on two ports, drain, stop; and what runs beside it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from webhook.admission import metrics as series
from webhook.admission.server import AdmissionServer
from webhook.admission.serving_tls import CertificateUnusable, ServingCertificate, SwitchedCertificate
from webhook.timed_site import (
    HEAD_SECONDS,
    KEEP_ALIVE_SECONDS,
    LINGER_SECONDS,
    MOST_CONNECTIONS,
    TimedSite,
)


@dataclass(frozen=True, slots=True)
class Serving:
    """Where and how to serve. Times are in seconds.

    `telemetry_port` is for health and metrics, without TLS; None: nowhere. `drain` is how long requests are still
    taken after SIGTERM: until then some API server may not have heard that this replica is leaving. `grace` is how
    long those under way may still take after that. `head` is how long a TLS handshake or the head of a request may
    take to arrive, `connections` how many there may be at once.
    """

    host: str = ""
    port: int = 10250
    telemetry_port: int | None = 15020
    reload_interval: float = 10.0
    drain: float = 5.0
    grace: float = 10.0
    head: float = HEAD_SECONDS
    connections: int = MOST_CONNECTIONS


Background = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Listener:
    """One more port, with TLS: `name` is for the log, `connections` how many there may be at once.

    `each`: how many of those may be from one address; 0: all.
    """

    name: str
    runner: web.AppRunner
    port: int
    context: ssl.SSLContext
    connections: int = MOST_CONNECTIONS
    each: int = 0


@dataclass(frozen=True, slots=True)
class Beside:
    """What runs beside the server: until it stops, and once when it begins to drain; and where else to listen."""

    tasks: Sequence[Background] = ()
    leaving: Background | None = None
    listeners: Sequence[Listener] = ()


async def serve(
    server: AdmissionServer,
    serving: Serving,
    certificate: SwitchedCertificate,
    stop: asyncio.Event,
    beside: Beside | None = None,
) -> None:
    """Serve until `stop` is set, then drain. Raises OSError where an address cannot be bound."""
    beside = beside or Beside()
    async with contextlib.AsyncExitStack() as stack:
        addresses = await _listen(stack, server, serving, certificate)
        for listener in beside.listeners:
            addresses[listener.name] = await _listen_also(stack, server, serving, listener)
        await stack.enter_async_context(_running(beside.tasks))
        server.log({"event": "ready", **addresses})
        await stop.wait()
        server.draining = True
        server.log({"event": "draining"})
        if beside.leaving is not None:
            await beside.leaving()
        await asyncio.sleep(serving.drain)
    server.log({"event": "stopped"})


async def _listen(
    stack: contextlib.AsyncExitStack,
    server: AdmissionServer,
    serving: Serving,
    certificate: SwitchedCertificate,
) -> dict[str, object]:
    """Both listeners; where they are bound."""
    reviews = await _runner(stack, server.application(), serving)
    await TimedSite(
        reviews,
        serving.host or None,
        serving.port,
        ssl_context=certificate.context,
        seconds=serving.head,
        most=serving.connections,
        turned_away=lambda: server.metrics.add(series.TURNED_AWAY, "connections"),
    ).start()
    addresses: dict[str, object] = {"addresses": [_address(one) for one in reviews.addresses]}
    if serving.telemetry_port is not None:
        telemetry = await _runner(stack, server.telemetry(), serving)
        await TimedSite(
            telemetry, serving.host or None, serving.telemetry_port, seconds=serving.head, most=64
        ).start()
        addresses["telemetry"] = [_address(one) for one in telemetry.addresses]
    return addresses


async def _listen_also(
    stack: contextlib.AsyncExitStack, server: AdmissionServer, serving: Serving, listener: Listener
) -> list[str]:
    await listener.runner.setup()
    stack.push_async_callback(listener.runner.cleanup)
    await TimedSite(
        listener.runner,
        serving.host or None,
        listener.port,
        ssl_context=listener.context,
        seconds=serving.head,
        most=listener.connections,
        turned_away=lambda: server.metrics.add(series.TURNED_AWAY, listener.name),
        each=listener.each,
    ).start()
    return [_address(one) for one in listener.runner.addresses]


async def _runner(
    stack: contextlib.AsyncExitStack, application: web.Application, serving: Serving
) -> web.AppRunner:
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=serving.grace,
        lingering_time=LINGER_SECONDS,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        auto_decompress=False,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


@contextlib.asynccontextmanager
async def _running(coroutines: Sequence[Background]) -> AsyncIterator[None]:
    """Tasks that end with the block. One that fails ends all: half a control plane looks alive and is not."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(one)) for one in coroutines]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _run(background: Background) -> None:
    await background()


def follow(certificate: ServingCertificate, server: AdmissionServer) -> None:
    """Take the certificate's files into use if they changed; what cannot be used is only told."""
    try:
        if certificate.reload():
            server.log({"event": "certificate", "not_after": certificate.not_after})
    except CertificateUnusable as error:
        server.metrics.add(series.CERTIFICATE_ERRORS)
        server.log({"event": "certificate", "error": str(error)})
    server.metrics.set(series.CERTIFICATE_EXPIRY, certificate.not_after)


async def follow_files(
    certificate: ServingCertificate,
    server: AdmissionServer,
    interval: float,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """`follow` now and then, until cancelled."""
    while True:
        follow(certificate, server)
        await sleep(interval)


@contextlib.asynccontextmanager
async def stop_on_signal() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for one in signals:
        loop.add_signal_handler(one, stop.set)
    try:
        yield stop
    finally:
        for one in signals:
            loop.remove_signal_handler(one)


def _address(address: tuple[object, ...]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
