"""One session of the agent with an MCP server, and behind it one session for each user.

Servers bind a session to the principal of the token that began it, and answer 404 to another's (MCP, Security Best
Practices, Session Hijacking). Agents begin a session once, often on behalf of nobody, and then call for many users
in it. So where each request carries a credential of its user, each user has a session of its own upstream, begun
with the very messages with which the agent began its own. The agent sees one session id, which never changes.

This is the book-keeping only: whoever holds it opens and ends sessions. A user is ISSUER and SUBJECT, so that a
refreshed token goes on with the session of the one before; nobody (no user, the agent's own credential) is a user
like any other.

What a user's own session cannot have: its standing stream (GET) is not opened, so what a server says outside of
its answers to this user's requests reaches nobody; what the agent set in its session for itself (log level,
subscriptions) does not hold in the others; and an answer that the agent posts to a request of the server has to be
known as the user's like any other request. A stream is resumed (Last-Event-ID) in the session of whoever resumes
it. 2026-07-28 has no sessions, and needs none of this.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mesh.reasons import Reason
from sidecar.credentials.verified import TokenRefused, Verified

LONGEST_BYTES: Final = 65_536
"""Of an initialize request that is kept. After a longer one only whoever sent it can use the session."""
MOST_BYTES: Final = 4 * 1024 * 1024
"""Of all of them together."""
MOST_USERS: Final = 256
"""Of one of the agent's sessions; the one who used it least recently has to begin anew."""

_INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'

_Owner = tuple[str, str]
_NOBODY: _Owner = ("", "")
_Name = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Pass:
    """Send the request with this Mcp-Session-Id."""

    session: bytes


@dataclass(frozen=True, slots=True)
class NeedsSession:
    """This user has no session yet: send these two messages with the user's credential, then tell `opened`.

    `version`: what the server chose for the agent's session, for MCP-Protocol-Version; None where it is unknown.
    """

    initialize: bytes
    initialized: bytes
    version: str | None


class _Upstream:
    """A user's session. `verified`: the newest token of this user, with which the session can be ended."""

    __slots__ = ("passing", "verified")

    def __init__(self, session: bytes, verified: Verified | None) -> None:
        self.passing = Pass(session)
        self.verified = verified


class _AgentSession:
    __slots__ = ("name", "needs", "size", "touched", "users")

    def __init__(self, name: _Name, needs: NeedsSession | None) -> None:
        self.name = name
        self.needs = needs
        self.size = 0 if needs is None else len(needs.initialize) + len(needs.initialized)
        self.touched = 0.0
        self.users: OrderedDict[_Owner, _Upstream] = OrderedDict()


