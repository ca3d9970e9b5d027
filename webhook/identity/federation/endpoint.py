"""Our own bundle for other trust domains: GET /bundle, without asking who calls, for it is no secret.

Served on a port of its own, so that nothing else is reached by those who may reach it. By the profile https_spiffe
its certificate is the control plane's SVID, by https_web one that is given in files.

Source: SPIFFE Federation, 5.1; SPIFFE Trust Domain and Bundle, 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from mesh.identity.bundle_document import bundle_to_object
from webhook.admission.serving_tls import CertificateUnusable, ServingCertificate
from webhook.cluster.failures import Log
from webhook.identity.authorities import Authorities, NotSigning
from webhook.timed_site import head_in_time

BUNDLE_PATH: Final = "/bundle"
REFRESH_SECONDS: Final = 300
RELOAD_SECONDS: Final = 10.0


def federation_application(
    authorities: Authorities, refresh_seconds: int = REFRESH_SECONDS
) -> web.Application:
    """The one route; serve it with TLS, on a TimedSite."""

    async def bundle(_request: web.Request) -> web.Response:
        try:
            document = bundle_to_object(authorities.bundle(refresh_seconds))
        except NotSigning as unknown:
            return web.Response(status=503, text=f"{unknown}\n", headers={"Retry-After": "5"})
        return web.Response(body=msgspec.json.encode(document), content_type="application/json")

    application = web.Application(middlewares=[head_in_time], client_max_size=1024)
    application.router.add_get(BUNDLE_PATH, bundle)
    return application


async def follow_files(
    certificate: ServingCertificate,
    log: Log,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Take the certificate for https_web into use when its files change, until cancelled; what cannot be used is
    told of once, and the one before stays."""
    told = ""
    while True:
        await sleep(RELOAD_SECONDS)
        fault = ""
        try:
            if certificate.reload():
                log({"event": "federation_certificate", "not_after": certificate.not_after})
        except CertificateUnusable as unusable:
            fault = str(unusable)
            if fault != told:
                log({"event": "federation_certificate", "error": fault})
        told = fault
