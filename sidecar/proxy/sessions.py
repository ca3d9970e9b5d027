"""Each user's own MCP session upstream, behind the one that the agent has (`UserSessions` says why).

Only where the credential is a user's: a Backend with protocol MCP and an `exchange` or `idJag`. The agent sees its
own session, the server that of the user whose request it is; it is begun by the sidecar when the user's first
request comes, with the user's credential, once however many requests wait for it.

Nobody is a user like any other. With `withoutUser: refuse` an agent that has no user yet cannot call `initialize`
(`subject_missing`): there is no credential to begin a session with. It begins one with the first user's handle, or
for itself with `withoutUser: client-credentials`; either way others then have theirs behind it. The same holds for
a stream (GET) that it opens in a session: it is that of whoever the request belongs to.

A server that lost a user's session (404) is asked for another one, once for a request. Where it is the agent's own
that is lost the agent is told, because what it set in there is lost as well. Which user's requests are meant when
the agent ends its session cannot be asked: all users' sessions are ended, each with its own user's credential.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import structs

from mesh.policy.documents import Backend, BackendProtocol
from mesh.protocol.http1.heads import ResponseHead
from mesh.protocol.mcp.versions import VERSION_HEADER
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.session_calls import (
    LONGEST_SESSION,
    SESSION,
    Calls,
    NotBegun,
    Place,
    begin,
    end,
    unavailable,
)
from sidecar.credentials.sources import Sources
from sidecar.credentials.user_sessions import NeedsSession, Pass, UserSessions
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.proxy.answers import AnswerRefused
from sidecar.proxy.plan import Plan, Reply
from sidecar.proxy.pool import Destination, TlsMode
from sidecar.tasks import spawn

OPENING_SECONDS = 20.0
"""From a user's first request to its session, with another credential where the server wants one."""
MOST_ENDING = 512
"""Sessions whose end waits to be told; the server forgets the others in its own time."""
AT_ONCE = 8
"""Of those, told at the same time."""

_GONE = 404
_Key = tuple[str, bytes, tuple[str, str] | None]
"""The server, the agent's session, the user."""


