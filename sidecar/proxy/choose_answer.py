"""Which way an answer goes back, by what was asked and what the backend says it sends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mesh.protocol.http1.heads import ResponseHead, all_values
from mesh.protocol.sse import SseEvent
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.reasons import Reason
from sidecar.proxy.answers import (
    Answer,
    AnswerRefused,
    EventStreamAnswer,
    JsonAnswer,
    MeasuredAnswer,
    PassedAnswer,
)
from sidecar.proxy.beside_messages import beside_json, beside_messages
from sidecar.proxy.endpoint import announced_path
from sidecar.proxy.errand import endpoint_target
from sidecar.proxy.late import LateAnswer, LateEvents, LateJson
from sidecar.proxy.plan import Plan, Treatment

if TYPE_CHECKING:
    from sidecar.proxy.pipeline import Pipeline

EVENTS = b"text/event-stream"
JSON = b"application/json"

_UNTYPED = (b"", b"text/plain")

MOST_ENDPOINT_CHARACTERS = 2048
"""Of an announcement that is followed; it is kept as long as its stream."""

_PLAIN = frozenset({Treatment.HTTP, Treatment.WHOLE})

_NO_RESULT = frozenset({"DELETE", "OPTIONS", "HEAD"})


def choose_answer(plan: Plan, head: ResponseHead, pipeline: Pipeline, *, closing: bool) -> Answer:
    """The Answer for this response. Raises AnswerRefused for what cannot be inspected."""
    request = plan.head
    media = _media_type(head)
    if plan.treatment in _PLAIN:
        return _passed(plan, head, pipeline, closing=closing)
    if plan.treatment is Treatment.SNIFF:
        return _beside_mcp(plan, head, media, pipeline, closing=closing)
    refuse_encoded(head)
    if head.body_length == 0:
        return PassedAnswer(head, request, closing=closing)
    if request.method in _NO_RESULT:
        return beside_messages(plan, head, pipeline, closing=closing)
    if media == JSON:
        return _json(plan, head, pipeline, closing=closing)
    if media == EVENTS:
        return _events(plan, head, pipeline, closing=closing)
    if head.status >= 300 or (head.status == 202 and request.method != "GET"):
        # No client takes a result from these. A GET is for a stream, though, and some read one from any answer
        # that is a success.
        return beside_messages(plan, head, pipeline, closing=closing)
    raise _surprising(media)


def _beside_mcp(plan: Plan, head: ResponseHead, media: bytes, pipeline: Pipeline, *, closing: bool) -> Answer:
    """An answer to plain HTTP beside an MCP endpoint.

    What a client of MCP takes from here it takes from an event stream: for results it waits on its own POST, which
    is not treated as plain HTTP. Python's SDK reads as a stream whatever has text/event-stream somewhere in its
    type, TypeScript's every success of the GET that asked for one, whatever its type. So where a client did not
    ask for a stream, only the type decides, and pages and documents stay as they are. Where it asked, an answer
    that says nothing of its type or is plain text may be a stream of a server that is badly set up, and is read
    as one; a document is JSON in truth, which holds no line that an event could begin with; and anything else is
    refused, because to read HTML as events would cut off its end.
    """
    stream = EVENTS in head.fields.get(b"content-type", b"").lower()
    asked = plan.head.method == "GET" and 200 <= head.status < 300 and _accepts_events(plan)
    if head.body_length == 0 or plan.head.method == "HEAD" or not (stream or asked):
        return _passed(plan, head, pipeline, closing=closing)
    refuse_encoded(head)
    if stream or media in _UNTYPED:
        # Decided by the rules of the MCP endpoint beside it.
        plan.target = plan.routed.neighbour
        if plan.target is None:
            raise AnswerRefused(Reason.PROTOCOL_NOT_ALLOWED, "an event stream beside several MCP Backends")
        return _events(plan, head, pipeline, closing=closing)
    if media == JSON:
        limits = pipeline.limits
        checked = partial(_strict_json, max_depth=limits.json_depth)
        return JsonAnswer(head, checked, limit=limits.body_bytes, closing=closing)
    raise _surprising(media)


def _accepts_events(plan: Plan) -> bool:
    return any(EVENTS in value.lower() for value in all_values(plan.head.headers, b"accept"))


def _strict_json(body: bytes, status: int, *, max_depth: int) -> bytes:
    """The body as it is, if it is JSON."""
    try:
        if body:
            parse(body, max_depth=max_depth)
    except JsonRefused as refused:
        raise AnswerRefused(refused.reason, refused.detail) from refused
    return body


def _surprising(media: bytes) -> AnswerRefused:
    return AnswerRefused(Reason.UPSTREAM_CONTENT_TYPE, f"Content-Type {media.decode('latin-1')!r}")


def refuse_encoded(head: ResponseHead) -> None:
    """Raise AnswerRefused for what is compressed, and cannot be looked through."""
    if b"content-encoding" not in head.fields:
        return
    for value in all_values(head.headers, b"content-encoding"):
        if value.strip().lower() not in (b"", b"identity"):
            raise AnswerRefused(Reason.UPSTREAM_ENCODED, f"Content-Encoding {value.decode('latin-1')!r}")


def _media_type(head: ResponseHead) -> bytes:
    """The reader has refused a repeated Content-Type."""
    value = head.fields.get(b"content-type", b"")
    return value if value == JSON else value.partition(b";")[0].strip().lower()


def _passed(plan: Plan, head: ResponseHead, pipeline: Pipeline, *, closing: bool) -> Answer:
    """As it comes, up to the size that the policy lets plain HTTP have. Raises AnswerRefused."""
    answer, most = PassedAnswer(head, plan.head, closing=closing), plan.most_bytes
    if not (most or plan.watched_bytes) or plan.head.method == "HEAD":
        return answer
    rates = pipeline.rates
    if rates is not None and 0 < plan.watched_bytes < head.body_length:
        rates.too_large(plan, observed=True)
    if not most:
        return answer
    if head.body_length > most:
        raise AnswerRefused(Reason.RESULT_TOO_LARGE, f"{head.body_length} bytes, of at most {most}")
    return MeasuredAnswer(answer, most)


def _json(plan: Plan, head: ResponseHead, pipeline: Pipeline, *, closing: bool) -> Answer:
    answers, limit, reason = pipeline.answers, pipeline.limits.body_bytes, Reason.HTTP_BODY_TOO_LARGE
    transform: Callable[[bytes, int], bytes] = partial(answers.document, plan)
    if head.status >= 400:
        transform = partial(_error, transform, plan, head, pipeline)
    if plan.watched_bytes:
        transform = partial(_watched, transform, plan, pipeline)
    if 0 < plan.most_bytes <= limit:
        limit, reason = plan.most_bytes, Reason.RESULT_TOO_LARGE
    if not _waits(plan, pipeline):
        return JsonAnswer(head, transform, limit=limit, closing=closing, reason=reason)
    plan.late = late = LateAnswer()
    screen = partial(answers.screened, plan)
    return LateJson(head, transform, screen, late, limit=limit, closing=closing, reason=reason)


def _error(
    transform: Callable[[bytes, int], bytes],
    plan: Plan,
    head: ResponseHead,
    pipeline: Pipeline,
    body: bytes,
    status: int,
) -> bytes:
    """The same of an error, which need not be a message."""
    return beside_json(plan, head, pipeline, transform(body, status))


def _watched(
    transform: Callable[[bytes, int], bytes], plan: Plan, pipeline: Pipeline, body: bytes, status: int
) -> bytes:
    """The same, with what a limit that is only observed would have refused written down."""
    if len(body) > plan.watched_bytes and pipeline.rates is not None:
        pipeline.rates.too_large(plan, observed=True)
    return transform(body, status)


def _waits(plan: Plan, pipeline: Pipeline) -> bool:
    """Whether detectors have to be asked over HTTP before the agent has the answer."""
    guard = pipeline.answers.guard
    return guard is not None and guard.waits(plan)


def _events(plan: Plan, head: ResponseHead, pipeline: Pipeline, *, closing: bool) -> Answer:
    def transform(event: SseEvent) -> str | None:
        if event.event == "endpoint":
            _follow_endpoint(plan, event.data or "", pipeline)
        elif (plan.most_bytes or plan.watched_bytes) and _is_too_large(plan, event, pipeline):
            return pipeline.answers.too_large(plan, event)
        return pipeline.answers.event(plan, event)

    request, limit = plan.head, pipeline.limits.event_bytes
    guard = pipeline.answers.guard
    held = None if guard is None else guard.held(plan)
    waits = _waits(plan, pipeline)
    if held is None and not waits:
        return EventStreamAnswer(head, request, transform, event_bytes=limit, closing=closing)
    plan.late = late = LateAnswer()
    screen = partial(pipeline.answers.screened, plan) if waits else None
    return LateEvents(
        head, request, transform, late, screen=screen, held=held, event_bytes=limit, closing=closing
    )


def _is_too_large(plan: Plan, event: SseEvent, pipeline: Pipeline) -> bool:
    """Whether an event holds more than the policy allows, which is written down."""
    size, rates = len((event.data or "").encode(errors="surrogatepass")), pipeline.rates
    if rates is not None and 0 < plan.watched_bytes < size:
        rates.too_large(plan, observed=True)
    if not 0 < plan.most_bytes < size:
        return False
    if rates is not None:
        rates.too_large(plan)
    return True


def _follow_endpoint(plan: Plan, data: str, pipeline: Pipeline) -> None:
    """Requests to an announced endpoint are decided as its Backend's; the sidecar's own go there too.

    Not if the path is another Backend's: the agent's credentials for this server are none of that one's business.
    """
    path = announced_path(data, plan) if len(data) <= MOST_ENDPOINT_CHARACTERS else None
    if path is None:
        return
    pipeline.routes.learn_endpoint(plan, path)
    host, port = plan.routed.destination[:2]
    owner = pipeline.policy.route(host, port, path).backend
    if plan.routed.direction == "inbound" or owner in (None, plan.target, plan.routed.target):
        plan.endpoint = endpoint_target(plan, data, path)
