"""Whose request it is that the agent sends, and the credential that it leaves with.

The agent holds handles at most. Each ends here, whoever it is sent to; what it stands for, or what else tells to
whom a request belongs, chooses the user's token that is exchanged for one of the Backend.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesh.policy.credentials import Hidden
from mesh.policy.documents import Backend
from mesh.policy.principal import User
from mesh.policy.user_auth import Correlation, Given
from mesh.protocol.http1.edited import without
from mesh.protocol.http1.heads import RequestHead, ResponseHead
from mesh.protocol.signs import Signs, names_two_traces, signs_of, signs_of_raw
from mesh.reasons import Reason
from sidecar.credentials.bearer import bearer_of
from sidecar.credentials.correlation import NOBODY
from sidecar.credentials.desk import Desk
from sidecar.credentials.handles import PREFIX, handles_in
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.session_calls import SESSION
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.hidden.secrets import Grants
from sidecar.proxy.answers import Answer
from sidecar.proxy.choose_answer import choose_answer
from sidecar.proxy.overheard import overheard
from sidecar.proxy.own_answer import own_answer
from sidecar.proxy.plan import Plan, Routed
from sidecar.proxy.redact import Redactor, Redactors
from sidecar.proxy.sessions import Sessions
from sidecar.telemetry.record import Recorder

if TYPE_CHECKING:
    from sidecar.proxy.pipeline import Pipeline

_NO_GRANTS = Grants()
MOST_REMEMBERED = 64
"""Redactors that are at hand without asking what else is in use."""
_HOLDS_NONE = "holds no handle"
_BROKEN = TokenRefused(Reason.HANDLE_UNKNOWN, "Authorization begins with a handle, and is none")
_NO_HANDLE = re.compile(rb"(?i:bearer)[ \t]+(?!orh_[A-Za-z0-9_-]{43}(?:[\s,]|\Z))orh_")
_MAY_HOLD_HANDLES = frozenset({b"authorization", b"proxy-authorization"})
"""In these one may stand within base64."""


class Owners:
    """Finds the user of an outbound request, and gets the credential for it, and the user's session."""

    def __init__(self, desk: Desk, recorder: Recorder) -> None:
        self.sessions = Sessions(desk.sessions, desk.sources, desk.calls)
        self._desk = desk
        self._sources = desk.sources
        self._recorder = recorder
        self._redactors = Redactors()
        self._of_issued: dict[tuple[Backend, tuple[bytes, ...]], tuple[int, Redactor]] = {}
        """By Backend and the secrets of what it was sent, as long as nothing else is issued."""

    # Whose it is.

    def claim(self, head: RequestHead, routed: Routed) -> tuple[RequestHead, Verified | TokenRefused | None]:
        """The head without handles, and what they stand for. Several that differ are nobody's."""
        if _HOLDS_NONE in head.memo:
            return head, None
        carrying = [field for field in head.headers if PREFIX in field[1] or field[0] in _MAY_HOLD_HANDLES]
        if not carrying:
            # Heads without credentials are shared between requests, and what they hold is found out once.
            head.memo[_HOLDS_NONE] = True
            return head, None
        found = [handle for _, value in carrying for handle in handles_in(value)]
        if not found:
            return head, _BROKEN if _is_broken(head) else self._brought(head)
        if not routed.for_users:
            names = sorted({name.decode("latin-1") for name, value in carrying if handles_in(value)})
            self._recorder.handle_stripped(routed.backend, str(routed.destination), names)
        meant = _BROKEN if _is_broken(head) else self._meant(found)
        if routed.minted and all(name == b"authorization" for name, _ in carrying):
            return head, meant  # what stands there is replaced anyway
        carrying = [field for field in carrying if handles_in(field[1])]
        return without(head, carrying), meant

    def _brought(self, head: RequestHead) -> Verified | None:
        """A token that the policy lets the application have, and that it sends on."""
        auth = self._desk.auth
        if auth is None or auth.given is not Given.TOKEN or b"authorization" not in head.fields:
            return None
        try:
            token = bearer_of(head)
        except TokenRefused:
            return None
        known = None if token is None else self._desk.users.known(token)
        return known if isinstance(known, Verified) else None

    def _meant(self, handles: list[bytes]) -> Verified | TokenRefused:
        try:
            known = [self._desk.handles.find(handle) for handle in handles]
        except TokenRefused as refused:
            return refused
        if any(_differ(one.user, known[0].user) for one in known):
            return TokenRefused(Reason.SUBJECT_AMBIGUOUS, "handles of several users")
        return known[0]

    def belong(self, plan: Plan, body: bytes | None = None) -> None:
        """Find the user by what the request has in common with an inbound one, where no handle told."""
        if self._desk.auth is None or plan.doubt is not None:
            return
        if plan.subject is not None:
            self._contest(plan, plan.subject)
            return
        fields = plan.head.fields
        if names_two_traces(plan.head.headers, fields):
            plan.claimed(TokenRefused(Reason.SUBJECT_AMBIGUOUS, "traceparent is repeated"))
            return
        signs = signs_of(fields, None) if body is None else signs_of_raw(fields, body)
        try:
            owner = self._desk.belongings.owner(signs)
        except TokenRefused as refused:
            plan.claimed(refused)
            return
        if owner is not None:
            plan.claimed(owner)

    def _contest(self, plan: Plan, known: Verified) -> None:
        """A handle tells that this user is in a session that so far was another's alone: then it is nobody's.

        That is so where an agent goes on upstream in the sessions of its callers. Nothing is learnt of a session
        that nobody was known by.
        """
        session = plan.head.fields.get(SESSION)
        if session is None:
            return
        signs = Signs(session=session.decode("latin-1"))
        try:
            other = self._desk.belongings.said(signs)
        except TokenRefused:
            return
        if other is not None and _differ(other.user, known.user):
            self._desk.belongings.learns(known, signs)

    # What it leaves with.

    def ready(self, plan: Plan) -> bool:
        """Whether the credential that has to be put in is at hand, and the user's session; the hot path."""
        if plan.doubt is not None and plan.routed.for_users:
            return False
        if plan.issued is None:
            plan.issued = self._sources.ready(_backend(plan), plan.subject, plan.more_scopes)
        try:
            return plan.issued is not None and (not plan.routed.for_users or self.sessions.entered(plan))
        except TokenRefused:
            # `outcome` finds the same, and says so.
            return False

    async def outcome(self, plan: Plan) -> CredentialRefused | None:
        """Obtain what `ready` did not find; None when it is in the plan."""
        if plan.doubt is not None and plan.routed.for_users:
            return CredentialRefused(plan.doubt.reason, plan.doubt.detail)
        try:
            self.sessions.entered(plan)
            if plan.issued is None:
                sources = self._desk.sources
                plan.issued = await sources.obtain(_backend(plan), plan.subject, plan.more_scopes)
            await self.sessions.enter(plan)
        except CredentialRefused as refused:
            return refused
        except TokenRefused as refused:
            return CredentialRefused(refused.reason, refused.detail)
        return None

    def rejected(self, plan: Plan, head: ResponseHead) -> bool:
        """Whether the same request may pass with another credential or session, after this answer to it."""
        if plan.issued is None:
            return False
        if self.sessions.lost(plan, head):
            return True
        sources = self._desk.sources
        scopes = sources.rejected(_backend(plan), plan.subject, plan.issued, head, plan.more_scopes)
        if scopes is None:
            return False
        plan.issued, plan.more_scopes = None, scopes
        return True

    def concerns(self, plan: Plan) -> bool:
        """Whether the answer to a request is one for `answer`: it has a user or a credential, or begins something
        with nobody."""
        if plan.subject is not None or plan.routed.credential is not None:
            return True
        begins = plan.routed.direction == "inbound" and plan.head.method == "POST"
        return begins and self._desk.auth is not None

    def answer(self, plan: Plan, head: ResponseHead, pipeline: Pipeline, *, closing: bool) -> Answer:
        """How an answer goes back that `concerns` users or credentials."""
        if plan.routed.credential is None:
            answer = choose_answer(plan, head, pipeline, closing=closing)
            return self._learning(plan, head, answer) if plan.routed.direction == "inbound" else answer
        if plan.routed.for_users:
            head = self.sessions.shown(plan, head)
        redactor = self.redactor(plan)
        if redactor:
            plan.secrets = self
        return own_answer(plan, head, pipeline, redactor, closing=closing)

    @property
    def issued(self) -> int:
        """How many credentials were: where it has changed, `redactor` may give another one."""
        return self._sources.issued

    def redactor(self, plan: Plan) -> Redactor:
        """What takes credentials out of the answer: this request's, and others that the Backend was sent."""
        credential, hidden = plan.routed.credential, self._desk.hidden
        if isinstance(credential, Hidden) and hidden is not None:
            return self._redactors.of(hidden.grants(credential.variables))
        if plan.looked is not None and plan.looked[0] == self._sources.issued:
            return plan.looked[1]
        plan.looked = found = self._sources.issued, self._redactor_of(plan)
        return found[1]

    def _redactor_of(self, plan: Plan) -> Redactor:
        own, backend = () if plan.issued is None else plan.issued.secrets, _backend(plan)
        known = self._of_issued.get((backend, own))
        if known is None or known[0] != self._sources.issued:
            known = self._sources.issued, self._redactors.of(_NO_GRANTS, own, self._sources.secrets(backend))
            if len(self._of_issued) >= MOST_REMEMBERED:
                self._of_issued.clear()
            self._of_issued[backend, own] = known
        return known[1]

    def told(self, plan: Plan, detail: str) -> str:
        """What may be said of an answer to this request, of which `detail` may quote something."""
        return detail if plan.routed.credential is None else self.redactor(plan).detail(detail)

    def _learning(self, plan: Plan, head: ResponseHead, answer: Answer) -> Answer:
        """A session that the application begins for a user is that user's, and so are conversations and tasks.
        What it begins with nobody is nobody's.

        Not so the sessions that servers begin for the agent, not even where the request came with a user's handle:
        agents use one for whoever comes next. Who sends a handle with each request is heard by the handle, and
        what the agent sends in there without one would become the first user's, instead of nobody's. What shows
        that a session is shared counts all the same (`_contest`).
        """
        auth, subject, ticket = self._desk.auth, plan.subject or NOBODY, plan.ticket
        if auth is None:
            return answer
        belongings = self._desk.belongings
        session = head.fields.get(SESSION)
        if session is not None:
            belongings.learns(subject, Signs(session=session.decode("latin-1")), ticket)
        if Correlation.CONTEXT not in auth.correlation:
            return answer
        return overheard(
            answer, head, lambda found: belongings.learns(subject, Signs(contexts=found), ticket)
        )


def _is_broken(head: RequestHead) -> bool:
    """Whether a Bearer token begins as a handle does and is none: cut, or with something behind it. Who sends one
    means a user, so nothing else tells whose the request is."""
    return _NO_HANDLE.match(head.fields.get(b"authorization", b"")) is not None


def _backend(plan: Plan) -> Backend:
    """Whose credential is put in: that of the path which the request goes to, whatever it is decided as."""
    target = plan.routed.target
    assert isinstance(target, Backend)  # noqa: S101 - only Backends have credentials
    return target


def _differ(one: User, other: User) -> bool:
    """Whether they are two, whatever their tokens allow."""
    return (one.issuer, one.subject) != (other.issuer, other.subject)
