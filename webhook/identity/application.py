"""The control port's application: the CA's calls, the documents of OpenID Connect, and room for further routes.

The configuration stream adds its route to what `control_application` returns. Every refusal is a RefusedAnswer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

from mesh.identity.issuance import BUNDLES_PATH, JWT_SVID_PATH, MAX_REQUEST_BYTES, SVID_PATH
from webhook.identity.answers import Audit, answer_refusals
from webhook.identity.ca_server import CaServer
from webhook.identity.callers import CALLERS, Callers
from webhook.identity.oidc import Discovery
from webhook.timed_site import CALLS_KEEP_ALIVE_SECONDS, LINGER_SECONDS, head_in_time

NO_ISSUER = (
    "this control plane issues no identities: identity.provider of the platform's settings is not builtin"
)


def control_application(
    callers: Callers,
    audit: Audit,
    *,
    ca: CaServer | None = None,
    discovery: Discovery | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> web.Application:
    """The routes; serve them with TLS, on a TimedSite. Without `ca` its calls say why they are not there.

    Handlers ask `callers.who(request)`, and raise CallRefused for whom they refuse.
    """
    middlewares = [head_in_time, answer_refusals(audit, clock)]
    application = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=middlewares)
    application[CALLERS] = callers
    if ca is not None:
        ca.add_routes(application.router)
    else:
        for path in (SVID_PATH, JWT_SVID_PATH, BUNDLES_PATH):
            application.router.add_route("*", path, _no_issuer)
    if discovery is not None:
        discovery.add_routes(application.router)
    return application


def control_runner(application: web.Application) -> web.AppRunner:
    """The application with what a server of calls and streams needs; the caller sets it up and cleans it up.

    A client that goes away ends its handler, so that no stream is written for nobody.
    """
    return web.AppRunner(
        application,
        access_log=None,
        lingering_time=LINGER_SECONDS,
        keepalive_timeout=CALLS_KEEP_ALIVE_SECONDS,
        handler_cancellation=True,
    )


async def _no_issuer(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound(reason=NO_ISSUER)
