"""Which way an answer goes back, by what was asked and what the backend says it sends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mesh.protocol.http1.heads import ResponseHead, all_values
from mesh.protocol.sse import SseEvent
from mesh.reasons import Reason
from sidecar.proxy.answers import Answer, AnswerRefused, EventStreamAnswer, JsonAnswer, PassedAnswer
from sidecar.proxy.endpoint import announced_path
from sidecar.proxy.errand import endpoint_target
from sidecar.proxy.plan import Plan, Treatment

if TYPE_CHECKING:
    from sidecar.proxy.pipeline import Pipeline

EVENTS = b"text/event-stream"

MOST_ENDPOINT_CHARACTERS = 2048
"""Of an announcement that is followed; it is kept as long as its stream."""

_NO_RESULT = frozenset({"DELETE", "OPTIONS", "HEAD"})


def choose_answer(plan: Plan, head: ResponseHead, pipeline: Pipeline, *, closing: bool) -> Answer:
    """The Answer for this response. Raises AnswerRefused for what cannot be inspected."""
    request = plan.head
    media = _media_type(head)
    if plan.treatment is Treatment.HTTP or (plan.treatment is Treatment.SNIFF and media != EVENTS):
        # No client of MCP takes a result from here: it waits on its own POST, or on an event stream.
        return PassedAnswer(head, request, closing=closing)
    if plan.treatment is Treatment.SNIFF and not _judge_as_mcp(plan):
        raise AnswerRefused(Reason.PROTOCOL_NOT_ALLOWED, "an event stream beside several MCP Backends")
    _refuse_encoded(head)
    if head.body_length == 0 or request.method in _NO_RESULT:
        return PassedAnswer(head, request, closing=closing)
    if media == b"application/json":
        return _json(plan, head, pipeline, closing=closing)
    if media == EVENTS:
        return _events(plan, head, pipeline, closing=closing)
    if head.status == 202 or head.status >= 300:
        # No client takes a result from these; what they say in text is for people.
        return PassedAnswer(head, request, closing=closing)
    raise AnswerRefused(Reason.UPSTREAM_CONTENT_TYPE, f"Content-Type {media.decode('latin-1')!r}")


def _judge_as_mcp(plan: Plan) -> bool:
    """Have what comes on this stream decided by the rules of the MCP endpoint beside it; False if it has none."""
    plan.target = plan.routed.neighbour
    return plan.target is not None


def _refuse_encoded(head: ResponseHead) -> None:
    if b"content-encoding" not in head.fields:
        return
    for value in all_values(head.headers, b"content-encoding"):
        if value.strip().lower() not in (b"", b"identity"):
            raise AnswerRefused(Reason.UPSTREAM_ENCODED, f"Content-Encoding {value.decode('latin-1')!r}")


def _media_type(head: ResponseHead) -> bytes:
    """The reader has refused a repeated Content-Type."""
    value = head.fields.get(b"content-type", b"")
    return value if value == b"application/json" else value.partition(b";")[0].strip().lower()


def _json(plan: Plan, head: ResponseHead, pipeline: Pipeline, *, closing: bool) -> Answer:
    transform = partial(pipeline.answers.document, plan)
    return JsonAnswer(head, transform, limit=pipeline.limits.body_bytes, closing=closing)


def _events(plan: Plan, head: ResponseHead, pipeline: Pipeline, *, closing: bool) -> Answer:
    def transform(event: SseEvent) -> str | None:
        if event.event == "endpoint":
            _follow_endpoint(plan, event.data or "", pipeline)
        return pipeline.answers.event(plan, event)

    limit = pipeline.limits.event_bytes
    return EventStreamAnswer(head, plan.head, transform, event_bytes=limit, closing=closing)


def _follow_endpoint(plan: Plan, data: str, pipeline: Pipeline) -> None:
    """Requests to an announced endpoint are decided as its Backend's; the sidecar's own go there too.

    Not if the path is another Backend's: the agent's credentials for this server are none of that one's business.
    """
    path = announced_path(data, plan) if len(data) <= MOST_ENDPOINT_CHARACTERS else None
    if path is None:
        return
    pipeline.learn_endpoint(plan, path)
    host, port = plan.routed.destination[:2]
    owner = pipeline.policy.route(host, port, path).backend
    if plan.routed.direction == "inbound" or owner in (None, plan.target, plan.routed.target):
        plan.endpoint = endpoint_target(plan, data, path)
