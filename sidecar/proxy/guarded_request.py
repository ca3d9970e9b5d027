"""Requests, looked at before they leave: refused, or with something else in the place of what was found.

What the agent writes for values of the server's is put back last of all; `put_back` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from mesh.policy.guardrails import Direction
from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import Kind, Message
from mesh.protocol.mcp.denials import denial
from mesh.protocol.mcp.headers import NAME_HEADER, encode_value
from mesh.protocol.mcp.methods import METHODS
from mesh.protocol.mcp.places import places_of_request
from mesh.reasons import Reason
from sidecar.guardrails.mask_message import mask_message
from sidecar.guardrails.mirrored import mirror_params
from sidecar.guardrails.verdict import Verdict
from sidecar.proxy.guard_shared import Shared, masks
from sidecar.proxy.in_force import InForce
from sidecar.proxy.plan import Plan
from sidecar.proxy.put_back import PutBack, copied, put_back, put_in
from sidecar.proxy.spoken_of import session_of, tool_of, whose

_MIRRORING: Final = (b"mcp-param-", NAME_HEADER)


class Checked(NamedTuple):
    """A request that was looked at: who is refused, by index, and whether and how it leaves otherwise."""

    denials: dict[int, dict[str, object]]
    changed: bool
    headers: Headers
    screened: bool = True
    """False: detectors that are asked over HTTP have to see it as well."""


class _Work:
    """What becomes of a request while its messages are looked at."""

    __slots__ = ("changed", "denials", "headers", "plan")

    def __init__(self, plan: Plan, headers: Headers) -> None:
        self.plan = plan
        self.headers = headers
        self.denials: dict[int, dict[str, object]] = {}
        self.changed = False

    def checked(self, screened: bool = True) -> Checked:
        return Checked(self.denials, self.changed, self.headers, screened)

    def mirrored(self, message: Message) -> dict[str, Any] | None:
        """The params as they are, where headers may repeat them: Mcp-Param-* and Mcp-Name of 2026-07-28, which
        are read for what they say in requests of other revisions too."""
        if type(message.params) is not dict:
            return None
        if not any(name.startswith(_MIRRORING) for name, _ in self.headers):
            return None
        params: dict[str, Any] = copied(message.params)
        return params

    def mirror(self, before: object, message: Message) -> None:
        """Have headers that repeated params repeat what they are now."""
        after = message.params
        if type(before) is not dict or type(after) is not dict:
            return
        self.headers = mirror_params(self.headers, before.get("arguments"), after.get("arguments"))
        row = METHODS.get(message.method or "")
        if row is not None and row.mirrored is not None:
            self._mirror_name(before.get(row.mirrored), after.get(row.mirrored))

    def _mirror_name(self, before: Any, after: Any) -> None:
        if type(after) is str and before != after:
            name = encode_value(after)
            self.headers = [(field, name if field == NAME_HEADER else value) for field, value in self.headers]


class GuardedRequests:
    """What agents say."""

    __slots__ = ("_shared",)

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def meant(self, plan: Plan, found: tuple[Message, ...]) -> tuple[Message, ...]:
        """The messages of a request as they are to be decided about. Notes in the plan what is put back."""
        held = self._shared.engines.of(plan)
        if held is None or not held.reversible:
            return found
        vault = self._shared.vaults.get(session_of(plan))
        if vault is None or not len(vault):
            return found
        known: dict[int, PutBack] = {}
        for index, message in enumerate(found):
            one = put_back(message, vault)
            if one is not None:
                known[index] = one
        plan.put_back = known
        meaning = tuple([_meaning(plan, index, message) for index, message in enumerate(found)])
        if known:
            _tell_headers(plan, found, meaning)
        return meaning

    def request(self, plan: Plan, found: Sequence[Message], headers: Headers, size: int) -> Checked:
        """Look at the messages of a request, and change them in place where something has to be masked."""
        unpinned = self._shared.pinning.refused(plan, found)
        if unpinned:
            denials = {index: _denied(plan, found[index], reason) for index, reason in unpinned.items()}
            return Checked(denials, False, headers)
        held = self._shared.engines.of(plan)
        if held is None:
            return Checked({}, False, headers)
        engine, work, screened = held.engine, _Work(plan, headers), True
        deadline = engine.deadline()
        for index, message in enumerate(found):
            tool = tool_of(message)
            withheld = self._shared.offered.withheld(whose(plan), _meaning(plan, index, message))
            if withheld is not None:
                # What was hidden is not called by its name either.
                self._deny(work, index, message, withheld)
                continue
            roots = places_of_request(message.value)
            verdict = engine.examine(roots, Direction.REQUEST, tool, size, deadline)
            if verdict.findings or verdict.failed:
                self._act(work, index, message, verdict, held)
            screened = screened and not engine.external(Direction.REQUEST, tool)
        if screened:
            _put_back_all(work, found)
        return work.checked(screened)

    async def screen(self, plan: Plan, found: Sequence[Message], headers: Headers) -> Checked:
        """The same by detectors that are asked over HTTP; they see what is left after the local ones."""
        held = self._shared.engines.of(plan)
        work = _Work(plan, headers)
        if held is not None:
            for index, message in enumerate(found):
                processors = held.engine.external(Direction.REQUEST, tool_of(message))
                roots = places_of_request(message.value)
                verdict = await self._shared.ask_others(plan, processors, roots, Direction.REQUEST)
                if verdict.findings or verdict.failed:
                    self._act(work, index, message, verdict, held)
        _put_back_all(work, found)
        return work.checked()

    def _act(self, work: _Work, index: int, message: Message, verdict: Verdict, held: InForce) -> None:
        plan, shared = work.plan, self._shared
        shared.record(plan, verdict)
        reason = verdict.reason
        if reason is None and any(map(masks, verdict.findings)):
            before = work.mirrored(message)
            masked = mask_message(
                message.value,
                verdict,
                shared.vault(plan),
                shared.offered.input_schema(plan.server, tool_of(message)),
                direction=Direction.REQUEST,
                reversible=held.reversible,
            )
            work.changed = work.changed or masked.changed
            work.mirror(before, message)
            reason = Reason.GUARD_UNMASKABLE if masked.unmaskable else None
        if reason is not None:
            self._deny(work, index, message, reason)

    def _deny(self, work: _Work, index: int, message: Message, reason: Reason) -> None:
        self._shared.kept_back(work.plan, message, reason)
        work.denials[index] = _denied(work.plan, message, reason)


def _meaning(plan: Plan, index: int, message: Message) -> Message:
    known = plan.put_back.get(index) if plan.put_back else None
    return message if known is None else known.meaning


def _put_back_all(work: _Work, found: Sequence[Message]) -> None:
    """What the server's answers held before they were masked is its own. Last of all, and only if all passes."""
    if work.denials or not work.plan.put_back:
        return
    for index, one in work.plan.put_back.items():
        message = found[index]
        before = work.mirrored(message)
        if put_in(message, one.values):
            work.changed = True
            work.mirror(before, message)


def _tell_headers(plan: Plan, found: Sequence[Message], meaning: Sequence[Message]) -> None:
    """Rules about headers are asked about those that leave."""
    context = plan.context
    if context is None:
        return
    work = _Work(plan, plan.head.headers)
    for message, means in zip(found, meaning, strict=True):
        work.mirror(message.params, means)
    changed = {
        name.decode("latin-1"): value.decode("latin-1")
        for (name, value), (_, before) in zip(work.headers, plan.head.headers, strict=True)
        if value != before
    }
    if changed:
        plan.context = replace(context, headers={**(context.headers or {}), **changed})


def _denied(plan: Plan, message: Message, reason: Reason) -> dict[str, object]:
    """The refusal of a request; nothing for what nobody waits for an answer to."""
    if message.kind is not Kind.REQUEST:
        return {}
    return denial(message.id, reason, None, plan.modern)
