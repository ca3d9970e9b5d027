"""How a decided request leaves: without what is nobody's business there, with the credential that belongs there.

Inbound it goes to the application, and that a user's request is under way, or one of nobody's, is remembered until
its answer is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.protocol.http1.edited import without
from mesh.protocol.http1.heads import Headers, RequestHead
from mesh.protocol.signs import signs_of_raw
from mesh.reasons import Reason
from sidecar.credentials.caller_tokens import CallerTokens
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.proxy.outgoing import outgoing
from sidecar.proxy.plan import Owing, Plan, Reply, Routed
from sidecar.proxy.replies import problem
from sidecar.telemetry.record import Recorder

if TYPE_CHECKING:
    from sidecar.credentials.desk import Desk
    from sidecar.proxy.owners import Owners
    from sidecar.proxy.placeholders import PlaceholderSearch


class Departure:
    """Takes out and puts in. `owners` is None where nobody knows of users and credentials, `search` where nothing
    is hidden."""

    def __init__(self, tokens: CallerTokens, recorder: Recorder) -> None:
        self.tokens = tokens
        self._recorder = recorder
        self.desk: Desk | None = None
        self.owners: Owners | None = None
        self.search: PlaceholderSearch | None = None

    def strip(self, head: RequestHead, routed: Routed) -> tuple[RequestHead, Verified | TokenRefused | None]:
        """The agent's request without handles and without tokens that callers gave it for itself, and whose handle
        it was."""
        claim = None
        if self.owners is not None:
            head, claim = self.owners.claim(head, routed)
        if self.tokens.known:
            head = self._without_callers_tokens(head, routed)
        return head, claim

    def _without_callers_tokens(self, head: RequestHead, routed: Routed) -> RequestHead:
        """What a caller gave to the agent goes on to its audience only."""
        foreign = self.tokens.foreign(head, routed)
        if not foreign or routed.refusal is not None:
            return head
        headers = sorted({name.decode("latin-1") for name, _ in foreign})
        self._recorder.caller_token(routed.backend, str(routed.destination), headers)
        return without(head, foreign)

    def leave(self, plan: Plan, headers: Headers, body: bytes | None) -> bytes | Owing | Reply:
        """The request as it leaves, only its head where `body` is None and streams.

        Or that its credential has to be obtained first (`Owners.outcome`), or why it must not leave.
        """
        if plan.routed.direction == "inbound":
            if (refused := self._begin(plan, body)) is not None:
                return refused
        elif plan.routed.minted:
            if self.owners is None:
                return Owing(headers, body)
            if plan.head.method == "DELETE" and (reply := self.owners.sessions.end(plan)) is not None:
                return reply
            if not self.owners.ready(plan):
                return Owing(headers, body)
            plan.sent = Owing(headers, body) if body is not None or not plan.head.body_length else None
        if self.search is not None and plan.routed.direction == "outbound":
            return self.search.leave(plan, headers, body)
        if body is None:
            return outgoing(plan, headers, plan.head.body_length)
        return outgoing(plan, headers, len(body)) + body

    def _begin(self, plan: Plan, body: bytes | None) -> Reply | None:
        """Note that it is under way; or why that cannot be, and the application must not get it."""
        self.tokens.remember(plan.head, plan.principal.id)
        if plan.ticket is None and self.desk is not None and self.desk.auth is not None:
            signs, belongings = signs_of_raw(plan.head.fields, body or b""), self.desk.belongings
            if belongings.exceeded(signs):
                detail = "one request names more conversations, tasks or traces than are kept apart"
                self._recorder.refused_message("client", plan.principal.id, Reason.BATCH_TOO_LARGE, detail)
                return problem(400, Reason.BATCH_TOO_LARGE, detail)
            if plan.subject is None:
                plan.ticket = belongings.begins_for_nobody(signs)
            else:
                plan.ticket = belongings.begins(plan.subject, signs)
        return None

    def told(self, plan: Plan, detail: str) -> str:
        """Why there is no answer, without what it would show of a credential."""
        return detail if self.owners is None else self.owners.told(plan, detail)

    async def close(self) -> None:
        """End what is under way of our own."""
        if self.owners is not None:
            await self.owners.sessions.close()

    def over(self, plan: Plan) -> None:
        """The request has had its answer, or will have none. Safe to call twice."""
        ticket, plan.ticket = plan.ticket, None
        if ticket is not None and self.desk is not None:
            self.desk.belongings.ends(ticket)
