"""What the rules about an agent and a target let it do: their rates, slots and sizes, and what is spent of them.

Buckets are kept by rule, agent, target, glob of a tool and, where a rule counts each user, user. How many there
are is bounded by the policy but for the users, of whom the least recent are forgotten (`Users`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from mesh.policy.globs import EntryList
from mesh.policy.guardrails import FailureMode, Rate, RateLimits, RateScope
from sidecar.rates.bucket import Bucket
from sidecar.rates.slots import Slots

Whose = tuple[str, str] | None
"""Issuer and subject of the user; None: nobody is known."""

MOST_USERS: Final = 16_384
"""Buckets of users. One that is forgotten is full when its user comes back."""

MOST_TOOLS: Final = 512
"""Names of tools whose rates are remembered; more are looked up again."""


class Line:
    """One rate of one rule. Compared by identity: it is half of the key of its users' buckets."""

    __slots__ = ("bucket", "glob", "limits", "rate")

    def __init__(self, limits: RateLimits, glob: str | None, rate: Rate) -> None:
        """`glob` is of the tools that it is about, None for every request."""
        self.limits = limits
        self.glob = glob
        self.rate = rate
        self.bucket = None if limits.scope is RateScope.USER else Bucket(rate)

    @property
    def shared(self) -> bool:
        """Whether it is counted in the store."""
        return self.limits.shared

    @property
    def closed(self) -> bool:
        """Whether nothing passes while the store does not answer."""
        return self.limits.failure is FailureMode.CLOSED


class Users:
    """The buckets of users, of all lines."""

    __slots__ = ("_buckets", "_most")

    def __init__(self, most: int = MOST_USERS) -> None:
        self._buckets: OrderedDict[tuple[Line, Whose], Bucket] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._buckets)

    def bucket(self, line: Line, whose: Whose) -> Bucket:
        """The one of this user."""
        key = line, whose
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
            return bucket
        if len(self._buckets) >= self._most:
            self._buckets.popitem(last=False)
        bucket = self._buckets[key] = Bucket(line.rate)
        return bucket


class Most(NamedTuple):
    """How many requests of a rule may be under way."""

    limits: RateLimits
    slots: Slots


class Counted(NamedTuple):
    """What a request counts for."""

    account: Account
    lines: dict[Line, int]
    """How many of its messages count for each."""
    messages: int
    """How many of them are under way until they are answered."""
    whose: Whose

    @property
    def shared(self) -> list[Line]:
        """What the store counts."""
        return [line for line in self.lines if line.shared]


class Account:
    """One agent and one target."""

    __slots__ = (
        "_by_tool",
        "_lines",
        "_matching",
        "by_user",
        "limits",
        "most",
        "result_bytes",
        "shared",
        "single",
        "watched_bytes",
    )

    most: tuple[Most, ...]
    _lines: list[Line]

    def __init__(self, limits: tuple[RateLimits, ...], before: Account | None = None) -> None:
        """`before` is what the same agent had under another policy: what is spent of the same rates stays spent,
        and what is under way is under way."""
        self.limits = limits
        known = {} if before is None else {(line.limits, line.glob): line for line in before._lines}
        self._lines = [
            known.get((rule, glob)) or Line(rule, glob, rate)
            for rule in limits
            for glob, rate in (*_every(rule), *rule.tools)
        ]
        taken = {} if before is None else {one.limits.label: one.slots for one in before.most}
        self.most = tuple(_most(rule, taken.get(rule.label)) for rule in limits if rule.concurrent)
        self.by_user = any(rule.scope is RateScope.USER for rule in limits)
        self.shared = any(line.shared for line in self._lines)
        self._by_tool: dict[str | None, tuple[Line, ...]] = {}
        self.single: dict[tuple[str | None, int], Counted] = {}
        """What one message counts for, where no user matters: by its tool, and whether it is under way."""
        self._matching = {
            line.glob: EntryList((line.glob,)).find for line in self._lines if line.glob is not None
        }
        self.result_bytes = _least(rule for rule in limits if not rule.observe)
        self.watched_bytes = _least(rule for rule in limits if rule.observe)

    @property
    def busy(self) -> bool:
        """Whether anything of its is under way."""
        return any(one.slots for one in self.most)

    def lines(self, tool: str | None) -> tuple[Line, ...]:
        """The rates that a message counts for: of a call of this tool, or of something else."""
        found = self._by_tool.get(tool)
        if found is None:
            found = tuple(line for line in self._lines if self._concerns(line, tool))
            if len(self._by_tool) >= MOST_TOOLS:
                self._by_tool.clear()
            self._by_tool[tool] = found
        return found

    def _concerns(self, line: Line, tool: str | None) -> bool:
        return line.glob is None or (tool is not None and self._matching[line.glob](tool) is not None)


def _every(rule: RateLimits) -> tuple[tuple[None, Rate], ...]:
    return () if rule.every is None else ((None, rule.every),)


def _most(rule: RateLimits, slots: Slots | None) -> Most:
    slots = Slots(rule.concurrent) if slots is None else slots
    slots.most = rule.concurrent
    return Most(rule, slots)


def _least(rules: Iterable[RateLimits]) -> int:
    """How large an answer may be for all of the rules; 0: no limit."""
    return min((rule.result_bytes for rule in rules if rule.result_bytes), default=0)
