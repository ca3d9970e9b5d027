"""How a decided request leaves: without what is nobody's business there, with the credential that belongs there.

Inbound it goes to the application, and that a user's request is under way is remembered until its answer is over.
"""

from __future__ import annotations

from mesh.policy.credentials import Hidden
from mesh.protocol.http1.edited import without
from mesh.protocol.http1.heads import Headers, RequestHead
from mesh.protocol.signs import signs_of_raw
from mesh.reasons import Reason
from sidecar.credentials.caller_tokens import CallerTokens
from sidecar.credentials.desk import Desk
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.hidden.secrets import HiddenSecrets
from sidecar.hidden.swap import Stopped, readable, swap_body, swap_headers, swap_target
from sidecar.hidden.watch import PlaceholderWatch
from sidecar.proxy.outgoing import outgoing
from sidecar.proxy.owners import Owners
from sidecar.proxy.plan import Owing, Plan, Reply, Routed
from sidecar.proxy.replies import no_credential, problem, refused_destination
from sidecar.telemetry.record import Recorder


class Departure:
    """Takes out and puts in. `owners` is None where nobody knows of users and credentials."""

    def __init__(self, tokens: CallerTokens, recorder: Recorder, desk: Desk | None) -> None:
        self.tokens = tokens
        self._recorder = recorder
        self._desk = desk
        self.hidden = None if desk is None else desk.hidden
        self.owners = None if desk is None else Owners(desk, recorder)

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
            self._begin(plan, body)
        elif plan.minted:
            if self.owners is None or (plan.issued is None and not self.owners.ready(plan)):
                return Owing(headers, body)
            plan.sent = Owing(headers, body) if body is not None or not plan.head.body_length else None
        if self.hidden and plan.routed.direction == "outbound":
            return self._leave_searched(plan, headers, body, self.hidden)
        if body is None:
            return outgoing(plan, headers, plan.head.body_length)
        return outgoing(plan, headers, len(body)) + body

    def _leave_searched(
        self, plan: Plan, headers: Headers, body: bytes | None, hidden: HiddenSecrets
    ) -> bytes | Reply:
        """With the secrets for the placeholders that this Backend gets; none if it holds another one."""
        credential = plan.routed.credential
        grants = hidden.grants(credential.variables if isinstance(credential, Hidden) else ())
        media = plan.head.fields.get(b"content-type")
        try:
            path = swap_target(plan.routed.path, grants)
            headers = swap_headers(headers, grants)
            if body is None:
                plan.watch = PlaceholderWatch(grants.known.difference(grants.secrets))
                return outgoing(plan, headers, plan.head.body_length, path)
            if body and grants.secrets and not readable(plan.head):
                coding = plan.head.fields[b"content-encoding"].decode("latin-1")
                return problem(415, Reason.PLACEHOLDER_UNREADABLE, f"Content-Encoding {coding!r}")
            body = swap_body(body, media, grants)
        except Stopped as stopped:
            return self.stop(plan, hidden.named(stopped.placeholders))
        except CredentialRefused as refused:
            return no_credential(plan, refused)
        return outgoing(plan, headers, len(body), path) + body

    def stopped(self, plan: Plan) -> Reply:
        """The watch over a body that streams has found something."""
        found = () if plan.watch is None or plan.watch.found is None else (plan.watch.found,)
        return self.stop(plan, "" if self.hidden is None else self.hidden.named(found))

    def stop(self, plan: Plan, what: str) -> Reply:
        """The agent sent a placeholder where its secret does not belong."""
        routed = plan.routed
        self._recorder.placeholder_stopped(routed.backend, str(routed.destination), what)
        return refused_destination(
            Reason.PLACEHOLDER_STOPPED, f"{what}, to {routed.destination}", plan.pending
        )

    def _begin(self, plan: Plan, body: bytes | None) -> None:
        self.tokens.remember(plan.head, plan.principal.id)
        if plan.subject is not None and plan.ticket is None and self._desk is not None:
            signs = signs_of_raw(plan.head.fields, body or b"")
            plan.ticket = self._desk.belongings.begins(plan.subject, signs)

    def over(self, plan: Plan) -> None:
        """The request has had its answer, or will have none. Safe to call twice."""
        ticket, plan.ticket = plan.ticket, None
        if ticket is not None and self._desk is not None:
            self._desk.belongings.ends(ticket)
