"""Servers outside the mesh, in the demo's own process: HTTPS, one port each, and they keep what they saw."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from aiohttp import web

from cli.demo.certificates import public_certificate, public_key
from cli.demo.processes import Parts


class Witness:
    """A service that answers everybody; `seen` is what stood in Authorization of each request to it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def application(self) -> web.Application:
        """Takes any request to any path."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.Response:
        self.seen.append(request.headers.get("Authorization", ""))
        return web.json_response({"pushed": True})


async def serve(parts: Parts, application: web.Application, folder: Path, port: int) -> None:
    """Answer at a loopback port until every process of the demo has ended. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public_certificate(folder), public_key(folder))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    parts.clean_up(runner.cleanup)
    # One that is cancelled halfway would leave a listening socket that nobody knows of.
    await asyncio.shield(web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start())
