"""An MCP answer, whatever way it comes: one JSON document, or an event of a stream.

Lists are filtered by their shape, not by remembering which request they answer: answers may come on another
connection (HTTP+SSE, GET streams, resumed streams), and a restarted sidecar remembers nothing. Each item is put
to the same `decide` as a call would be, so what is seen and what may be called cannot differ.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mesh.policy.compile import Policy
from mesh.policy.decision import RequestContext
from mesh.policy.facts import ANY_ARGUMENTS
from mesh.protocol.jsonrpc import INTERNAL_ERROR, JsonRpcRefused, Kind, Message, error_response, messages
from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.lists import filter_result
from mesh.protocol.mcp.server_requests import input_requests
from mesh.protocol.mcp.subjects import Subject, SubjectKind
from mesh.protocol.mcp.tasks import created_task
from mesh.protocol.sse import SseEvent
from mesh.protocol.strict_json import JsonRefused, encode, parse
from mesh.reasons import Reason
from sidecar.limits import Limits
from sidecar.proxy.answers import AnswerRefused
from sidecar.proxy.errand import Errands
from sidecar.proxy.plan import Plan, Treatment
from sidecar.proxy.pool import Pool
from sidecar.proxy.replies import limit_error
from sidecar.proxy.request_context import context_of_a_call
from sidecar.proxy.sniff import is_message
from sidecar.proxy.task_memory import Task, TaskMemory
from sidecar.telemetry.record import Recorder

if TYPE_CHECKING:
    from sidecar.proxy.guard import Guard

_ANSWERS = frozenset({Kind.RESULT, Kind.ERROR})

_NO_LIST = frozenset({"content", "isError", "structuredContent", "_meta", "resultType"})
"""Members of what most results are, the result of a tool: with these alone there is nothing to filter."""


class McpAnswers:
    """Filters the messages that backends send, each for the plan that it answers."""

    __slots__ = ("_errands", "_limits", "_recorder", "_wall", "guard", "policy", "tasks")

    def __init__(
        self,
        policy: Policy,
        limits: Limits,
        recorder: Recorder,
        pool: Pool,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        """`wall`: the time of day, in nanoseconds since 1970."""
        self._wall = wall
        self.policy = policy
        """The one in force: an open stream meets another one from its next event on."""
        self._limits = limits
        self._recorder = recorder
        self._errands = Errands(pool, recorder)
        self.tasks = TaskMemory()
        self.guard: Guard | None = None
        """What looks at content."""

    def document(self, plan: Plan, body: bytes, status: int) -> bytes:
        """A whole JSON body. Below 400 it must be JSON-RPC; an error body may be any strict JSON."""
        shown = self._document(plan, body, status)
        # Once more, because what was spelled with escapes is plain after it was read and written.
        return shown if plan.secrets is None else plan.secrets.redactor(plan).apply(shown)

    def _document(self, plan: Plan, body: bytes, status: int) -> bytes:
        if not body:
            return body
        try:
            parsed = parse(body, max_depth=self._limits.json_depth)
        except JsonRefused as refused:
            raise AnswerRefused(refused.reason, refused.detail) from refused
        try:
            found, is_batch = messages(parsed.value, max_batch=self._limits.batch)
        except JsonRpcRefused as refused:
            if status >= 400 and not _looks_like_result(parsed.value):
                return parsed.canonical
            raise AnswerRefused(refused.reason, refused.detail) from refused
        values = self._filter_all(plan, found, is_batch)
        if values is None:
            return parsed.canonical
        if values:
            return encode(values if is_batch else values[0])
        # A question in place of an answer, and one that was held back: whoever asked must not be left waiting.
        raise AnswerRefused(Reason.SERVER_REQUEST_REFUSED, "a request in place of an answer")

    async def screened(self, plan: Plan, body: bytes) -> bytes | None:
        """A message, or a batch, that was looked at here, as it goes on after others were asked about it.

        None: nothing of it does. What is not JSON-RPC was let pass as it is, and is.
        """
        guard = self.guard
        assert guard is not None  # noqa: S101 - nobody else asks others
        try:
            parsed = parse(body, max_depth=self._limits.json_depth)
            found, is_batch = messages(parsed.value, max_batch=self._limits.batch)
        except (JsonRefused, JsonRpcRefused):
            return body
        shown = [await guard.screen_answer(plan, message, message.value) for message in found]
        for message, value in zip(found, shown, strict=True):
            self._answer_if_kept_back(plan, message, value)
        if all(value is message.value for value, message in zip(shown, found, strict=True)):
            return body
        values = [value for value in shown if value is not None]
        return encode(values if is_batch else values[0]) if values else None

    def event(self, plan: Plan, event: SseEvent) -> str | None:
        """The data of one event as it goes on; None sends the event without data."""
        shown = self._event(plan, event)
        if shown is None or plan.secrets is None:
            return shown
        return (
            plan.secrets.redactor(plan)
            .apply(shown.encode(errors="surrogatepass"))
            .decode(errors="surrogatepass")
        )

    def _event(self, plan: Plan, event: SseEvent) -> str | None:
        """The same before it is looked through once more.

        An event that cannot be read becomes an error for whoever waits on this stream: dropping it would let
        the client wait for ever, and passing it would let the server hide what it sent.
        """
        data = event.data or ""
        if event.event == "endpoint" or not self._is_inspected(plan, event, data):
            return data
        try:
            parsed = parse(data.encode(), max_depth=self._limits.json_depth)
            found, is_batch = messages(parsed.value, max_batch=self._limits.batch)
            values = self._filter_all(plan, found, is_batch)
        except UnicodeEncodeError:
            return self._unreadable(plan, Reason.JSON_NOT_UTF8, "a lone surrogate")
        except (JsonRefused, JsonRpcRefused, AnswerRefused) as refused:
            return self._unreadable(plan, refused.reason, refused.detail)
        if values is None:
            return parsed.canonical.decode()
        if not values:
            return None
        return encode(values if is_batch else values[0]).decode()

    def too_large(self, plan: Plan, event: SseEvent) -> str | None:
        """What goes on in place of an event that is larger than the policy allows: an error for each request that
        it answers. What nobody waits for goes on without data, and a question of the server's is answered."""
        reason = Reason.RESULT_TOO_LARGE
        try:
            parsed = parse((event.data or "").encode(), max_depth=self._limits.json_depth)
            found, is_batch = messages(parsed.value, max_batch=self._limits.batch)
        except (UnicodeEncodeError, JsonRefused, JsonRpcRefused):
            ident = plan.pending[0] if plan.pending else None
            return None if ident is None else encode(limit_error(ident, reason, None)).decode()
        for message in found:
            if message.kind is Kind.REQUEST:
                self._errands.answer_server(plan, limit_error(message.id, reason, None))
        values = [limit_error(one.id, reason, None) for one in found if one.kind in _ANSWERS]
        return encode(values if is_batch else values[0]).decode() if values else None

    def _is_inspected(self, plan: Plan, event: SseEvent, data: str) -> bool:
        """Whether the data of an event has to be JSON-RPC: not where plain HTTP may pass, nor in an event of
        another type, which no client takes for a message, unless it looks like one all the same."""
        if plan.treatment is Treatment.MCP and event.event in (None, "", "message"):
            return True
        return _may_be_json_rpc(data)

    def _unreadable(self, plan: Plan, reason: Reason, detail: str) -> str | None:
        if plan.secrets is not None:
            detail = plan.secrets.redactor(plan).detail(detail)
        self._recorder.upstream_failure(plan.routed.backend, str(plan.routed.destination), reason, detail)
        if not plan.pending:
            return None
        message = f"The server's answer was not passed on: {reason.sentence}"
        error = error_response(plan.pending[0], INTERNAL_ERROR, message, {"reason": reason.value})
        return encode(error).decode()

    def _filter_all(
        self, plan: Plan, found: tuple[Message, ...], is_batch: bool
    ) -> list[dict[str, Any]] | None:
        """The messages as they go on; None if all go on unchanged."""
        values: list[dict[str, Any]] = []
        changed = False
        if self.guard is not None:
            self.guard.begin(plan, alone=not is_batch)
        for message in found:
            value = self._filter(plan, message)
            if value is not None and self.guard is not None:
                value = self._guarded(plan, message, value)
            changed = changed or value is not message.value
            if value is not None:
                values.append(value)
        return values if changed else None

    def _guarded(self, plan: Plan, message: Message, value: dict[str, Any]) -> dict[str, Any] | None:
        """The message after a look at its content. A question that is kept back must still be answered."""
        assert self.guard is not None  # noqa: S101 - asked by the caller
        shown = self.guard.answer(plan, message, value)
        self._answer_if_kept_back(plan, message, shown)
        return shown

    def _answer_if_kept_back(self, plan: Plan, message: Message, shown: dict[str, Any] | None) -> None:
        """A server that asks something waits for an answer, and gets it from here where the agent does not."""
        if shown is None and message.kind is Kind.REQUEST:
            text = Reason.SERVER_REQUEST_REFUSED.sentence
            self._errands.answer_server(plan, error_response(message.id, INTERNAL_ERROR, text))

    def _filter(self, plan: Plan, message: Message) -> dict[str, Any] | None:
        """One message as it goes on, None if it is held back."""
        kind = message.kind
        if kind is Kind.RESULT:
            return self._result(plan, message)
        if kind is Kind.REQUEST:
            return self._server_request(plan, message)
        if kind is Kind.NOTIFICATION and isinstance(message.params, dict):
            return self._notification(plan, message, message.params)
        return message.value

    def _result(self, plan: Plan, message: Message) -> dict[str, Any]:
        result = message.result
        if not isinstance(result, dict) or result.keys() <= _NO_LIST:
            return message.value
        task_id = created_task(result)
        if task_id is not None and plan.tool is not None:
            self.tasks.remember(plan.server, task_id, Task(plan.principal.id, plan.tool))
        context = None if plan.context is None else context_of_a_call(plan, self._wall())
        try:
            for asked in input_requests(result):
                if not self._may_ask(plan, asked.method):
                    return error_response(message.id, INTERNAL_ERROR, Reason.SERVER_REQUEST_REFUSED.sentence)
            # Before the policy: pins are about what the server offers, whoever may use it.
            pinned = result if self.guard is None else self.guard.pinning.shown(plan, message, result)
            filtered = filter_result(
                pinned,
                lambda subject: self._allowed(plan, subject, context),
                total=lambda kind: pinned is result and self._total(plan, kind),
            )
        except McpRefused as refused:
            raise AnswerRefused(refused.reason, refused.detail) from refused
        if filtered.result is result:
            return message.value
        self._record_hidden(plan, filtered.hidden)
        return {**message.value, "result": filtered.result}

    def _notification(self, plan: Plan, message: Message, params: dict[str, Any]) -> dict[str, Any] | None:
        """The state of a task may ask for input, as a result may (tasks extension, notifications/tasks)."""
        try:
            allowed = all(self._may_ask(plan, asked.method) for asked in input_requests(params))
        except McpRefused as refused:
            raise AnswerRefused(refused.reason, refused.detail) from refused
        return message.value if allowed else None

    def _server_request(self, plan: Plan, message: Message) -> dict[str, Any] | None:
        """A question of the server's own (up to 2025-11-25). Held back, it must still be answered."""
        if self._may_ask(plan, message.method or ""):
            return message.value
        text = Reason.SERVER_REQUEST_REFUSED.sentence
        self._errands.answer_server(plan, error_response(message.id, INTERNAL_ERROR, text))
        return None

    def _may_ask(self, plan: Plan, method: str) -> bool:
        """Sampling, elicitation, roots: what servers may ask of the agent is part of the policy."""
        if plan.target is None or method == "ping":
            return True
        decision = self.policy.server_request(plan.principal, plan.target, method)
        self._recorder.decision(
            plan.routed.direction, plan.principal, plan.routed.backend, method, None, decision
        )
        return decision.allowed

    def _allowed(self, plan: Plan, subject: Subject, context: RequestContext | None) -> bool:
        """As a call would be decided now, whatever its arguments; what external checks would say is not known."""
        target = plan.target
        if target is None:
            return True
        # As Policy.shows, without one more call for each item of each list.
        return self.policy.decide(
            plan.principal, target, subject.method, subject.name, ANY_ARGUMENTS, None, context
        ).allowed

    def _total(self, plan: Plan, kind: SubjectKind) -> bool:
        target = plan.target
        return target is None or self.policy.total(plan.principal, target, kind)

    def _record_hidden(self, plan: Plan, hidden: tuple[Subject, ...]) -> None:
        for kind, count in Counter(subject.kind for subject in hidden).items():
            self._recorder.hidden(plan.routed.direction, plan.principal.id, plan.routed.backend, kind, count)


def _may_be_json_rpc(data: str) -> bool:
    """Asked of events where plain HTTP may pass: could a client take this for a message?"""
    if not data.lstrip().startswith(("{", "[")):
        return False
    try:
        return is_message(parse(data.encode()).value)
    except (JsonRefused, UnicodeEncodeError):
        return True


def _looks_like_result(value: Any) -> bool:
    """True if a lenient client might take this for an answer."""
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, dict) and "result" in item for item in items)