class Sessions:
    """Chooses, begins and ends. `calls` makes calls of our own to one destination."""

    __slots__ = ("_calls", "_ending", "_known", "_opening", "_sources", "_turns")

    def __init__(self, known: UserSessions, sources: Sources, calls: Callable[[Destination], Calls]) -> None:
        self._known = known
        self._sources = sources
        self._calls = calls
        self._opening: dict[_Key, asyncio.Task[bytes | CredentialRefused]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)

    # Requests.

    def entered(self, plan: Plan) -> bool:
        """Whether the request has its session, if it is in one; False: `enter` begins it.

        Raises TokenRefused (SESSION_OF_ANOTHER), upon which the agent begins anew.
        """
        if plan.session is not None or not _within(plan):
            return True
        return self._look(plan) is None

    def _look(self, plan: Plan) -> NeedsSession | None:
        """The user's session goes into the plan, where there is one."""
        step = self._known.for_request(_server(plan), plan.head.fields[SESSION], plan.subject)
        if isinstance(step, Pass):
            plan.session = step.session
            return None
        return step

    async def enter(self, plan: Plan) -> None:
        """Begin the user's session, with the credential in the plan, unless somebody has by now.

        Raises TokenRefused as `entered`, and CredentialRefused where the server gives none.
        """
        if plan.session is not None or not _within(plan):
            return
        needs = self._look(plan)
        if needs is None:
            return
        outcome = await asyncio.shield(self._opened(plan, needs))
        if isinstance(outcome, CredentialRefused):
            raise CredentialRefused(outcome.reason, outcome.detail)
        plan.session = outcome

    def _opened(self, plan: Plan, needs: NeedsSession) -> asyncio.Task[bytes | CredentialRefused]:
        """What becomes of it, for everybody who waits; it goes on when nobody does any more."""
        key = _key(plan)
        task = self._opening.get(key)
        if task is None:
            task = self._opening[key] = spawn(self._open(plan, needs), name=f"begin a session at {key[0]}")
            task.add_done_callback(lambda _: self._opening.pop(key, None))
        return task

    async def _open(self, plan: Plan, needs: NeedsSession) -> bytes | CredentialRefused:
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                place, session = await self._begin(plan, needs)
        except CredentialRefused as refused:
            return refused
        except TimeoutError:
            return unavailable(f"the server gave a user no session within {OPENING_SECONDS:g} s")
        return self._keep(plan, place, session)

    async def _begin(self, plan: Plan, needs: NeedsSession) -> tuple[Place, bytes]:
        """The session, and with what it was begun. As for any request, a 401 is worth another credential."""
        issued, scopes = plan.issued, plan.more_scopes
        assert issued is not None  # noqa: S101 - it is obtained before
        version = plan.head.fields.get(VERSION_HEADER)
        place = self._place(plan, issued)
        try:
            return place, await begin(place, needs, version)
        except NotBegun as refused:
            head = ResponseHead(refused.status, b"", refused.headers, 0, True, dict(refused.headers))
            more = self._sources.rejected(_backend(plan), plan.subject, issued, head, scopes)
            if more is None:
                raise _not_begun(refused) from refused
        issued = await self._sources.obtain(_backend(plan), plan.subject, more)
        place = self._place(plan, issued)
        try:
            return place, await begin(place, needs, version)
        except NotBegun as refused:
            raise _not_begun(refused) from refused

    def _keep(self, plan: Plan, place: Place, session: bytes) -> bytes | CredentialRefused:
        """From now on it is this user's, unless that is settled otherwise meanwhile."""
        try:
            kept = self._known.opened(_server(plan), plan.head.fields[SESSION], plan.subject, session)
        except TokenRefused as refused:
            return unavailable(refused.detail)
        if kept != session:
            self._end_soon(place, session)
        if kept is None:
            return CredentialRefused(Reason.SESSION_OF_ANOTHER, "the session has ended")
        return kept

    def lost(self, plan: Plan, head: ResponseHead) -> bool:
        """Whether the server has forgotten this user's session, and the request may be sent in another one."""
        session, agents = plan.session, plan.head.fields.get(SESSION)
        if head.status != _GONE or session is None or agents is None or session == agents:
            return False
        if plan.head.method == "DELETE":
            return False
        self._known.gone(_server(plan), agents, plan.subject, session)
        plan.session = None
        return True

    # Answers.

    def shown(self, plan: Plan, head: ResponseHead) -> ResponseHead:
        """The answer as the agent sees it: in its own session. A session that the agent begins is noted here.

        Raises AnswerRefused where a server gives out a session that is in use.
        """
        if not _is_of_users(plan):
            return head
        agents, given = plan.head.fields.get(SESSION), head.fields.get(SESSION)
        if agents is not None:
            if not plan.pending and 200 <= head.status < 300 and _method(plan) == "notifications/initialized":
                self._known.initialized(_server(plan), agents, _sent(plan))
            return head if given is None else _with_session(head, agents)
        if given is None:
            return head
        if head.status != 200 or len(given) > LONGEST_SESSION or _method(plan) != "initialize":
            # The agent could not go on in it: how it would be begun for another user is not known.
            return _with_session(head, None)
        try:
            self._known.began(_server(plan), given, plan.subject, _sent(plan), None)
        except TokenRefused as refused:
            raise AnswerRefused(Reason.SESSION_UNAVAILABLE, refused.detail) from refused
        # As one field, whatever the server repeats.
        return _with_session(head, given)

    # The end.

    def end(self, plan: Plan) -> Reply | None:
        """The agent ends its session, and with it everybody's upstream.

        None where the request itself goes on, to end the session of whoever it belongs to; else the answer to it.
        """
        if plan.session is not None or not _within(plan):
            return None
        ended = self._known.ended(_server(plan), plan.head.fields[SESSION])
        own = None if plan.doubt is not None else _who(plan.subject)
        for verified, session in ended:
            if plan.doubt is None and _who(verified) == own:
                plan.session = session
                continue
            issued = self._sources.ready(_backend(plan), verified)
            if issued is not None:
                self._end_soon(self._place(plan, issued), session)
        return Reply(200, b"") if ended and plan.session is None else None

    def _end_soon(self, place: Place, session: bytes) -> None:
        if len(self._ending) < MOST_ENDING:
            task = spawn(self._end(place, session), name="end a session")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _end(self, place: Place, session: bytes) -> None:
        async with self._turns:
            await end(place, session)

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = [*self._opening.values(), *self._ending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _place(self, plan: Plan, issued: Issued) -> Place:
        """Where the request itself goes."""
        routed = plan.routed
        scheme = "https" if routed.destination.tls == TlsMode.PUBLIC else "http"
        url = f"{scheme}://{routed.authority.decode('latin-1')}{routed.path.decode('latin-1')}"
        return Place(self._calls(routed.destination), url, issued.fields)


def _is_of_users(plan: Plan) -> bool:
    routed = plan.routed
    return (
        routed.for_users
        and isinstance(routed.target, Backend)
        and routed.target.protocol is BackendProtocol.MCP
    )


def _within(plan: Plan) -> bool:
    """Whether the request is in a session of the agent's that has others behind it."""
    return SESSION in plan.head.fields and _is_of_users(plan)


def _backend(plan: Plan) -> Backend:
    target = plan.routed.target
    assert isinstance(target, Backend)  # noqa: S101 - only Backends have credentials
    return target


def _server(plan: Plan) -> str:
    """One endpoint: a Backend may cover several of them, by a wildcard or by what is below its path."""
    routed, backend = plan.routed, _backend(plan)
    return f"{backend.namespace}/{backend.name} {routed.authority.decode('latin-1')}{routed.plain_path}"


def _who(user: Verified | None) -> tuple[str, str] | None:
    return None if user is None else (user.user.issuer, user.user.subject)


def _key(plan: Plan) -> _Key:
    return _server(plan), plan.head.fields[SESSION], _who(plan.subject)


def _not_begun(refused: NotBegun) -> CredentialRefused:
    detail = f"the server answered HTTP {refused.status} to a user's initialize"
    if refused.status in (401, 403):
        return CredentialRefused(Reason.CREDENTIAL_NOT_ACCEPTED, detail)
    return unavailable(detail)


class _Named(msgspec.Struct):
    """Of a message only its method."""

    method: str = ""


_NAMED = msgspec.json.Decoder(_Named)


def _sent(plan: Plan) -> bytes:
    """The body as it left: kept whole, as every body to an MCP endpoint is."""
    return b"" if plan.sent is None or plan.sent.body is None else plan.sent.body


def _method(plan: Plan) -> str:
    """Of the one message that was sent; empty for a batch, and where there is none."""
    try:
        return _NAMED.decode(_sent(plan)).method
    except msgspec.DecodeError:
        return ""


def _with_session(head: ResponseHead, session: bytes | None) -> ResponseHead:
    headers = [field for field in head.headers if field[0] != SESSION]
    if session is not None:
        headers.append((SESSION, session))
    return structs.replace(head, headers=headers, fields=dict(headers), memo={})
