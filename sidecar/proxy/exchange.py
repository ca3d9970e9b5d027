"""One request and its answer, between one client connection and one backend connection.

The life of an exchange: `begin` (the head is here; the pipeline says what to do), the body (kept whole where it
must be inspected, else streamed), `upstream_ready`, the answer, `finish`. Whatever ends early on one side is
told to the other at once: a client that goes away closes the backend's connection, which is how MCP cancels
(2026-07-28, Cancellation), and a backend that fails is answered to the client with its reason.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from mesh.protocol.http1.heads import RequestHead, ResponseHead
from mesh.protocol.http1.write import LAST_CHUNK, chunk
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.proxy import replies
from sidecar.proxy.answers import Answer, AnswerRefused
from sidecar.proxy.asking import Asking
from sidecar.proxy.plan import Held, Owing, Plan, Reply, Treatment, Tunnel, Unverified
from sidecar.proxy.upstream import Upstream
from sidecar.proxy.withheld import withheld

if TYPE_CHECKING:
    from mesh.protocol.ext_authz import Approval
    from sidecar.external_auth.answer import Refusal
    from sidecar.proxy.downstream import Downstream
    from sidecar.proxy.pipeline import Pipeline

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that may be sent twice (RFC 9110, section 9.2.1)."""

_NOT_WITH_THIS = frozenset({401, 403, 404})
"""Statuses of answers that another credential may change, or another session of the user's."""

HIGH_WATER = 64 * 1024
"""Bytes of a streamed request body that may wait for a backend's connection."""

MOST_DROPPED = 8 * 1024 * 1024
"""Bytes of a body nobody wants that are read all the same, so that the client comes to read its answer."""


