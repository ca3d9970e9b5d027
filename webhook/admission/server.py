"""The admission server's HTTP side: three routes on aiohttp, and nothing decided here.

Every answer has a body that says what happened, errors too: it ends up in an event that somebody reads.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
from aiohttp import hdrs, web

from webhook.admission.documents import AdmissionRequest
from webhook.admission.metrics import CONTENT_TYPE, AdmissionMetrics
from webhook.admission.namespaces import NamespaceLookup, NamespaceUnknown
from webhook.admission.outcome import Outcome
from webhook.admission.review import (
    Answer,
    ReviewMalformed,
    admit,
    answer,
    concerns,
    read_review,
    unknown_namespace,
    untouched,
)
from webhook.admission.settings import InjectionSettings
from webhook.timed_site import BODY_SECONDS, head_in_time

MAX_BODY = 3 * 1024 * 1024
"""An etcd object is 1.5 MiB at most, and a review may hold two of them."""

Log = Callable[[dict[str, object]], None]


@dataclass(slots=True)
class AdmissionServer:
    """Routes of the admission server.

    `draining` makes health checks fail and closes connections after their answer, so that the Service sends
    new requests elsewhere while those under way are still answered. A body may take `body_seconds` to arrive.
    """

    settings: InjectionSettings
    look_up: NamespaceLookup
    log: Log
    metrics: AdmissionMetrics = field(default_factory=AdmissionMetrics)
    clock: Callable[[], float] = time.perf_counter
    draining: bool = False
    body_seconds: float = BODY_SECONDS

    def application(self) -> web.Application:
        """The aiohttp application; aiohttp routes on the path alone, as the API server adds `?timeout=5s`."""
        application = web.Application(client_max_size=MAX_BODY, middlewares=[head_in_time, _with_sentence])
        application.router.add_post("/mutate", self._mutate)
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/metrics", self._metrics)
        return application

    async def _mutate(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="Content-Type must be application/json.\n")
        body = await self._body(request)
        began = self.clock()
        try:
            review = read_review(body)
        except ReviewMalformed as error:
            self.metrics.count("malformed", "review_malformed", self.clock() - began)
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        given = answer(review, await self._decide(review))
        self.metrics.count(given.result, given.reason, self.clock() - began)
        self._record(review, given)
        response = web.Response(body=msgspec.json.encode(given.reply), content_type="application/json")
        if self.draining:
            response.force_close()
        return response

    async def _body(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self.body_seconds):
                return await request.read()
        except TimeoutError as late:
            sentence = f"The body did not arrive within {self.body_seconds:g} s.\n"
            raise web.HTTPRequestTimeout(text=sentence) from late

    async def _decide(self, review: AdmissionRequest) -> Outcome:
        if not concerns(review):
            return untouched()
        name = review.get("namespace")
        if not name:
            return unknown_namespace("the request names no namespace")
        try:
            namespace = await self.look_up(name)
        except NamespaceUnknown as error:
            return unknown_namespace(str(error))
        return admit(review, namespace, self.settings)

    async def _health(self, _request: web.Request) -> web.Response:
        if self.draining:
            return web.Response(status=503, text="draining\n")
        return web.Response(text="ok\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.metrics.render().encode(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})

    def _record(self, review: AdmissionRequest, given: Answer) -> None:
        response = given.reply["response"]
        self.log(
            {
                "event": "admission",
                "uid": review["uid"],
                "namespace": review.get("namespace"),
                "result": given.result,
                "reason": given.reason,
                "message": response["status"]["message"] if "status" in response else "",
            }
        )


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _with_sentence(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Where aiohttp itself refuses, say what would have been right."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge as error:
        error.text = f"The body exceeds {MAX_BODY} bytes.\n"
        raise
    except web.HTTPMethodNotAllowed as error:
        error.text = f"{request.path} takes {', '.join(sorted(error.allowed_methods))} only.\n"
        raise
    except web.HTTPNotFound as error:
        error.text = "There are /mutate, /healthz and /metrics.\n"
        raise


def json_line(entry: dict[str, object]) -> str:
    """A log entry as one line of JSON."""
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
