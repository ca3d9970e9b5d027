"""How often, how many at a time and how large: what the limits of a policy mean for a request and its answer.

A message counts if it names a tool, a prompt or a resource, a request of plain HTTP always. What lists and pings
cost is the server's business, and a stream that only listens is under way for as long as the agent lives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from mesh.policy.compile import Policy
from mesh.policy.guardrails import RateScope
from mesh.protocol.jsonrpc import Kind, Message
from mesh.protocol.mcp.methods import METHODS, TOOLS_CALL
from mesh.reasons import Reason
from sidecar.proxy.mcp_request import denied
from sidecar.proxy.plan import Plan, Reply
from sidecar.proxy.replies import beyond_limit, limit_error, retry_seconds, waiting
from sidecar.rates.account import Account, Counted, Line, Whose
from sidecar.rates.bucket import NANOSECONDS
from sidecar.rates.meter import Exceeded, Meter, count, count_one
from sidecar.rates.shared import Entry, Store, StoreUnavailable
from sidecar.telemetry.record import Recorder

COUNTED: Final = frozenset(row.name for row in METHODS.values() if row.naming is not None)
"""Methods that name a subject."""

LISTENING: Final = "subscriptions/listen"
"""Is answered by a stream without an end: it counts when it is asked, and is not under way."""

STORE_PAUSE: Final = NANOSECONDS
"""When to ask again while the store of shared limits does not answer."""


class Rates:
    """The limits of one sidecar. `use` puts those of another policy in force."""

    __slots__ = ("_meter", "_own", "_policy", "_recorder", "_store", "_told_missing")

    def __init__(
        self,
        policy: Policy,
        recorder: Recorder,
        clock: Callable[[], int],
        *,
        store: Callable[[], Store | None] = lambda: None,
        own: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`clock` in nanoseconds, from anywhere. `store` counts shared limits, where there is one; `own` is who
        this workload is there."""
        self._policy = policy
        self._recorder = recorder
        self._meter = Meter(clock)
        self._store = store
        self._own = own
        self._told_missing = False

    def use(self, policy: Policy) -> None:
        """Another policy is in force. What is spent of a rate that it has as well stays spent."""
        self._policy = policy

    # A request.

    def begin(
        self, plan: Plan, found: Sequence[Message] = (), *, is_batch: bool = False
    ) -> Counted | Reply | None:
        """Count a request: None where it passes, the refusal, or what the store has to be asked about (`outcome`).

        `found` are its messages; none for plain HTTP.
        """
        target = plan.target
        if target is None:
            return None
        limits = self._policy.content(plan.principal, target)[1]
        if not limits:
            return None
        name = target.name if plan.routed.direction == "outbound" else plan.server  # type: ignore[union-attr]
        account = self._meter.account(plan.principal.id, name, limits)
        plan.most_bytes, plan.watched_bytes = account.result_bytes, account.watched_bytes
        counted = _count(plan, account, found)
        return None if counted is None else self._begin(plan, counted, found, is_batch)

    def _begin(
        self, plan: Plan, counted: Counted, found: Sequence[Message], is_batch: bool
    ) -> Counted | Reply | None:
        beyond: list[Exceeded] = []
        taken = self._meter.begin(counted, beyond) if counted.account.most else None
        if isinstance(taken, Exceeded):
            return self._refused(plan, taken, found, is_batch)
        plan.slots = taken
        if counted.account.shared and (shared := counted.shared):
            return self._begin_shared(plan, counted, shared, found, is_batch, beyond)
        exceeded = self._meter.take(counted.lines, counted, beyond)
        if beyond:
            self._tell(plan, beyond)
        return None if exceeded is None else self._refused(plan, exceeded, found, is_batch)

    def _begin_shared(
        self,
        plan: Plan,
        counted: Counted,
        shared: Sequence[Line],
        found: Sequence[Message],
        is_batch: bool,
        beyond: list[Exceeded],
    ) -> Counted | Reply | None:
        store = self._store()
        if store is None and not self._told_missing:
            self._told_missing = True
            self._recorder.rate_store(False, "there is none: limits are shared, and rateStore.url is not set")
        if store is None or not store.answers:
            exceeded = self._alone(counted, shared, beyond)
        else:
            # The store is not asked for what has no room here; what it gives cannot be given back.
            exceeded = self._meter.take(_local(counted), counted, [], keep=False)
        self._tell(plan, beyond)
        if exceeded is not None:
            return self._refused(plan, exceeded, found, is_batch)
        return None if store is None or not store.answers else counted

    async def outcome(
        self, plan: Plan, counted: Counted, found: Sequence[Message], *, is_batch: bool
    ) -> Reply | None:
        """The refusal, or None where the request passes, by what the store says."""
        beyond: list[Exceeded] = []
        exceeded = await self._asked(plan, counted, beyond)
        self._tell(plan, beyond)
        return None if exceeded is None else self._refused(plan, exceeded, found, is_batch)

    async def _asked(self, plan: Plan, counted: Counted, beyond: list[Exceeded]) -> Exceeded | None:
        store, shared = self._store(), counted.shared
        if store is None:
            return self._alone(counted, shared, beyond)
        try:
            for observed in [line for line in shared if line.limits.observe]:
                wait, _ = await store.take([self._entry(plan, counted, observed)])
                if wait:
                    beyond.append(Exceeded(Reason.RATE_LIMITED, observed.limits, wait))
            enforced = [line for line in shared if not line.limits.observe]
            if enforced:
                wait, index = await store.take([self._entry(plan, counted, line) for line in enforced])
                if wait:
                    return Exceeded(Reason.RATE_LIMITED, enforced[index].limits, wait)
        except StoreUnavailable:
            return self._alone(counted, shared, beyond)
        return self._meter.take(_local(counted), counted, beyond)

    def _alone(self, counted: Counted, shared: Sequence[Line], beyond: list[Exceeded]) -> Exceeded | None:
        """While the store does not answer: refused where a rule says so, else counted here."""
        for line in shared:
            if line.closed:
                missing = Exceeded(Reason.RATE_STORE_UNAVAILABLE, line.limits, STORE_PAUSE)
                if not line.limits.observe:
                    return missing
                beyond.append(missing)
        return self._meter.take(counted.lines, counted, beyond)

    def _entry(self, plan: Plan, counted: Counted, line: Line) -> Entry:
        """Peers of this workload ask it, and not another one that has the same rule."""
        routed, rule = plan.routed, line.limits
        inbound = routed.direction != "outbound"
        names = [rule.label, plan.principal.id, plan.server if inbound else routed.backend, line.glob or ""]
        names.append((self._own() or "") if inbound else "")
        if rule.scope is RateScope.USER:
            names += counted.whose or ("", "")
        return Entry(tuple(names), line.rate, counted.lines[line])

    # What is told.

    def unforeseen(self, plan: Plan, counted: Counted, found: Sequence[Message], *, is_batch: bool) -> Reply:
        """The refusal where the store could not be asked for a reason that nobody foresaw."""
        exceeded = Exceeded(Reason.RATE_STORE_UNAVAILABLE, counted.shared[0].limits, STORE_PAUSE)
        return _refusal(plan, exceeded, found, is_batch)

    def _refused(self, plan: Plan, exceeded: Exceeded, found: Sequence[Message], is_batch: bool) -> Reply:
        if plan.slots is not None:
            plan.slots.give()
        self._tell_one(plan, exceeded, observed=False)
        return _refusal(plan, exceeded, found, is_batch)

    def too_large(self, plan: Plan, *, observed: bool = False) -> None:
        """An answer was larger than a limit; it was not passed on, unless that is only observed."""
        target = plan.target
        if target is None:
            return
        for rule in self._policy.content(plan.principal, target)[1]:
            if rule.result_bytes and rule.observe is observed:
                self._tell_one(plan, Exceeded(Reason.RESULT_TOO_LARGE, rule, 0), observed=observed)
                return

    def _tell(self, plan: Plan, beyond: list[Exceeded]) -> None:
        for one in beyond:
            self._tell_one(plan, one, observed=True)

    def _tell_one(self, plan: Plan, exceeded: Exceeded, *, observed: bool) -> None:
        routed = plan.routed
        self._recorder.rate_limited(
            routed.direction,
            plan.principal,
            routed.backend,
            plan.tool,
            exceeded.reason,
            exceeded.limits.label,
            retry_seconds(exceeded.reason, exceeded.wait),
            observed=observed,
        )


