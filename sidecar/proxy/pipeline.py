"""The stages of a request, composed in one place.

    accept        a listener made a Channel: which direction, and who is at the other end (mutual TLS)
    who           the agent itself, or the peer's SPIFFE ID                 channel.principal
                  and the user whose token it brings                        `callers`
    where to      the proxy target, or the application beside us            `known_routes`
    route         to a Backend or an MCP path, and how traffic is treated   `routing`, `routing_inbound`
    whose         the user whom an outbound request belongs to              `owners`
    parse         strictly, where the treatment looks inside                `inspect` -> `mcp_request`
    decide        one function for calls and for items of lists             Policy.decide
    count         how often, how many at a time                             `rates`
    authorize     by the services that the decision names, if any           `authorizer`
    credentials   a caller's token goes on to its audience only             `departure`
                  a Backend gets the one that its document says             `departure`
    forward       re-serialised, over a pooled connection                   `outgoing`, `pool`
    the answer    parsed, lists filtered, event by event                    `answer` -> `mcp_answer`
    content       looked at, masked or kept back, both ways                 `guard`
    record        a counter and a log line for each decision                `recorder`

Every stage is a function of what the stage before it gave. Connections and time are elsewhere (`exchange`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mesh.policy.compile import Policy
from mesh.policy.decision import Decision, HttpRequest
from mesh.protocol.ext_authz import Approval
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import Headers, RequestHead, ResponseHead, all_values
from mesh.protocol.http1.limits import HttpLimits
from mesh.reasons import Reason
from sidecar.capture import inbound as inbound_capture
from sidecar.credentials.caller_tokens import CallerTokens
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.external_auth.answer import Refusal
from sidecar.external_auth.authorizer import Authorizer, Inquiry, Told
from sidecar.external_auth.question import Question, said_by
from sidecar.limits import Limits
from sidecar.proxy import replies
from sidecar.proxy.answers import Answer
from sidecar.proxy.choose_answer import choose_answer
from sidecar.proxy.connect import tunnel_to
from sidecar.proxy.departure import Departure
from sidecar.proxy.head_content import denials_for, reason_against_head
from sidecar.proxy.known_routes import KnownRoutes
from sidecar.proxy.mcp_answer import McpAnswers
from sidecar.proxy.mcp_request import denied, encode_all, inspect_content, inspect_post, unauthorized
from sidecar.proxy.plan import Held, Owing, Plan, Reply, Routed, Treatment, Tunnel, Unverified
from sidecar.proxy.pool import Dialer, Pool, TlsMode
from sidecar.proxy.request_context import context_as_mcp, context_of
from sidecar.proxy.sniff import looks_like_json, pending_ids, speaks_json_rpc
from sidecar.telemetry.record import Recorder

if TYPE_CHECKING:
    from sidecar.capture.intercepted import Interception
    from sidecar.credentials.desk import Desk
    from sidecar.proxy.callers import Callers
    from sidecar.proxy.channel import Channel
    from sidecar.proxy.guard import Guard
    from sidecar.proxy.owners import Owners
    from sidecar.proxy.rated import Rates

_TRANSPORT = frozenset({"GET", "DELETE"})
"""What MCP itself does without a body: listen to a stream, end a session."""


def _is_transport(head: RequestHead, routed: Routed) -> bool:
    """Whether a peer's request is what MCP clients send: only that is allowed without a grant of plain HTTP."""
    if routed.is_metadata:
        return head.method == "GET" and head.body_length == 0
    if head.method == "DELETE":
        return b"mcp-session-id" in head.fields
    accepted = b",".join(all_values(head.headers, b"accept")).lower()
    return head.method == "GET" and b"text/event-stream" in accepted