class UserSessions:
    """At most `limit` sessions of the agent and four times as many upstream, for `seconds` after the last use.

    Where the server gives no Mcp-Session-Id nothing is to be told here. `backend`: any stable name of one. Session
    ids are the header's value. `now`: seconds since any moment.
    """

    def __init__(
        self, *, limit: int = 1024, seconds: float = 86_400.0, now: Callable[[], float] = time.time
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._now = now
        self._sessions: OrderedDict[_Name, _AgentSession] = OrderedDict()
        """By backend and the id that the agent sees, the least recently used first."""
        self._taken: dict[_Name, tuple[_AgentSession, _Owner]] = {}
        """By backend and the id upstream: whose each is."""
        self._bytes = 0

    def began(
        self, backend: str, session: bytes, user: Verified | None, initialize: bytes, version: str | None
    ) -> None:
        """The server answered this initialize request of the agent, sent for this user, with this session.

        Raises TokenRefused (SESSION_OF_ANOTHER) where the server gave out a session that is in use.
        """
        name = (backend, session)
        before = self._sessions.get(name)
        taken = self._taken.get(name)
        if taken is not None and taken != (before, _owner(user)):
            raise _given_twice()
        if before is not None:
            self._drop(before)
        kept = len(initialize) <= LONGEST_BYTES
        agents = _AgentSession(name, NeedsSession(initialize, _INITIALIZED, version) if kept else None)
        self._sessions[name] = agents
        self._bytes += agents.size
        self._keep(agents, user, session)
        self._make_room(agents)

    def initialized(self, backend: str, session: bytes, body: bytes) -> None:
        """The agent's own notifications/initialized; without it the plain one is sent."""
        agents = self._sessions.get((backend, session))
        if agents is not None and agents.needs is not None and len(body) <= LONGEST_BYTES:
            agents.needs = NeedsSession(agents.needs.initialize, body, agents.needs.version)
            self._bytes -= agents.size
            agents.size = len(agents.needs.initialize) + len(body)
            self._bytes += agents.size
            self._make_room(agents)

    def for_request(self, backend: str, session: bytes, user: Verified | None) -> Pass | NeedsSession:
        """What a request of the agent in `session`, which belongs to `user`, is sent with.

        Raises TokenRefused (SESSION_OF_ANOTHER) where the session is not known, or how it began: the agent gets a
        404, upon which clients begin a new session.
        """
        agents = self._sessions.get((backend, session))
        now = self._now()
        if agents is None or agents.touched + self._seconds <= now:
            raise TokenRefused(Reason.SESSION_OF_ANOTHER, "the session was not begun here, or is forgotten")
        self._sessions.move_to_end(agents.name)
        agents.touched = now
        owner = _owner(user)
        upstream = agents.users.get(owner)
        if upstream is not None:
            agents.users.move_to_end(owner)
            upstream.verified = user
            return upstream.passing
        if agents.needs is None:
            raise TokenRefused(Reason.SESSION_OF_ANOTHER, "how the session began was too long to be kept")
        return agents.needs

    def opened(self, backend: str, session: bytes, user: Verified | None, upstream: bytes) -> bytes | None:
        """The server gave this user the session `upstream`. Returns the one to use from now on.

        That is another one where two requests at once needed one, and None where the agent's session has ended
        meanwhile: in both cases `upstream` is to be ended. Raises TokenRefused (SESSION_OF_ANOTHER) where the
        server gave out a session that is in use; that one must not be ended.
        """
        agents = self._sessions.get((backend, session))
        existing = None if agents is None else agents.users.get(_owner(user))
        taken = self._taken.get((backend, upstream))
        if taken is not None and (existing is None or existing.passing.session != upstream):
            raise _given_twice()
        if agents is None:
            return None
        if existing is not None:
            return existing.passing.session
        self._keep(agents, user, upstream)
        self._make_room(agents)
        return upstream

    def gone(self, backend: str, session: bytes, user: Verified | None, upstream: bytes) -> None:
        """The server answered 404 to this user in the session `upstream`: the user needs another one.

        Said of a session that was replaced already it changes nothing, so of two requests that find out at once
        only one opens another.
        """
        agents = self._sessions.get((backend, session))
        if agents is not None:
            known = agents.users.get(_owner(user))
            if known is not None and known.passing.session == upstream:
                self._release(agents, _owner(user))

    def ended(self, backend: str, session: bytes) -> tuple[tuple[Verified | None, bytes], ...]:
        """The agent ends its session (DELETE): the users' sessions to end upstream, each with its newest token."""
        agents = self._sessions.get((backend, session))
        if agents is None:
            return ()
        self._drop(agents)
        return tuple((upstream.verified, upstream.passing.session) for upstream in agents.users.values())

    def __len__(self) -> int:
        """How many sessions there are upstream."""
        return len(self._taken)

    def _keep(self, agents: _AgentSession, user: Verified | None, session: bytes) -> None:
        owner = _owner(user)
        agents.users[owner] = _Upstream(session, user)
        self._taken[agents.name[0], session] = (agents, owner)

    def _release(self, agents: _AgentSession, owner: _Owner) -> None:
        upstream = agents.users.pop(owner)
        del self._taken[agents.name[0], upstream.passing.session]

    def _drop(self, agents: _AgentSession) -> None:
        del self._sessions[agents.name]
        self._bytes -= agents.size
        for upstream in agents.users.values():
            del self._taken[agents.name[0], upstream.passing.session]

    def _make_room(self, used: _AgentSession) -> None:
        """Forget what has ended and, as far as it takes, what was least recently used; `used` is used now."""
        used.touched = self._now()
        self._sessions.move_to_end(used.name)
        ended = used.touched - self._seconds
        while (oldest := next(iter(self._sessions.values()))) is not used and (
            oldest.touched <= ended
            or len(self._sessions) > self._limit
            or len(self._taken) > 4 * self._limit
            or self._bytes > MOST_BYTES
        ):
            self._drop(oldest)
        while len(used.users) > MOST_USERS or len(self._taken) > 4 * self._limit:
            self._release(used, next(iter(used.users)))


def _owner(user: Verified | None) -> _Owner:
    return _NOBODY if user is None else (user.user.issuer, user.user.subject)


def _given_twice() -> TokenRefused:
    return TokenRefused(Reason.SESSION_OF_ANOTHER, "the server gave out a session that is in use")