class Exchange:
    """A request under way. Made by the client's connection, ended by `finish` or `client_gone`."""

    __slots__ = (
        "_again",
        "_answer",
        "_asking",
        "_client",
        "_connecting",
        "_out",
        "_parts",
        "_pipeline",
        "_plan",
        "_replied",
        "_request_done",
        "_retry",
        "_size",
        "_started",
        "_upstream",
        "head",
    )

    def __init__(self, client: Downstream, pipeline: Pipeline, head: RequestHead) -> None:
        self.head = head
        self._client = client
        self._pipeline = pipeline
        self._plan: Plan | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._out: list[bytes] = []
        self._answer: Answer | None = None
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._asking: Asking | None = None
        self._again = False
        self._request_done = False
        self._replied = False
        self._retry: bytes | None = None
        self._started = pipeline.clock()

    # The request.

    def begin(self) -> None:
        """The head is here: decide where it goes, and start at once what need not wait for the body."""
        self._admitted(self._pipeline.admit(self.head, self._client.channel))

    def _admitted(self, step: Plan | Tunnel | Reply | Unverified) -> None:
        if isinstance(step, Plan):
            self._begin(step)
        elif isinstance(step, Tunnel):
            self._client.open_tunnel(step)
        elif isinstance(step, Unverified):
            self._verify(step)
        else:
            self._turn_away(step)

    def _turn_away(self, reply: Reply) -> None:
        """The head alone was enough to say no."""
        if self.head.method == "CONNECT":
            self._client.close_after_answer()
        self._parts.clear()
        if self.head.expects_continue:
            # The client holds its body back and may never send it, so no other request can follow.
            self._client.close_after_answer()
            self._reply(reply)
            self._client.hang_up()
            return
        self._reply(reply)

    def _begin(self, plan: Plan) -> None:
        self._plan = plan
        if self.head.expects_continue:
            self._client.write(CONTINUE)
        if plan.treatment is Treatment.HTTP and not plan.shown_bytes:
            self._proceed(plan, self._pipeline.stream(plan))

    # What has to be asked of others first.

    def _asks(self) -> Asking:
        if self._asking is None:
            self._asking = Asking(self._pipeline)
        return self._asking

    def _verify(self, unverified: Unverified) -> None:
        """Wait until it is known who calls; what has come of the body is kept, and no more of it is read."""
        self._client.read_on(False)
        self._asks().verify(unverified, self._verified)

    def _verified(self, outcome: Verified | TokenRefused) -> None:
        came, self._parts, self._size = self._parts, [], 0
        self._client.read_on(True)
        self._admitted(self._pipeline.admit(self.head, self._client.channel, outcome))
        for data in came:
            self.request_body(data)
        if self._request_done:
            self.request_end()

    def _authorize(self, plan: Plan, held: Held) -> None:
        """Wait for every external check; what comes of the body meanwhile is kept, and then no more is read."""
        self._asks().authorize(plan, held, partial(self._authorized, plan, held))

    def _authorized(self, plan: Plan, held: Held, outcome: tuple[Approval, ...] | Refusal) -> None:
        step = self._pipeline.settle(plan, held, outcome)
        self._leave(plan, step)

    def _provided(self, plan: Plan, owing: Owing, refused: CredentialRefused | None) -> None:
        """The credential is there, or it never will be."""
        if refused is None:
            step = self._pipeline.leave(plan, owing.headers, owing.body)
            if not isinstance(step, Owing):
                self._leave(plan, step)
                return
            refused = CredentialRefused(Reason.CREDENTIAL_UNAVAILABLE, "it expired at once")
        withheld(self._pipeline.recorder, plan, refused)
        self._refuse(replies.no_credential(plan, refused))

    def _refuse(self, reply: Reply) -> None:
        """Nothing of the request leaves."""
        self._parts.clear()
        self._reply(reply)
        if self._request_done:
            self._client.exchange_done(self)

    def _leave(self, plan: Plan, step: bytes | Owing | Reply) -> None:
        """Send what is here, or get what it lacks. Pieces of the body that came meanwhile follow the head."""
        if isinstance(step, Reply):
            self._refuse(step)
            return
        if isinstance(step, Owing):
            self._asks().obtain(plan, partial(self._provided, plan, step))
            return
        self._parts.insert(0, step)
        self._connect(plan)

    def request_body(self, data: bytes) -> None:
        """Another piece of the body; framing is already taken off."""
        self._size += len(data)
        plan = self._plan
        if plan is None and self._asking is not None and self._asking.waits:
            self._parts.append(data)
            return
        if self._replied or plan is None:
            # The answer is given; what is left of the body is read and dropped, within its limit.
            if self._size > self._pipeline.limits.body_bytes + MOST_DROPPED:
                self._client.hang_up()
            return
        limit = self._pipeline.limits.body_bytes
        if plan.treatment is Treatment.HTTP:
            shown = plan.shown_bytes if plan.checks else 0
            if not shown:
                if plan.watch is not None and plan.watch.feed(data):
                    self._stop(plan)
                    return
                self._send(chunk(data) if self.head.body_length < 0 else data)
                return
            limit = min(limit, shown)
        if self._size > limit:
            self._client.close_after_answer()
            self._reply(replies.refused_body(Reason.HTTP_BODY_TOO_LARGE, plan, limit))
            return
        self._parts.append(data)

    def _stop(self, plan: Plan) -> None:
        """The body holds what must not go there: the backend never sees its end."""
        search = self._pipeline.departure.search
        assert search is not None  # noqa: S101 - it set the watch that found something
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abandon()
        self._client.close_after_answer()
        self._give_up(search.stopped(plan))

    def request_end(self) -> None:
        """The request is complete."""
        self._request_done = True
        plan = self._plan
        if self._replied:
            self._client.exchange_done(self)
        elif plan is not None and plan.treatment is Treatment.HTTP:
            if plan.checks and plan.shown_bytes:
                body, self._parts = b"".join(self._parts), []
                self._proceed(plan, self._pipeline.plain(plan, plan.head.headers, body))
            elif self.head.body_length < 0:
                self._send(LAST_CHUNK)
        elif plan is not None:
            self._inspect(plan)

    def _inspect(self, plan: Plan) -> None:
        parts = self._parts
        step = self._pipeline.inspect(plan, parts[0] if len(parts) == 1 else b"".join(parts))
        self._parts = []
        self._proceed(plan, step)

    def _proceed(self, plan: Plan, step: bytes | Held | Owing | Reply) -> None:
        """Let it leave, or ask whoever it waits for: one after the other."""
        if not isinstance(step, Held):
            self._leave(plan, step)
        elif step.counted is not None:
            self._asks().rate(plan, step, partial(self._proceed, plan))
        elif step.screened:
            self._authorize(plan, step)
        else:
            self._asks().screen(plan, step, partial(self._screened, plan))

    def _screened(self, plan: Plan, outcome: Held | Reply) -> None:
        """Every detector that is asked over HTTP has said what it finds."""
        if isinstance(outcome, Held) and plan.checks:
            self._authorize(plan, outcome)
        elif isinstance(outcome, Held):
            self._leave(plan, self._pipeline.leave(plan, outcome.headers, outcome.body))
        else:
            self._refuse(outcome)

    def _connect(self, plan: Plan) -> None:
        self._connecting = self._pipeline.pool.acquire(plan.routed.destination, self)

    def upstream_ready(self, upstream: Upstream) -> None:
        """The pool has a connection."""
        self._connecting = None
        self._upstream = upstream
        upstream.serve(self, self.head.method)
        parts, self._parts = self._parts, []
        request = parts[0] if len(parts) == 1 else b"".join(parts)
        if upstream.reused and not self.head.body_length and self.head.method in _SAFE:
            self._retry = request
        if not self._request_done:
            # Before the write, which may pause it again at once.
            self._client.read_on(True)
        upstream.write(request)

    def _send(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.write(data)
            return
        self._parts.append(data)
        if self._size > HIGH_WATER:
            self._client.read_on(False)

    def upstream_writable(self, writable: bool) -> None:
        """Backpressure of the backend: the client is read no faster than the backend takes."""
        if not self._request_done:
            self._client.read_on(writable)

    # The answer.

    def answer_interim(self, head: ResponseHead) -> None:
        """100 was given by us; 103 and the like carry nothing that a client of MCP needs."""

    def answer_head(self, head: ResponseHead) -> None:
        plan = self._plan
        if plan is None or self._upstream is None:
            return
        self._retry = None
        if head.status in _NOT_WITH_THIS and plan.issued is not None and self._ask_again(plan, head):
            return
        try:
            self._answer = self._pipeline.answer(plan, head)
        except AnswerRefused as refused:
            self._refuse_answer(refused.reason, refused.detail)
            return
        if plan.late is not None:
            plan.late.waiting = self
        if self._answer.endless:
            self._upstream.wait_for_ever()
        self._out.append(self._answer.begin())

    def _ask_again(self, plan: Plan, head: ResponseHead) -> bool:
        """Send a request once more, with another credential or session, where the answer says that it helps.

        What has streamed away cannot be sent again, but what the server does not take is not kept either.
        """
        owners, upstream, sent, issued = self._pipeline.owners, self._upstream, plan.sent, plan.issued
        if self._again or owners is None or upstream is None or not owners.rejected(plan, head):
            return False
        if sent is None:
            plan.issued = issued  # which the answer is still searched for
            return False
        self._again = True
        self._upstream = None
        upstream.abandon()
        self._leave(plan, sent)
        return True

    def answer_body(self, data: bytes) -> None:
        if self._answer is None:
            return
        try:
            self._out.append(self._answer.body(data))
        except AnswerRefused as refused:
            self._refuse_answer(refused.reason, refused.detail)

    def answer_end(self) -> None:
        if self._answer is None:
            return
        try:
            self._out.append(self._answer.end())
        except AnswerRefused as refused:
            self._refuse_answer(refused.reason, refused.detail)
            return
        if self._upstream is not None and not self._request_done:
            self._upstream.spend()
        late = None if self._plan is None else self._plan.late
        if late is not None and late.pending:
            self._upstream = None
            return
        self._finish()

    # What of the answer came late, because others had to be asked about it.

    def late_data(self, data: bytes) -> None:
        self._out.append(data)
        self.flush()

    def late_end(self) -> None:
        self._finish()

    def late_refused(self, refused: AnswerRefused) -> None:
        self._refuse_answer(refused.reason, refused.detail)

    def late_full(self, full: bool) -> None:
        if self._upstream is not None:
            self._upstream.read_on(not full)

    def flush(self) -> None:
        """Send what the answer gave, in one write for all that arrived together."""
        out = self._out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        if data:
            self._client.write(data)

    def client_writable(self, writable: bool) -> None:
        """Backpressure of the client: the backend is read no faster than the client takes."""
        if self._upstream is not None:
            self._upstream.read_on(writable)

    def _over(self) -> None:
        """There is no more to come for the client."""
        if self._plan is not None:
            self._pipeline.departure.over(self._plan)
            if self._plan.slots is not None:
                self._plan.slots.give()
            if self._plan.late is not None:
                self._plan.late.cancel()

    def _finish(self) -> None:
        self._over()
        self.flush()
        self._upstream = None
        plan = self._plan
        if plan is not None:
            self._pipeline.recorder.seconds(plan.routed.direction, self._pipeline.clock() - self._started)
        answer = self._answer
        if answer is not None and answer.closes:
            self._client.close_after_answer()
        self._replied = True
        if self._request_done:
            self._client.exchange_done(self)
        else:
            # Answered before the request was here: what is left of it is read and dropped, because closing now
            # could reset the connection under an answer that the client has not read yet.
            self._client.close_after_answer()
            self._client.read_on(True)

    # What can go wrong.

    def upstream_failed(self, reason: Reason, detail: str) -> None:
        """The backend cannot be reached, failed, or is not who it should be."""
        self._connecting = None
        self._upstream = None
        plan = self._plan
        if plan is None or self._replied:
            return
        if self._retry is not None and reason is Reason.UPSTREAM_RESET:
            # The server closed an idle connection at the moment of its reuse; a safe request may be sent again.
            self._parts, self._retry = [self._retry], None
            self._connect(plan)
            return
        detail = self._pipeline.departure.told(plan, detail)
        self._pipeline.recorder.upstream_failure(
            plan.routed.backend, str(plan.routed.destination), reason, detail
        )
        self._give_up(replies.upstream_failed(reason, detail, plan))

    def upstream_expired(self) -> None:
        """The certificates of the backend's connection end under an event stream."""
        if self.streaming:
            self.end_stream()

    def _refuse_answer(self, reason: Reason, detail: str) -> None:
        """The backend's answer cannot be passed on safely."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abandon()
        plan = self._plan
        if plan is None:
            return
        detail = self._pipeline.departure.told(plan, detail)
        if reason is Reason.RESULT_TOO_LARGE and self._pipeline.rates is not None:
            self._pipeline.rates.too_large(plan)
        else:
            self._pipeline.recorder.upstream_failure(
                plan.routed.backend, str(plan.routed.destination), reason, detail
            )
        self._give_up(replies.upstream_failed(reason, detail, plan))

    def _give_up(self, reply: Reply) -> None:
        """Answer with `reply` if the client has seen nothing yet, else cut the connection."""
        answer, self._answer = self._answer, None
        begun = answer is not None and answer.begun
        self._out.clear()
        if begun:
            self._over()
            self._client.abort()
            return
        self._reply(reply)
        if self._request_done:
            self._client.exchange_done(self)

    def _reply(self, reply: Reply) -> None:
        self._over()
        self._replied = True
        self._client.write(replies.encode(reply, self.head, closing=self._client.closing))
        if not self._request_done:
            # It may be paused for a backend that is not there any more; what is left of it is read and dropped.
            self._client.read_on(True)

    # The client's side.

    def client_gone(self) -> None:
        """The client closed: tell the backend at once, and ask nobody any more."""
        self._over()
        if self._asking is not None:
            self._asking.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abandon()

    @property
    def request_complete(self) -> bool:
        return self._request_done

    @property
    def begun(self) -> bool:
        """True once the client has been sent any part of an answer."""
        return self._replied or (self._answer is not None and self._answer.begun)

    @property
    def streaming(self) -> bool:
        """True while an event stream is open to the client."""
        return self._answer is not None and self._answer.endless

    def end_stream(self) -> None:
        """End an event stream politely, for a drain or because a connection's certificates end.

        The client sees a complete answer and may resume on another connection.
        """
        self._over()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abandon()
        if self._answer is not None:
            self._out.append(self._answer.end())
        self.flush()
        self._replied = True
        self._client.close_after_answer()
        self._client.exchange_done(self)
