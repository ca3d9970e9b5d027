"""The server that admission is measured beside: the same listener and HTTP, and a handler that decides nothing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from webhook.admission.server import MAX_BODY
from webhook.admission.serving_tls import ServingCertificate
from webhook.timed_site import KEEP_ALIVE_SECONDS, TimedSite, head_in_time

ANSWER = (
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true}}'
)


async def _answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


async def serve(port: int, cert: Path, key: Path) -> None:
    """Serve until killed."""
    application = web.Application(client_max_size=MAX_BODY, middlewares=[head_in_time])
    application.router.add_post("/mutate", _answer)
    runner = web.AppRunner(
        application, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS, auto_decompress=False
    )
    await runner.setup()
    certificate = ServingCertificate(cert, key)
    await TimedSite(runner, "127.0.0.1", port, ssl_context=certificate.context).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
