"""Whose request an outbound one belongs to, where the agent forwards neither a handle nor a token.

What inbound requests of users say of themselves (their trace, session, conversation) is remembered with the user,
and an outbound request that says the same belongs to that user. The rules err to one side only:

- A sign that two users were seen with belongs to nobody from then on, and so does a request whose signs name two
  users. Signs are chosen by callers, so a caller who copies another one's gets both refused, and never becomes
  the other one.
- Such a sign stays contested as long as anybody uses it. It never gives way for want of room, and neither does one
  whose request is under way; and a user can fill a share of the table only. So nobody can flood the table to push
  out what refuses a request.
- Requests without a user (where none is required, or past the door) count as those of one more, who is nobody: a
  sign that came with them is no user's, and with a user's too it is refused.
- A sign brings the newest token that came with it, and no other token of the same user, which might hold more
  scopes.

After a request is over its signs count for a while, because agents go on working after they have answered. An
agent can choose what it sends, so this keeps users apart in agents that mean well; an agent that does not can act
for every user whose requests it has, as it could with their handles.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from mesh.policy.principal import User
from mesh.policy.user_auth import DEFAULT_CORRELATION, Correlation
from mesh.protocol.signs import Signs
from mesh.reasons import Reason
from sidecar.credentials.verified import TokenRefused, Verified

MOST_OF_ONE: Final = 1024
"""Signs of one user: its own oldest give way, and not those of another."""

NOBODY: Final = Verified(User("", ""), "", 0.0, b"")
"""Who came without a user. No issuer has this name, and the token is never valid."""

_SWEEP_SECONDS = 1.0
_TWO_USERS = "two users, or one and a caller without a user, were seen with the same"
# Kinds of signs, as texts: enums cost more to look up. The last one is any kind's.
_TRACE, _CONTEXT, _SESSION = Correlation.TRACE.value, Correlation.CONTEXT.value, Correlation.SESSION.value
_CONTESTED = "contested"

_Key = tuple[str, str]


class _Token:
    """What is known of a token by now, shared by all that came with it: so it ends for all of them."""

    __slots__ = ("__weakref__", "verified")

    def __init__(self, verified: Verified) -> None:
        self.verified = verified

    def ends(self) -> None:
        self.verified = Verified(self.verified.user, "", 0.0, self.verified.key)


class _User:
    """A user with requests under way or signs. `resting`: those of its signs that may give way, oldest first."""

    __slots__ = ("name", "resting", "signs", "under_way")

    def __init__(self, name: tuple[str, str]) -> None:
        self.name = name
        self.signs = 0
        self.resting: OrderedDict[_Sign, None] = OrderedDict()
        self.under_way: dict[Ticket, None] = {}


class _Sign:
    """A text that requests were seen with. `owner` is the first user seen with it, and pays for its room.

    `ends` counts while no request is under way, in seconds since 1970.
    """

    __slots__ = ("contested", "ends", "key", "newest", "owner", "under_way")

    def __init__(self, key: _Key, owner: _User, newest: _Token) -> None:
        self.key = key
        self.owner = owner
        self.newest = newest
        self.contested = False
        self.under_way = 0
        self.ends = 0.0


class Ticket:
    """A user's request that is under way."""

    __slots__ = ("_signs", "_token", "_user")

    def __init__(self, token: _Token, user: _User) -> None:
        self._token = token
        self._user: _User | None = user
        self._signs: list[_Sign] = []

    @property
    def verified(self) -> Verified:
        """The token that it came with."""
        return self._token.verified