class Pipeline:
    """Everything a request needs, and the order in which it happens."""

    def __init__(
        self,
        policy: Policy,
        *,
        limits: Limits,
        pool: Pool,
        dialer: Dialer,
        recorder: Recorder,
        clock: Callable[[], float],
        application: inbound_capture.Application,
        authorizer: Authorizer | None = None,
        desk: Callable[[], Desk] | None = None,
        guard: Callable[[Policy], Guard] | None = None,
        rates: Callable[[Policy], Rates] | None = None,
        forbidden: bool = False,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        """`authorizer` asks external services, `desk` makes what knows of users and credentials, `guard` what
        looks at content, `rates` what knows how often may be asked, when a policy first limits it.

        `forbidden` is how refusals of MCP messages read (`denial`), `wall` the time of day, in ns since 1970.
        """
        self.policy = policy
        self.limits = limits
        self.http_limits = HttpLimits(head_bytes=limits.head_bytes, headers=limits.headers, body_bytes=0)
        self.pool = pool
        self.dialer = dialer
        self.recorder = recorder
        self.clock = clock
        self.authorizer = authorizer or Authorizer(pool, limits, recorder, clock)
        self._make_desk = desk
        self.callers: Callers | None = None
        tokens = CallerTokens(limit=limits.caller_tokens, seconds=limits.caller_token_seconds)
        self.departure = Departure(tokens, recorder)
        self.forbidden = forbidden
        self._wall = wall
        self.draining = False
        self.interception: Interception | None = None
        """Ends the application's own TLS; None: it is refused where it would have to be inspected."""
        self.answers = McpAnswers(policy, limits, recorder, pool, wall)
        self.answers.guard = None if guard is None else guard(policy)
        self.routes = KnownRoutes(policy, application)
        self._make_rates = rates
        self._all_rates: Rates | None = None
        self.rates: Rates | None = None
        """What the policy in force says of how often, how many and how large; None: nothing."""
        self._equip_for(policy)

    def use(self, policy: Policy) -> None:
        """Put another policy in force, for everything that is asked from now on.

        What was decided stays decided: a request that is on its way gets its answer, filtered by the new policy.
        """
        self.policy = self.answers.policy = policy
        self.routes.use(policy)
        if self.answers.guard is not None:
            self.answers.guard.use(policy)
        self._equip_for(policy)

    def _equip_for(self, policy: Policy) -> None:
        if policy.about_credentials:
            self.equip()
        if self.departure.desk is not None:
            self.departure.desk.use(policy)
        if self._all_rates is None and policy.about_rates and self._make_rates is not None:
            self._all_rates = self._make_rates(policy)
        if self._all_rates is not None:
            self._all_rates.use(policy)
        self.rates = self._all_rates if policy.about_rates else None

    def equip(self) -> None:
        """Get what knows of users, credentials and hidden secrets: it takes memory that most sidecars can save."""
        if self.departure.desk is not None or self._make_desk is None:
            return
        from sidecar.proxy.callers import Callers
        from sidecar.proxy.owners import Owners
        from sidecar.proxy.placeholders import PlaceholderSearch

        desk = self._make_desk()
        self.callers, self.departure.owners = Callers(desk, self.recorder), Owners(desk, self.recorder)
        if desk.hidden is not None:
            self.departure.search = PlaceholderSearch(desk.hidden, self.recorder)
        self.departure.desk = desk

    @property
    def owners(self) -> Owners | None:
        """Who finds the users of outbound requests, and their credentials."""
        return self.departure.owners

    # The head of a request.

    def admit(
        self, head: RequestHead, channel: Channel, verified: Verified | TokenRefused | None = None
    ) -> Plan | Tunnel | Reply | Unverified:
        """Who, where to, route: what can be decided before the body is here.

        `verified`: what became of the Unverified that this request was before.
        """
        try:
            if head.method == "CONNECT" and channel.may_tunnel:
                return tunnel_to(head, channel, self.policy, self.recorder, self.intercepts, self.unable)
            principal, subject = channel.principal, None
            if self.callers is not None and self.policy.users is not None and channel.direction == "inbound":
                caller = self.callers.settle(head, channel, verified)
                if isinstance(caller, Reply | Unverified):
                    return caller
                head, principal, subject = caller.head, caller.principal, caller.verified
            routed = self.routes.find(head, channel, principal)
        except HttpRefused as refused:
            self.recorder.refused_message("client", channel.peer, refused.reason, refused.detail)
            return replies.problem(refused.status, refused.reason, refused.detail)
        if channel.secure and routed.destination.tls == TlsMode.NONE:
            reason, where = Reason.WOULD_BE_PLAIN_TEXT, str(routed.destination)
            self.recorder.refused_message("client", channel.peer, reason, where)
            return replies.problem(403, reason, where)
        claim = None
        if routed.direction == "outbound":
            head, claim = self.departure.strip(head, routed)
        plan = Plan(head, principal, routed, routed.treatment, routed.target, subject=subject)
        if claim is not None:
            plan.claimed(claim)
        if self.policy.needs_context:
            plan.context = context_of(head, routed, self._wall())
        if routed.refusal is not None:
            return self._refuse_destination(plan, routed.refusal)
        if routed.minted and routed.is_metadata:
            # Where to get a token there is none of the agent's business.
            return replies.problem(
                404, Reason.PATH_NOT_DECLARED, "the sidecar sees to this Backend's credential"
            )
        return self._admit_routed(plan)

    def intercepts(self, host: str, port: int) -> bool:
        """Whether the application's TLS to this host and port can be ended here, and goes on as TLS."""
        if self.interception is None or not self.interception.covers(host):
            return False
        return self._goes_on_as_tls(host, port)

    def unable(self, host: str, port: int) -> Reason:
        """Why the application's TLS to this host and port cannot be ended here."""
        if (
            self.interception is None
            or self.interception.covers(host)
            or not self._goes_on_as_tls(host, port)
        ):
            return Reason.CONNECT_REFUSED
        return Reason.INTERCEPTION_UNAVAILABLE

    def _goes_on_as_tls(self, host: str, port: int) -> bool:
        return any(b.tls.mode.value != TlsMode.NONE for b in self.policy.backends_at(host, port))

    def _admit_routed(self, plan: Plan) -> Plan | Reply:
        """What the head alone decides; a request with a body that is looked into is decided when it is here."""
        head, treatment = plan.head, plan.treatment
        if treatment is Treatment.MCP:
            if head.method == "POST":
                return plan
            if head.method not in _TRANSPORT:
                return replies.problem(405, Reason.HTTP_METHOD, head.method)
            decided = self._decide_head(plan)
            if isinstance(decided, Plan):
                reason = reason_against_head(plan, head.headers, (), self)
                if reason is not None:
                    return replies.problem(403, reason, str(plan.routed.destination))
            return decided
        if treatment is Treatment.SNIFF and head.body_length != 0:
            return plan
        return self._decide_head(plan)

    def _decide_head(self, plan: Plan) -> Plan | Reply:
        """Decide by the head alone, and say so."""
        if self.owners is not None and plan.routed.direction == "outbound":
            self.owners.belong(plan)
        routed = plan.routed
        decision = self._ask(plan)
        method = "stream" if routed.transport else "http"
        if decision.checks:
            plan.checked(method, routed.plain_path, decision)
        else:
            self._record(plan, method, decision)
        if decision.allowed:
            return plan
        return replies.refused_destination(decision.reason, str(routed.destination), ())

    def _ask(self, plan: Plan) -> Decision:
        """May this request pass, leaving aside what JSON-RPC it carries?"""
        routed = plan.routed
        if plan.target is None:
            return self.policy.egress(routed.destination.host, routed.destination.port, routed.plain_path)
        outbound = routed.direction == "outbound"
        asks_http = outbound and plan.head.method in _TRANSPORT
        context = plan.context
        if context is None and plan.head.method == "DELETE":
            # Whether it ends a session shows in a header, which even rules that say nothing of HTTP look at.
            context = context_of(plan.head, routed, self._wall())
        if routed.transport and not asks_http and (outbound or _is_transport(plan.head, routed)):
            return self.policy.decide(plan.principal, plan.target, "ping", context=context)
        request = HttpRequest(plan.head.method, routed.plain_path)
        return self.policy.decide(plan.principal, plan.target, "http", http=request, context=context)

    def _record(self, plan: Plan, method: str, decision: Decision) -> None:
        routed = plan.routed
        plan.decided = ((method, routed.plain_path),)
        self.recorder.decision(
            routed.direction, plan.principal, routed.backend, method, routed.plain_path, decision
        )

    def _refuse_destination(self, plan: Plan, refusal: tuple[Reason, str]) -> Plan | Reply:
        """Refused for good; a JSON-RPC caller's body is read first, so that it gets an answer to its id."""
        self._record(plan, "http", self._ask(plan))
        if plan.head.method == "POST" and looks_like_json(plan.head.headers):
            plan.refusal = refusal
            plan.treatment = Treatment.SNIFF
            return plan
        return replies.refused_destination(*refusal, ())

    # The body of a request.

    def stream(self, plan: Plan) -> bytes | Held | Owing | Reply:
        """The head of a request whose body is passed on as it comes, or what it waits for."""
        return self.plain(plan, plan.head.headers, None)

    def leave(self, plan: Plan, headers: Headers, body: bytes | None) -> bytes | Owing | Reply:
        """A decided request as it leaves; see `Departure.leave`."""
        return self.departure.leave(plan, headers, body)

    def inspect(self, plan: Plan, body: bytes) -> bytes | Held | Owing | Reply:
        """The whole request as it leaves, from one whose body is here as a whole."""
        head = plan.head
        if self.owners is not None and plan.routed.direction == "outbound":
            self.owners.belong(plan, body)
        if plan.refusal is not None:
            pending = pending_ids(body, self.limits)
            return replies.refused_destination(*plan.refusal, pending, forbidden=self.forbidden)
        if plan.treatment is Treatment.WHOLE:
            return self.plain(plan, head.headers, body)
        if plan.treatment is Treatment.SNIFF:
            if not speaks_json_rpc(head, body):
                # Where the head had no body it was decided already.
                decided = self._decide_head(plan) if head.body_length else plan
                if isinstance(decided, Reply):
                    return decided
                return self.plain(plan, head.headers, body)
            plan.treatment = Treatment.MCP
            plan.target = plan.routed.neighbour
            plan.context = context_as_mcp(plan)
            if plan.target is None:
                return replies.problem(
                    403, Reason.PROTOCOL_NOT_ALLOWED, "JSON-RPC beside several MCP Backends"
                )
        if head.method != "POST":
            if body:
                return replies.problem(400, Reason.HTTP_MALFORMED, f"{head.method} with a body")
            return self._whole(plan, head.headers, body)
        step = inspect_post(
            plan,
            body,
            policy=self.policy,
            limits=self.limits,
            recorder=self.recorder,
            tasks=self.answers.tasks,
            forbidden=self.forbidden,
            guard=self.answers.guard,
            rates=self.rates,
        )
        return self._inspected(plan, step)

    def _inspected(
        self, plan: Plan, step: tuple[bytes, Headers] | Held | Reply
    ) -> bytes | Held | Owing | Reply:
        step = self._head_looked_at(plan, step)
        if isinstance(step, tuple):
            body, headers = step
            return self.leave(plan, headers, body)
        if isinstance(step, Held) and plan.checks and len(step.messages) > 1:
            # Services judge one method and one name: a batch would show them a question that they do not know.
            return self.settle(plan, step, Refusal(Reason.EXTERNAL_AUTH_IMPOSSIBLE, "a batch"))
        if isinstance(step, Reply) and plan.provisional:
            # Refused for another message of its batch: no check is asked any more.
            self._record_provisional(plan, None)
        return step

    def _head_looked_at(
        self, plan: Plan, step: tuple[bytes, Headers] | Held | Reply
    ) -> tuple[bytes, Headers] | Held | Reply:
        """The same, or the refusal because of what the head says that leaves with it."""
        if isinstance(step, Reply) or (isinstance(step, Held) and step.counted is not None):
            return step
        headers = step.headers if isinstance(step, Held) else step[1]
        body = step.body if isinstance(step, Held) else step[0]
        reason = reason_against_head(plan, headers, plan.asked, self)
        if reason is None:
            return step
        denials = denials_for(plan, plan.asked, reason)
        return denied(plan, plan.asked, denials, (body or b"").startswith(b"["))

    # The store of shared limits.

    async def rate(self, plan: Plan, held: Held) -> bytes | Held | Owing | Reply:
        """What becomes of a request when the store has said whether there is room."""
        rates, counted = self._all_rates, held.counted
        assert rates is not None  # noqa: S101 - who else would hold it
        assert counted is not None  # noqa: S101 - it is held because of this
        refused = await rates.outcome(plan, counted, held.messages, is_batch=held.is_batch)
        if refused is not None:
            return refused
        if not held.messages:
            return self._whole(plan, held.headers, held.body)
        guard, body = self.answers.guard, held.body or b""
        step = inspect_content(plan, held.headers, body, held.messages, held.is_batch, guard)
        return self._inspected(plan, step)

    def unrated(self, plan: Plan, held: Held) -> Reply:
        """The refusal where it could not be asked for a reason that nobody foresaw."""
        rates, counted = self._all_rates, held.counted
        assert rates is not None  # noqa: S101 - who else would hold it
        assert counted is not None  # noqa: S101 - it is held because of this
        return rates.unforeseen(plan, counted, held.messages, is_batch=held.is_batch)

    # Detectors that are asked over HTTP.

    async def screen(self, plan: Plan, held: Held) -> Held | Reply:
        """The request as it leaves when they have said what they find, or no."""
        guard = self.answers.guard
        assert guard is not None  # noqa: S101 - who else would hold it
        checked = await guard.screen(plan, held.messages, held.headers)
        if checked.denials:
            return denied(plan, held.messages, checked.denials, held.is_batch)
        body = held.body
        if checked.changed:
            body = encode_all(held.messages, held.is_batch)
        return replace(held, headers=checked.headers, body=body, screened=True)

    def unscreened(self, plan: Plan, held: Held) -> Reply:
        """The refusal where they could not be asked for a reason that nobody foresaw."""
        return unauthorized(plan, held, Reason.GUARD_FAILED, forbidden=self.forbidden)

    def plain(self, plan: Plan, headers: Headers, body: bytes | None) -> bytes | Held | Owing | Reply:
        """What is no message of MCP, and was decided: it counts as one."""
        if self.rates is not None and not plan.routed.transport:
            counted = self.rates.begin(plan)
            if isinstance(counted, Reply):
                return counted
            if counted is not None:
                return Held(headers, body, counted=counted)
        return self._whole(plan, headers, body)

    def _whole(self, plan: Plan, headers: Headers, body: bytes | None) -> bytes | Held | Owing | Reply:
        """What leaves as it came, or waits for its checks."""
        return Held(headers, body) if plan.checks else self.leave(plan, headers, body)

    # External authorization.

    def inquire(self, plan: Plan, held: Held, told: Told) -> Inquiry:
        """The questions about a request that waits; `told` is given the answers."""
        said, headers = said_by(held.messages), held.headers
        if plan.routed.minted:
            # What the agent gives there does not leave, and may be a handle (`Owners.claim`).
            headers = [field for field in headers if field[0] != b"authorization"]
        question = Question(plan, headers, held.body, self._wall(), said)
        return self.authorizer.inquiry(question, plan.checks, self.policy, told)

    def settle(
        self, plan: Plan, held: Held, outcome: tuple[Approval, ...] | Refusal
    ) -> bytes | Owing | Reply:
        """The request as it leaves when every check said yes, without the body that is still to come; or no."""
        if isinstance(outcome, Refusal):
            self._record_provisional(plan, outcome.reason)
            if held.messages:
                return unauthorized(plan, held, outcome.reason, forbidden=self.forbidden)
            status = 413 if outcome.reason is Reason.HTTP_BODY_TOO_LARGE else 403
            return replies.problem(status, outcome.reason, str(plan.routed.destination))
        self._record_provisional(plan, None)
        headers = held.headers
        for approval in outcome:
            headers = approval.applied(headers)
        return self.leave(plan, headers, held.body)

    def _record_provisional(self, plan: Plan, refused: Reason | None) -> None:
        """What was decided, and what became of it."""
        routed = plan.routed
        plan.decided += tuple([(method, name) for method, name, _ in plan.provisional])
        for method, name, decision in plan.provisional:
            final = decision if refused is None else replace(decision, allowed=False, reason=refused)
            self.recorder.decision(routed.direction, plan.principal, routed.backend, method, name, final)

    # The answer.

    def answer(self, plan: Plan, head: ResponseHead) -> Answer:
        """How this answer goes back. Raises AnswerRefused."""
        closing = self.draining or not plan.head.keep_alive
        owners = self.departure.owners
        if owners is None or not owners.concerns(plan):
            return choose_answer(plan, head, self, closing=closing)
        return owners.answer(plan, head, self, closing=closing)
