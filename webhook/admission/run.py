"""The admission server's life: start, serve, follow the certificate, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from webhook.admission.server import AdmissionServer
from webhook.admission.serving_tls import CertificateUnusable, ServingCertificate
from webhook.timed_site import HEAD_SECONDS, KEEP_ALIVE_SECONDS, LINGER_SECONDS, TimedSite


@dataclass(frozen=True, slots=True)
class Serving:
    """Where and how to serve. Times are in seconds.

    `drain` is how long requests are still taken after SIGTERM: until then some API server may not have heard
    that this replica is leaving. `grace` is how long those under way may still take after that. `head` is how long
    a TLS handshake or the head of a request may take to arrive.
    """

    cert: Path
    key: Path
    host: str = ""
    port: int = 10250
    reload_interval: float = 10.0
    drain: float = 5.0
    grace: float = 10.0
    head: float = HEAD_SECONDS


async def serve(server: AdmissionServer, serving: Serving, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then drain.

    Raises:
        CertificateUnusable: the certificate cannot be loaded at start.
        OSError: the address cannot be bound.
    """
    certificate = ServingCertificate(serving.cert, serving.key)
    server.metrics.certificate_not_after = certificate.not_after
    runner = web.AppRunner(
        server.application(),
        access_log=None,
        shutdown_timeout=serving.grace,
        lingering_time=LINGER_SECONDS,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
    )
    await runner.setup()
    try:
        site = TimedSite(
            runner,
            serving.host or None,
            serving.port,
            ssl_context=certificate.context,
            seconds=serving.head,
        )
        await site.start()
        server.log({"event": "ready", "addresses": [_address(one) for one in runner.addresses]})
        while not await _within(stop, serving.reload_interval):
            follow(certificate, server)
        server.draining = True
        server.log({"event": "draining"})
        await asyncio.sleep(serving.drain)
    finally:
        await runner.cleanup()
    server.log({"event": "stopped"})


def follow(certificate: ServingCertificate, server: AdmissionServer) -> None:
    """Take the certificate's files into use if they changed; what cannot be used is only told."""
    try:
        if certificate.reload():
            server.metrics.certificate_not_after = certificate.not_after
            server.log({"event": "certificate", "not_after": certificate.not_after})
    except CertificateUnusable as error:
        server.log({"event": "certificate", "error": str(error)})


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


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for `event` for at most `seconds`; is it set?"""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
