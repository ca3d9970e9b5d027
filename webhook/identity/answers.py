"""What the control port answers with: JSON documents, and for refusals always the same one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from mesh.identity.issuance import STATUS, Refusal, RefusedAnswer, stamp, write_document
from webhook.identity.callers import CallRefused

Audit = Callable[[Mapping[str, object]], None]

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def json_answer(document: msgspec.Struct, status: int = 200) -> web.Response:
    """A document that nobody on the way may keep."""
    headers = {"Cache-Control": "no-store"}
    return web.Response(
        body=write_document(document), status=status, content_type="application/json", headers=headers
    )


def answer_refusals(audit: Audit, clock: Callable[[], datetime]) -> Middleware:
    """Makes a RefusedAnswer of CallRefused, and of what aiohttp itself refuses; each leaves a record."""

    def refusal(request: web.Request, refused: CallRefused, status: int) -> web.Response:
        now = stamp(clock())
        record = {"event": "refused", "time": now.isoformat(), "from": request.remote, "path": request.path}
        audit({**record, "error": refused.refusal.value, "detail": refused.detail})
        return json_answer(
            RefusedAnswer(refused.refusal.value, refused.detail, now, refused.retry_after), status
        )

    @web.middleware
    async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except CallRefused as refused:
            return refusal(request, refused, STATUS[refused.refusal])
        except web.HTTPException as wrong:
            return refusal(request, CallRefused(Refusal.MALFORMED, wrong.reason), wrong.status)

    return middleware
