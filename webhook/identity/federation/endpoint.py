"""Our own bundle for other trust domains: GET /bundle, without asking who calls, for it is no secret.

Served on a port of its own, so that nothing else is reached by those who may reach it. By the profile https_spiffe
its certificate is the control plane's SVID, by https_web one that is given in files.

Source: SPIFFE Federation, 5.1; SPIFFE Trust Domain and Bundle, 4.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from mesh.identity.bundle_document import bundle_to_object
from webhook.identity.authorities import Authorities, NotSigning
from webhook.timed_site import head_in_time

BUNDLE_PATH: Final = "/bundle"
REFRESH_SECONDS: Final = 300


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
