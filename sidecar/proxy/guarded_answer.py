"""Answers, looked at before the agent has them: an error in their place, a list without the item that is poisoned,
or something else where a value was found. What the agent itself had sent is put back last of all.

In a stream whose notifications are held, that is when they go on: what is looked at once more, together with the
one before it, must not hold the agent's own values again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from mesh.policy.guardrails import Action, DetectorKind, Direction, Part
from mesh.protocol.jsonrpc import JsonRpcRefused, Kind, Message, error_response, messages
from mesh.protocol.mcp.denials import OTHER_POLICY_CODE, POLICY_CODES
from mesh.protocol.mcp.places import Root, places_of_answer
from mesh.protocol.strict_json import JsonRefused, encode, parse
from mesh.reasons import Reason
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.held_events import HeldEvents, free_text
from sidecar.guardrails.mask_message import mask_message
from sidecar.guardrails.restoring import restore_message
from sidecar.guardrails.stream import Span
from sidecar.guardrails.verdict import Finding, Verdict
from sidecar.proxy.guard_shared import Shared, masks
from sidecar.proxy.held import HeldNotifications
from sidecar.proxy.in_force import InForce
from sidecar.proxy.plan import Plan
from sidecar.proxy.spoken_of import asked, session_of, tool_of_stream, whose

UNREAD: Final = "UNREAD"
"""Stands for what could not be looked at in time, where that must not pass."""


class GuardedAnswers:
    """What servers say."""

    __slots__ = ("_shared",)

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def begin(self, plan: Plan, *, alone: bool = False) -> None:
        """The messages of another body, or of another event: they share their time. `alone`: there is one, and no
        array around it."""
        held = self._shared.engines.of(plan)
        plan.joins = alone and plan.holds
        plan.looked_until = None if held is None else held.engine.deadline()

    def answer(self, plan: Plan, message: Message, value: dict[str, Any]) -> dict[str, Any] | None:
        """One message of the server's as it goes on: the very same where nothing is to be done, None where it does
        not go on and nobody waits for it."""
        held = self._shared.engines.of(plan)
        if held is None:
            return value
        method, tool = asked(plan, message)
        roots = places_of_answer(value, method)
        size = len(encode(value)) if held.engine.sized else 0
        verdict = held.engine.examine(roots, Direction.RESPONSE, tool, size, plan.looked_until)
        shown: dict[str, Any] | None = value
        if verdict.findings or verdict.failed:
            self._shared.record(plan, verdict)
            shown = self._acted(plan, message, value, verdict, held)
        if shown is None or self.waits(plan):
            return shown
        return self._settled(plan, message, value, shown, held)

    def waits(self, plan: Plan) -> bool:
        """Whether answers to this have to wait for detectors that are asked over HTTP."""
        held = self._shared.engines.of(plan)
        return held is not None and bool(held.engine.external(Direction.RESPONSE, tool_of_stream(plan)))

    async def screen(self, plan: Plan, message: Message, value: dict[str, Any]) -> dict[str, Any] | None:
        """`answer`, by detectors that are asked over HTTP."""
        held = self._shared.engines.of(plan)
        if held is None:
            return value
        method, tool = asked(plan, message)
        processors = held.engine.external(Direction.RESPONSE, tool)
        roots = places_of_answer(value, method)
        verdict = await self._shared.ask_others(plan, processors, roots, Direction.RESPONSE)
        shown: dict[str, Any] | None = value
        if verdict.findings or verdict.failed:
            self._shared.record(plan, verdict)
            shown = self._acted(plan, message, value, verdict, held)
        return None if shown is None else self._settled(plan, message, value, shown, held)

    def held(self, plan: Plan) -> HeldNotifications | None:
        """What holds notifications of this exchange's stream back whose text may go on in the next one; None where
        nothing in them is masked."""
        known = self._shared.engines.of(plan)
        if known is None or not known.masks_messages:
            return None
        plan.holds = not self.waits(plan)
        back = Direction.REQUEST if known.reversible else None

        def mask(kind: str, value: str) -> str:
            return self._shared.vault(plan).token(
                kind, value, None if kind == UNREAD else back, Direction.REQUEST
            )

        held = HeldEvents(partial(self._spans, plan, known), mask)
        return HeldNotifications(held, self._shared.clock, partial(self._released, plan))

    def _spans(self, plan: Plan, held: InForce, text: str) -> list[Span]:
        """What is to be masked in the texts of notifications, one after the other."""
        until, plan.looked_until = plan.looked_until, None
        root = Root({"text": text}, "text", Part.MESSAGES, ())
        verdict = held.engine.examine((root,), Direction.RESPONSE, tool_of_stream(plan), 0, until)
        if verdict.failed:
            self._shared.record(plan, Verdict(failed=verdict.failed))
            if held.engine.blocks_unread(verdict.failed):
                return [Span(0, len(text), UNREAD)]
        return [Span(one.start, one.end, one.kind) for one in verdict.findings if masks(one)]

    def _released(self, plan: Plan, shown: str) -> str:
        """The data of an event that goes on now, with what the agent itself had sent."""
        held = self._shared.engines.of(plan)
        if not plan.holds or held is None or not held.reversible:
            return shown
        if self._shared.vaults.get(session_of(plan)) is None or not shown.startswith(("{", "[")):
            return shown
        try:
            value = parse(shown.encode()).value
            found, is_batch = messages(value, max_batch=len(value))
        except (JsonRefused, JsonRpcRefused, UnicodeEncodeError):
            return shown
        values = [self._put_back(plan, one, one.value) for one in found]
        if all(value is one.value for value, one in zip(values, found, strict=True)):
            return shown
        return encode(values if is_batch else values[0]).decode()

    def _settled(
        self, plan: Plan, message: Message, value: dict[str, Any], shown: dict[str, Any], held: InForce
    ) -> dict[str, Any]:
        """The message when everybody has looked at it: remembered, and with what the agent itself had sent."""
        result = shown.get("result")
        if type(result) is dict:
            self._shared.offered.learn(whose(plan), result)
            if held.grounds and asked(plan, message)[1] is not None:
                self._shared.recent.add(session_of(plan), result)
        if plan.holds or not held.reversible:
            return shown
        return self._put_back(plan, message, shown)

    def _put_back(self, plan: Plan, message: Message, shown: dict[str, Any]) -> dict[str, Any]:
        """With what the agent itself had sent; another object where that changed something."""
        vault = self._shared.vaults.get(session_of(plan))
        if vault is None:
            return shown
        # Names and ids were decided as they are.
        roots = [one for one in places_of_answer(shown, asked(plan, message)[0]) if one.maskable]
        return {**shown} if restore_message(shown, vault, roots, Direction.RESPONSE) else shown

    def _acted(
        self, plan: Plan, message: Message, value: dict[str, Any], verdict: Verdict, held: InForce
    ) -> dict[str, Any] | None:
        """The message after what had to be done to it; None: nothing is left, and nobody waits for it."""
        blocking: list[Finding] = []
        if verdict.action is Action.BLOCK:
            blocking = [one for one in verdict.findings if _blocks(one)]
            if not blocking or _unread(verdict, blocking, held.engine):
                return self._kept_back(plan, message, verdict.reason or Reason.GUARD_FAILED)
        shown = value
        if plan.joins:
            verdict = _without_free_text(verdict, value)
        if any(map(masks, verdict.findings)):
            schema = self._shared.offered.output_schema(plan.server, asked(plan, message)[1])
            masked = mask_message(
                value,
                verdict,
                self._shared.vault(plan),
                schema,
                direction=Direction.RESPONSE,
                reversible=held.reversible,
            )
            if masked.unmaskable:
                return self._kept_back(plan, message, Reason.GUARD_UNMASKABLE)
            shown = {**value} if masked.changed else value
        if not blocking:
            return shown
        left = self._shared.offered.without(whose(plan), shown, blocking)
        return left or self._kept_back(plan, message, verdict.reason or Reason.GUARD_FAILED)

    def _kept_back(self, plan: Plan, message: Message, reason: Reason) -> dict[str, Any] | None:
        """What comes in place of a server's message: an error for whoever waits for it."""
        self._shared.kept_back(plan, message, reason, answer=True)
        if message.kind not in (Kind.RESULT, Kind.ERROR):
            return None
        code = POLICY_CODES.get(reason, OTHER_POLICY_CODE)
        return error_response(message.id, code, reason.sentence, {"reason": str(reason)})


def _without_free_text(verdict: Verdict, value: dict[str, Any]) -> Verdict:
    """Leaving out what is in the text of a notification: that is masked together with the one before it."""
    place = free_text(value)
    if place is None:
        return verdict
    left = [
        one
        for one in verdict.findings
        if not (masks(one) and one.leaf.holder is place.holder and one.leaf.key == place.name)
    ]
    return replace(verdict, findings=tuple(left))


def _blocks(finding: Finding) -> bool:
    return finding.processor.action is Action.BLOCK and not finding.processor.observe


def _unread(verdict: Verdict, blocking: Sequence[Finding], engine: Engine) -> bool:
    """Whether a message that is blocked was not read to its end, so that it may hold more than what was found."""
    too_large = any(one.processor.detector is DetectorKind.SHAPE for one in blocking)
    return too_large or engine.blocks_unread(verdict.failed)