def _refusal(plan: Plan, exceeded: Exceeded, found: Sequence[Message], is_batch: bool) -> Reply:
    seconds = retry_seconds(exceeded.reason, exceeded.wait)
    if not found:
        return beyond_limit(exceeded.reason, exceeded.limits.label, seconds)
    denials = {
        index: limit_error(message.id, exceeded.reason, seconds) if message.kind is Kind.REQUEST else {}
        for index, message in enumerate(found)
    }
    reply = denied(plan, tuple(found), denials, is_batch)
    return replace(reply, headers=waiting(seconds))


def _local(counted: Counted) -> list[Line]:
    return [line for line in counted.lines if not line.shared]


def _count(plan: Plan, account: Account, found: Sequence[Message]) -> Counted | None:
    """What a request counts for; None for nothing."""
    user = plan.principal.user
    whose: Whose = None if user is None else (user.issuer, user.subject)
    if len(found) == 1:
        method = found[0].method
        if method not in COUNTED:
            return None
        under_way = 1 if found[0].kind is Kind.REQUEST and method != LISTENING else 0
        # Its name was read when it was decided.
        return count_one(account, plan.tool if method == TOOLS_CALL else None, under_way, whose)
    if not found:
        return count_one(account, None, 1, whose)
    asking = [one for one in found if one.method in COUNTED]
    if not asking:
        return None
    under_way = len([one for one in asking if one.kind is Kind.REQUEST and one.method != LISTENING])
    return count(account, [_tool(one) for one in asking], under_way, whose)


def _tool(message: Message) -> str | None:
    """The tool that a message calls: its name was read before anything was decided."""
    params = message.params
    if message.method != TOOLS_CALL or type(params) is not dict:
        return None
    name = params.get("name")
    return name if type(name) is str else None
