"""The HTTP side of `outrider guard serve`: two APIs on one port, and nothing decided here.

Every answer that is no 200 has the body that callers of the detectors API read. Only so many requests are under
way, and only so much of a body is read, so that memory and time are bounded whoever calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from cli.guard import detector_api, webhook_api
from cli.guard.detector_api import UNPROCESSABLE, Refused, error_body
from cli.guard.examiner import Examiner, NotExamined
from mesh.protocol.strict_json import JsonRefused, parse
from webhook.timed_site import BODY_SECONDS, LINGER_SECONDS, TimedSite, head_in_time

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_REQUESTS: Final = 64
STOP_SECONDS: Final = 10.0
"""What is under way when the server is told to stop may take so long to end."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = Callable[[Examiner, Any], Any]


class DetectorServer:
    """Routes. `most` requests are under way at once, bodies have at most `size` bytes."""

    def __init__(
        self,
        examiner: Examiner,
        *,
        most: int = MOST_REQUESTS,
        size: int = MOST_BYTES,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._examiner = examiner
        self._most = most
        self._size = size
        self._body_seconds = body_seconds
        self.under_way = 0

    def application(self) -> web.Application:
        """What listens."""
        application = web.Application(
            client_max_size=self._size, middlewares=[head_in_time, _with_error_body]
        )
        add = application.router.add_post
        application.router.add_get("/health", _healthy)
        add("/api/v1/text/contents", self._contents)
        add("/api/v1/text/chat", self._answering(detector_api.chat))
        add("/api/v1/text/generation", self._answering(detector_api.generation))
        add("/request", self._answering(webhook_api.request))
        add("/response", self._answering(webhook_api.response))
        return application

    def _answering(self, answer: Answer) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            with _Place(self, self._most):
                return _json(answer(self._examiner, await self._body(request)))

        return handle

    async def _contents(self, request: web.Request) -> web.Response:
        with _Place(self, self._most):
            rows = []
            for row in detector_api.contents(self._examiner, await self._body(request)):
                rows.append(row)
                # One text takes milliseconds, thousands of them do not: others get a turn.
                await asyncio.sleep(0)
            return _json(rows)

    async def _body(self, request: web.Request) -> Any:
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await request.read()
        except TimeoutError as late:
            raise web.HTTPRequestTimeout(
                text=f"the body did not arrive in {self._body_seconds:g} s"
            ) from late
        except ConnectionError as gone:
            raise web.HTTPBadRequest(text="the body ended early") from gone
        try:
            return parse(body).value
        except JsonRefused as refused:
            raise Refused(UNPROCESSABLE, f"the body is no JSON: {refused.detail}") from refused


class _Place:
    """A request that is under way. Entering raises HTTPServiceUnavailable where there are too many."""

    __slots__ = ("_most", "_server")

    def __init__(self, server: DetectorServer, most: int) -> None:
        self._server = server
        self._most = most

    def __enter__(self) -> None:
        if self._server.under_way >= self._most:
            sentence = f"{self._most} requests are under way; try again"
            raise web.HTTPServiceUnavailable(text=sentence, headers={hdrs.RETRY_AFTER: "1"})
        self._server.under_way += 1

    def __exit__(self, *_: object) -> None:
        self._server.under_way -= 1


async def _healthy(request: web.Request) -> web.Response:
    return _json("ok")


def _json(value: Any, status: int = 200, **fields: str) -> web.Response:
    headers = {name.replace("_", "-"): text for name, text in fields.items()}
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json", headers=headers
    )


@web.middleware
async def _with_error_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return _json(error_body(refused.code, refused.message), refused.code)
    except NotExamined as failed:
        return _json(error_body(500, str(failed)), 500)
    except web.HTTPException as error:
        kept = {name: error.headers[name] for name in (hdrs.ALLOW, hdrs.RETRY_AFTER) if name in error.headers}
        return _json(error_body(error.status, error.text or error.reason), error.status, **kept)


async def start(examiner: Examiner, host: str, port: int) -> tuple[web.AppRunner, str]:
    """Listen; gives what ends it (`cleanup`, which lets what is under way end) and the URL. Raises OSError."""
    runner = web.AppRunner(
        DetectorServer(examiner).application(),
        access_log=None,
        shutdown_timeout=STOP_SECONDS,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        await TimedSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    bound = runner.addresses[0]
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return runner, f"http://{shown}:{bound[1]}"
