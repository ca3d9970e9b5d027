"""The admission server's HTTP side: two listeners' routes on aiohttp, and nothing decided here.

Every answer has a body that says what happened, errors too: it ends up in an event that somebody reads. The API
server waits five seconds at most, so that everything that could take longer is bounded: the body, the lookup of
the namespace, and how many requests and how much of their bodies are held at once. What there is no `room` for
gets 503 at once, which whoever creates the pod sees and tries again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
from aiohttp import hdrs, web

from webhook.admission import metrics as series
from webhook.admission.documents import AdmissionRequest
from webhook.admission.judge_documents import is_document, judge, subject
from webhook.admission.metrics import CONTENT_TYPE, AdmissionMetrics
from webhook.admission.namespaces import NamespaceLookup, NamespaceUnknown
from webhook.admission.outcome import Namespace, Outcome
from webhook.admission.review import (
    Answer,
    ReviewMalformed,
    admit,
    answer,
    concerns,
    fingerprint,
    is_joining,
    is_update,
    not_validated,
    read_review,
    unconfirmed,
    unknown_namespace,
    untouched,
)
from webhook.admission.room import Guest, NoRoom, Room
from webhook.admission.settings import InjectionSettings
from webhook.timed_site import head_in_time

MAX_BODY = 3 * 1024 * 1024
"""An etcd object is 1.5 MiB at most, and a review may hold two of them."""
BODY_SECONDS = 3.0
MOST_REQUESTS = 256
MOST_BYTES = 48 * 1024 * 1024
RETRY_SECONDS = "1"
LOGGED = 253
"""Characters of a name that are logged; no API server sends more, but others may."""
MALFORMED = "review_malformed"

Log = Callable[[dict[str, object]], None]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Decide = Callable[[AdmissionRequest], Awaitable[Answer]]


def _nothing() -> list[str]:
    return []


@dataclass(slots=True)
class AdmissionServer:
    """Routes of the admission server.

    `draining` makes readiness fail and closes connections after their answer, so that the Service sends new
    requests elsewhere while those under way are still answered. `problems` says why API servers could not call.
    A body may take `body_seconds` to arrive.
    """

    settings: InjectionSettings
    look_up: NamespaceLookup
    log: Log
    metrics: AdmissionMetrics = field(default_factory=AdmissionMetrics)
    clock: Callable[[], float] = time.perf_counter
    problems: Callable[[], list[str]] = _nothing
    draining: bool = False
    body_seconds: float = BODY_SECONDS
    config: str = ""
    room: Room = field(init=False)

    def __post_init__(self) -> None:
        self.room = Room(MOST_REQUESTS, MOST_BYTES, lambda what: self.metrics.add(series.TURNED_AWAY, what))
        self.use(self.settings)

    def use(self, settings: InjectionSettings) -> None:
        """Decide by `settings` from now on."""
        self.settings = settings
        self.config = fingerprint(settings)

    def application(self) -> web.Application:
        """What API servers call; aiohttp routes on the path alone, as they add `?timeout=5s`."""
        application = web.Application(client_max_size=MAX_BODY, middlewares=[head_in_time, with_sentence])
        application.router.add_post("/mutate", self._mutate)
        application.router.add_post("/validate", self._validate)
        return application

    def telemetry(self) -> web.Application:
        """What kubelets and Prometheus call, without TLS."""
        application = web.Application(middlewares=[head_in_time, with_sentence])
        application.router.add_get("/healthz", self._alive)
        application.router.add_get("/readyz", self._ready)
        application.router.add_get("/metrics", self._metrics)
        return application

    async def _mutate(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._injected)

    async def _validate(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._judged)

    async def _answer(self, request: web.Request, decide: Decide) -> web.Response:
        _check_head(request)
        try:
            with self.room.place(request.remote or "") as guest:
                body = await self._body(request, guest)
                response = await self._reviewed(body, guest, decide)
        except NoRoom as full:
            sentence = f"{len(self.room)} requests are under way, and another needs the room; try again.\n"
            raise web.HTTPServiceUnavailable(
                text=sentence, headers={hdrs.RETRY_AFTER: RETRY_SECONDS}
            ) from full
        if self.draining:
            response.force_close()
        return response

    async def _body(self, request: web.Request, guest: Guest) -> bytes:
        body = bytearray()
        try:
            async with guest.within(self.body_seconds):
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise web.HTTPRequestEntityTooLarge(MAX_BODY, len(body))
                    self.room.grow(guest, len(chunk))
        except TimeoutError as late:
            sentence = f"The body did not arrive within {self.body_seconds:g} s.\n"
            raise web.HTTPRequestTimeout(text=sentence) from late
        except ConnectionError as gone:
            # Nobody reads the answer; without one aiohttp logs thirty lines.
            raise web.HTTPBadRequest(text="The body ended early.\n") from gone
        guest.whole = True
        return bytes(body)

    async def _reviewed(self, body: bytes, guest: Guest, decide: Decide) -> web.Response:
        began = self.clock()
        try:
            review = read_review(body)
        except ReviewMalformed as error:
            self.metrics.count("malformed", MALFORMED, self.clock() - began)
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        async with guest.within(None):
            given = await decide(review)
        self.metrics.took(self.clock() - began)
        self._record(review, given)
        return web.Response(body=msgspec.json.encode(given.reply), content_type="application/json")

    async def _injected(self, review: AdmissionRequest) -> Answer:
        outcome = await self._decide(review) if concerns(review) else untouched()
        given = answer(review, outcome, self.config)
        self.metrics.add(series.ADMISSIONS, given.result, str(given.reason))
        return given

    async def _judged(self, review: AdmissionRequest) -> Answer:
        kind = ""
        outcome: Outcome = not_validated()
        if is_joining(review):
            kind, outcome = "pod", await self._decide(review)
        elif is_update(review):
            # Whatever the namespace says.
            kind, outcome = "pod", admit(review, Namespace(review.get("namespace") or ""), self.settings)
        elif is_document(review):
            settings = self.settings
            control = settings.control_plane.present
            kind, outcome = subject(review), judge(review, settings.policy_config_map, control=control)
        given = answer(review, outcome, self.config, kind or "object")
        self.metrics.add(series.VALIDATIONS, kind or "other", given.result, str(given.reason))
        return given

    async def _decide(self, review: AdmissionRequest) -> Outcome:
        name = review.get("namespace")
        if not name:
            return unknown_namespace("the request names no namespace")
        try:
            known = await self.look_up(name)
        except NamespaceUnknown as error:
            return unknown_namespace(str(error))
        outcome = admit(review, known.namespace, self.settings)
        return outcome if known.confirmed else unconfirmed(outcome, name)

    async def _alive(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        problems = ["draining"] if self.draining else self.problems()
        if problems:
            return web.Response(status=503, text="".join(f"{problem}\n" for problem in problems))
        return web.Response(text="ok\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        self.metrics.set(series.IN_FLIGHT, len(self.room))
        self.metrics.set(series.READY, 0 if self.draining or self.problems() else 1)
        return web.Response(body=self.metrics.render().encode(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})

    def _record(self, review: AdmissionRequest, given: Answer) -> None:
        response = given.reply["response"]
        self.log(
            {
                "event": "admission",
                "uid": review["uid"][:LOGGED],
                "namespace": (review.get("namespace") or "")[:LOGGED],
                "result": given.result,
                "reason": given.reason,
                "message": response["status"]["message"] if "status" in response else "",
            }
        )


def _check_head(request: web.Request) -> None:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Content-Type must be application/json.\n")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType(
            text="Content-Encoding must be absent: reviews are not compressed.\n"
        )
    if (request.content_length or 0) > MAX_BODY:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY, request.content_length or 0)


@web.middleware
async def with_sentence(request: web.Request, handler: Handler) -> web.StreamResponse:
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
        there = sorted({resource.canonical for resource in request.app.router.resources()})
        error.text = f"There are {', '.join(there)}.\n"
        raise


def json_line(entry: dict[str, object]) -> str:
    """A log entry as one line of JSON."""
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
