"""How often, and how many at a time: every limit of every rule about an agent and a target has room, or nothing is
taken of any.

Pure but for the clock that it is given. What the store of shared limits counts is asked by who waits for it
(`sidecar.proxy.rated`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from mesh.policy.guardrails import RateLimits, RateScope
from mesh.reasons import Reason
from sidecar.rates.account import MOST_TOOLS, Account, Counted, Line, Users, Whose
from sidecar.rates.bucket import NEVER, Bucket
from sidecar.rates.slots import Slots, Taken

MOST_ACCOUNTS: Final = 4096
"""Pairs of an agent and a target. Of peers there may be many; the least recent is forgotten unless it is busy."""


class Exceeded(NamedTuple):
    """A limit without room."""

    reason: Reason
    limits: RateLimits
    wait: int
    """Nanoseconds until there is room; 0 where only time can tell, NEVER where there never is."""


class Meter:
    """All that is counted in one sidecar."""

    __slots__ = ("_accounts", "_clock", "users")

    def __init__(self, clock: Callable[[], int], users: Users | None = None) -> None:
        """`clock` in nanoseconds, from anywhere."""
        self._clock = clock
        self._accounts: OrderedDict[tuple[str, str], Account] = OrderedDict()
        self.users = Users() if users is None else users

    def account(self, agent: str, target: str, limits: tuple[RateLimits, ...]) -> Account:
        """The one of this agent and target, under the limits in force now."""
        key = agent, target
        known = self._accounts.get(key)
        if known is not None and known.limits is limits:
            self._accounts.move_to_end(key)
            return known
        if known is not None and known.limits == limits:
            known.limits = limits
            return known
        if known is None:
            self._make_room()
        account = self._accounts[key] = Account(limits, known)
        return account

    def _make_room(self) -> None:
        accounts = self._accounts
        tried = 0
        while len(accounts) >= MOST_ACCOUNTS and tried < MOST_ACCOUNTS:
            key, oldest = accounts.popitem(last=False)
            if oldest.busy:
                accounts[key] = oldest
            tried += 1

    # Rates.

    def take(
        self, lines: Iterable[Line], counted: Counted, beyond: list[Exceeded], *, keep: bool = True
    ) -> Exceeded | None:
        """Take from every bucket of `lines`, or from none where an enforced one has no room, which is given.

        Those without room that are only observed are added to `beyond`, and nothing is taken of them. Without
        `keep` nothing is taken at all: it is only asked whether there is room.
        """
        now, whose = self._clock(), counted.whose
        taken: list[Bucket] = []
        for line in lines:
            bucket = line.bucket or self.users.bucket(line, whose)
            wait = bucket.take(now, counted.lines[line])
            if not wait:
                taken.append(bucket)
            elif line.limits.observe:
                beyond.append(Exceeded(Reason.RATE_LIMITED, line.limits, wait))
            else:
                _put_back(taken)
                return self._longest(line, wait, lines, counted, now)
        if not keep:
            _put_back(taken)
        return None

    def _longest(self, first: Line, wait: int, lines: Iterable[Line], counted: Counted, now: int) -> Exceeded:
        """Of all limits without room the one that has it last: when that has, all have."""
        found = Exceeded(Reason.RATE_LIMITED, first.limits, wait)
        for line in lines:
            if line is first or line.limits.observe:
                continue
            bucket = line.bucket or self.users.bucket(line, counted.whose)
            wait = bucket.take(now, counted.lines[line])
            if not wait:
                bucket.put_back()
            elif found.wait != NEVER and (wait == NEVER or wait > found.wait):
                found = Exceeded(Reason.RATE_LIMITED, line.limits, wait)
        return found

    # Concurrency.

    def begin(self, counted: Counted, beyond: list[Exceeded]) -> Taken | Exceeded | None:
        """Take a slot of every limit for each message, or none where one that is enforced has no room; None where
        none is wanted."""
        account, count = counted.account, counted.messages
        if not account.most or not count:
            return None
        room: list[tuple[Slots, Whose]] = []
        for limits, slots in account.most:
            whose = counted.whose if limits.scope is RateScope.USER else None
            if slots.taken(whose) + count <= slots.most:
                room.append((slots, whose))
                continue
            full = Exceeded(Reason.TOO_MANY_CONCURRENT, limits, NEVER if count > slots.most else 0)
            if not limits.observe:
                return full
            beyond.append(full)
            room.append((slots, whose))
        taken = Taken()
        for slots, whose in room:
            taken.take(slots, count, whose)
        return taken


def _put_back(taken: list[Bucket]) -> None:
    for one in taken:
        one.put_back()


def count(account: Account, tools: Sequence[str | None], under_way: int, whose: Whose) -> Counted:
    """What messages count for, of which each calls a tool or does something else."""
    if len(tools) == 1:
        return count_one(account, tools[0], under_way, whose)
    lines: dict[Line, int] = {}
    for tool in tools:
        for line in account.lines(tool):
            lines[line] = lines.get(line, 0) + 1
    return Counted(account, lines, under_way, whose)


def count_one(account: Account, tool: str | None, under_way: int, whose: Whose) -> Counted:
    """What one message counts for."""
    if account.by_user:
        return Counted(account, dict.fromkeys(account.lines(tool), 1), under_way, whose)
    key = tool, under_way
    known = account.single.get(key)
    if known is None:
        if len(account.single) >= MOST_TOOLS:
            account.single.clear()
        known = account.single[key] = Counted(account, dict.fromkeys(account.lines(tool), 1), under_way, None)
    return known