class Belongings:
    """Which user the requests belong to, by at most `limit` signs.

    `trace_seconds` and `seconds`: for how long a trace, and any other sign, counts after its last request. One
    user has at most a quarter of the limit, and at most MOST_OF_ONE. `now`: seconds since 1970.
    """

    def __init__(
        self,
        *,
        limit: int = 32_768,
        trace_seconds: float = 600.0,
        seconds: float = 3600.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._limit = limit
        self._share = max(1, min(MOST_OF_ONE, limit // 4))
        self._now = now
        self._sweep_at = 0.0
        self._signs: dict[_Key, _Sign] = {}
        self._users: dict[tuple[str, str], _User] = {}
        self._active: dict[_User, None] = {}
        self._tokens: WeakValueDictionary[bytes, _Token] = WeakValueDictionary()
        # In each queue every sign rests equally long, so each stands in the order in which its signs end. A trace
        # that two users were seen with stays as long as anything does.
        traces: OrderedDict[_Sign, None] = OrderedDict()
        others: OrderedDict[_Sign, None] = OrderedDict()
        self._resting: dict[str, tuple[OrderedDict[_Sign, None], float]] = {
            _TRACE: (traces, trace_seconds),
            _SESSION: (others, seconds),
            _CONTEXT: (others, seconds),
            _CONTESTED: (OrderedDict(), max(trace_seconds, seconds)),
        }
        self._queues = [traces, others, self._resting[_CONTESTED][0]]
        self.unrecorded = 0
        """How many signs found no room, because nothing that may give way was left."""
        self.use(DEFAULT_CORRELATION)

    def use(self, correlation: frozenset[Correlation]) -> None:
        """From now on these kinds of sign count. What others told is forgotten: it would be out of date."""
        self._traces = Correlation.TRACE in correlation
        self._sessions = Correlation.SESSION in correlation
        self._contexts = Correlation.CONTEXT in correlation
        self._sole = Correlation.SOLE in correlation
        for sign in [sign for key, sign in self._signs.items() if key[0] not in correlation]:
            self._forget(sign)

    def clear(self) -> None:
        """Nobody's request is known any longer."""
        for sign in list(self._signs.values()):
            self._forget(sign)

    def withdraw(self, key: bytes) -> None:
        """The token with this key (Verified.key) counts no longer. Its signs wait for another of its user."""
        token = self._tokens.pop(key, None)
        if token is not None:
            token.ends()

    def begins(self, verified: Verified, signs: Signs) -> Ticket:
        """A request of this user was let through. The ticket is for `ends`, whatever becomes of the request."""
        now = self._now()
        user = self._user(verified)
        ticket = Ticket(self._token(verified), user)
        user.under_way[ticket] = None
        self._active[user] = None
        for key in self._keys(signs):
            self._joins(ticket, user, key, now)
        return ticket

    def exceeded(self, signs: Signs) -> bool:
        """Whether a request says more of itself than can be remembered: it must not begin."""
        return signs.more and (self._traces or self._contexts)

    def begins_for_nobody(self, signs: Signs) -> Ticket | None:
        """The same for a request without a user; None where there is nothing about it to remember."""
        return self.begins(NOBODY, signs) if self._sole or self._keys(signs) else None

    def ends(self, ticket: Ticket) -> None:
        """The request is over, answered or not. A second time changes nothing."""
        user = ticket._user
        if user is None:
            return
        ticket._user = None
        now = self._now()
        for sign in ticket._signs:
            sign.under_way -= 1
            if not sign.under_way and self._signs.get(sign.key) is sign:
                self._rests(sign, now)
        ticket._signs.clear()
        del user.under_way[ticket]
        if not user.under_way:
            del self._active[user]
            self._leaves(user)
        if now >= self._sweep_at:
            self._sweep(now)

    def learns(self, verified: Verified, signs: Signs, ticket: Ticket | None = None) -> None:
        """These signs stand in an answer to this user: of the agent to the user, or of a server to the agent.

        With the ticket of a request under way they count until that has ended, else from now on for their time.
        """
        now = self._now()
        user = self._user(verified)
        under_way = ticket is not None and ticket._user is user
        for key in self._keys(signs):
            if ticket is not None and under_way:
                self._joins(ticket, user, key, now)
            else:
                sign = self._seen(key, user, self._token(verified), now)
                if sign is not None and not sign.under_way:
                    self._rests_no_more(sign)
                    self._rests(sign, now)
        self._leaves(user)

    def owner(self, signs: Signs) -> Verified | None:
        """The token that a request with these signs belongs to; None where nothing is known, or it has expired.

        Raises TokenRefused (SUBJECT_AMBIGUOUS) where it could belong to two users.
        """
        spoke, verified = self._said(signs)
        if not spoke and self._sole:
            verified = self._only_one()
        return verified

    def said(self, signs: Signs) -> Verified | None:
        """As `owner`, by the signs alone. What a server's answer adds is learnt only of an owner found so:

        that nobody else was there once says nothing about a session that goes on. Raises as `owner` does.
        """
        return self._said(signs)[1]

    def _said(self, signs: Signs) -> tuple[bool, Verified | None]:
        """Whether any sign is known, and the token of the first whose token is still valid."""
        if self.exceeded(signs):
            raise TokenRefused(Reason.SUBJECT_AMBIGUOUS, "it names more than can be remembered")
        now = self._now()
        user: _User | None = None
        found: Verified | None = None
        for key in self._keys(signs):
            sign = self._signs.get(key)
            if sign is None or not (sign.under_way or sign.ends > now):
                continue
            if sign.contested:
                raise TokenRefused(Reason.SUBJECT_AMBIGUOUS, f"{_TWO_USERS} {key[0]}")
            if user is None:
                user = sign.owner
            elif user is not sign.owner:
                raise TokenRefused(Reason.SUBJECT_AMBIGUOUS, f"its {key[0]} is another user's than the rest")
            if found is None and sign.newest.verified.expires > now:
                found = sign.newest.verified
        return user is not None, found

    def _only_one(self) -> Verified | None:
        if not self._active:
            return None
        if len(self._active) > 1:
            raise TokenRefused(
                Reason.SUBJECT_AMBIGUOUS,
                "several have requests under way: users, or a user and a caller without one",
            )
        now = self._now()
        tickets = next(iter(self._active)).under_way
        valid = [ticket.verified for ticket in tickets if ticket.verified.expires > now]
        if valid and any(verified.user != valid[-1].user for verified in valid):
            raise TokenRefused(
                Reason.SUBJECT_AMBIGUOUS, "a user's requests under way came with unlike tokens"
            )
        return valid[-1] if valid else None

    def _keys(self, signs: Signs) -> list[_Key]:
        """By how closely a sign tells a request from others: the trace first, the session last."""
        keys: list[_Key] = []
        if self._traces and signs.trace is not None:
            keys.append((_TRACE, signs.trace))
            if signs.other_traces:
                keys += [(_TRACE, trace) for trace in signs.other_traces]
        if self._contexts and signs.contexts:
            keys += [(_CONTEXT, context) for context in signs.contexts]
        if self._sessions and signs.session is not None:
            keys.append((_SESSION, signs.session))
        return keys

    def _user(self, verified: Verified) -> _User:
        name = (verified.user.issuer, verified.user.subject)
        user = self._users.get(name)
        if user is None:
            user = self._users[name] = _User(name)
        return user

    def _token(self, verified: Verified) -> _Token:
        """By what its issuer said last; where that is another user, what it said before is no longer so."""
        token = self._tokens.get(verified.key)
        if token is not None and token.verified is not verified:
            if (token.verified.user.issuer, token.verified.user.subject) == (
                verified.user.issuer,
                verified.user.subject,
            ):
                token.verified = verified
            else:
                token.ends()
                token = None
        if token is None:
            token = self._tokens[verified.key] = _Token(verified)
        return token

    def _leaves(self, user: _User) -> None:
        if not user.signs and not user.under_way and self._users.get(user.name) is user:
            del self._users[user.name]

    def _joins(self, ticket: Ticket, user: _User, key: _Key, now: float) -> None:
        """The sign is one of this request's, and rests no more."""
        sign = self._seen(key, user, ticket._token, now)
        if sign is None or sign in ticket._signs:
            return
        if not sign.under_way:
            self._rests_no_more(sign)
        sign.under_way += 1
        ticket._signs.append(sign)

    def _seen(self, key: _Key, user: _User, token: _Token, now: float) -> _Sign | None:
        """The sign, which this user was seen with now; None where there is no room for it."""
        sign = self._signs.get(key)
        if sign is not None and not sign.under_way and sign.ends <= now:
            self._forget(sign)
            sign = None
        if sign is None:
            if not self._has_room(user):
                self.unrecorded += 1
                return None
            sign = self._signs[key] = _Sign(key, user, token)
            user.signs += 1
            self._users[user.name] = user  # its last sign may just have been forgotten
        elif sign.owner is user:
            if token.verified.expires > now:  # one that has ended is no better than what there is
                sign.newest = token
        elif not sign.contested:
            self._rests_no_more(sign)
            sign.contested = True
            if not sign.under_way:
                self._rests(sign, now)
        return sign

    def _has_room(self, user: _User) -> bool:
        if user.signs >= self._share:
            if not user.resting:
                return False
            self._forget(next(iter(user.resting)))
        if len(self._signs) >= self._limit:
            resting = self._queues[0] or self._queues[1]
            if not resting:
                return False
            self._forget(next(iter(resting)))
        return True

    def _rests(self, sign: _Sign, now: float) -> None:
        """From now on, at the end of its queues."""
        queue, seconds = self._resting[_CONTESTED if sign.contested else sign.key[0]]
        sign.ends = now + seconds
        queue[sign] = None
        if not sign.contested:
            sign.owner.resting[sign] = None

    def _rests_no_more(self, sign: _Sign) -> None:
        self._resting[_CONTESTED if sign.contested else sign.key[0]][0].pop(sign, None)
        sign.owner.resting.pop(sign, None)

    def _forget(self, sign: _Sign) -> None:
        self._rests_no_more(sign)
        del self._signs[sign.key]
        sign.owner.signs -= 1
        self._leaves(sign.owner)

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + _SWEEP_SECONDS
        for queue in self._queues:
            while queue and (first := next(iter(queue))).ends <= now:
                self._forget(first)
