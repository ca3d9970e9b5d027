"""Asks the local detectors of one guardrail about a message, and says what has to happen.

Everything is bounded: a message is read in slices and readings, and between any two of them the clock is asked.
The messages of one body share one budget, or a batch of fifty would have the event loop for fifty of them.
What was not looked at in time, or could not be, is told; whether that blocks is the processor's failure mode.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from mesh.policy.globs import EntryList
from mesh.policy.guardrails import (
    ALL_PARTS,
    Action,
    DetectorKind,
    Direction,
    FailureMode,
    Guardrails,
    Options,
    Part,
    Processor,
    ShapeOptions,
    SqlOptions,
)
from mesh.protocol.mcp.places import Root
from mesh.reasons import Reason
from sidecar.guardrails import catalogue
from sidecar.guardrails.clean_texts import CleanTexts
from sidecar.guardrails.examination import Asked, Examination, Reading
from sidecar.guardrails.found import Found
from sidecar.guardrails.hit import Detector
from sidecar.guardrails.leaves import Sheet
from sidecar.guardrails.sql_permissions import allowed_statements, permitted
from sidecar.guardrails.verdict import NOTHING, Finding, Leaf, Verdict
from sidecar.guardrails.views import views

REASONS: Final = {
    DetectorKind.PII: Reason.GUARD_PII,
    DetectorKind.SECRETS: Reason.GUARD_SECRET,
    DetectorKind.SQL: Reason.GUARD_SQL,
    DetectorKind.INJECTION: Reason.GUARD_INJECTION,
    DetectorKind.EXFILTRATION: Reason.GUARD_EXFILTRATION,
    DetectorKind.TERMS: Reason.GUARD_TERM,
    DetectorKind.SHAPE: Reason.GUARD_SHAPE,
    DetectorKind.EXTERNAL: Reason.GUARD_EXTERNAL,
}
"""Why a message is blocked, by what found something in it."""

DESCRIPTIONS_ONLY: Final = "POISON_"
"""Kinds that begin so are about what tools say of themselves; elsewhere the same words are ordinary."""
_ASKED_OTHERWISE: Final = frozenset({DetectorKind.SHAPE, DetectorKind.EXTERNAL})
PLANS: Final = 1024
"""Tools for which is remembered who looks at their messages."""


class _Plan(NamedTuple):
    """Who looks at the messages of one tool, one way. `asks` are indices of `asked`, one for each of
    `processors`; -1 for SHAPE."""

    processors: tuple[Processor, ...]
    asks: tuple[int, ...]
    asked: tuple[Asked, ...]
    parts: frozenset[Part]
    shapes: bool
    external: tuple[Processor, ...]
    detectors: tuple[int, ...]
    """Which they are, to know texts by that they looked at already."""


class Engine:
    """The local detectors of one Guardrails. Detectors are shared by all engines of the process.

    `clock` gives seconds of this thread's work: where a node is busy, a message must not fail for what others did.
    `detector` makes detectors of texts, `read` the readings of a text.
    """

    __slots__ = ("_clean", "_clock", "_detector", "_guardrails", "_plans", "_read", "_tools", "sized")

    def __init__(
        self,
        guardrails: Guardrails,
        *,
        clock: Callable[[], float] = time.thread_time,
        detector: Callable[[DetectorKind, Options], Detector] = catalogue.detector,
        read: Callable[[str], Iterator[Reading]] = views,
    ) -> None:
        self._guardrails = guardrails
        self._clock = clock
        self._detector = detector
        self._read = read
        self._tools = [EntryList(one.tools) for one in guardrails.processors]
        for one in guardrails.processors:
            # Made now: a detector that is not there is for whoever starts the sidecar, not for a message.
            if one.action is not Action.OFF and one.detector not in _ASKED_OTHERWISE:
                detector(*_question(one))
        self._plans: dict[tuple[Direction, str | None], _Plan] = {}
        self._clean = CleanTexts()
        self.sized = any(map(_limits_bytes, guardrails.processors))
        """Whether `examine` has to be told how large a message is."""

    def external(self, direction: Direction, tool: str | None = None) -> tuple[Processor, ...]:
        """The processors that ask somebody else, in order; examine() leaves them out."""
        return self._plan(direction, tool).external

    def blocks_unread(self, failed: Sequence[tuple[str, Reason]]) -> bool:
        """Whether what these processors did not see must not pass. `failed` is that of a verdict."""
        if not failed:
            return False
        names = {name for name, _ in failed}
        return any(
            one.name in names and one.failure is FailureMode.CLOSED and _enforces(one)
            for one in self._guardrails.processors
        )

    def deadline(self) -> float:
        """Until when messages may be looked at that arrive together now: they share one budget."""
        return self._clock() + self._guardrails.budget

    def examine(
        self,
        roots: Iterable[Root],
        direction: Direction,
        tool: str | None = None,
        size: int = 0,
        deadline: float | None = None,
    ) -> Verdict:
        """Look at a message: its roots, which way it goes, the tool it belongs to, its bytes as JSON.

        `deadline` is what `deadline()` gave for all that came with it; without one it has a budget of its own.
        """
        plan = self._plan(direction, tool)
        if not plan.processors:
            return NOTHING
        roots = tuple(roots)
        shapes = _shapes(plan, roots, size) if plan.shapes else {}
        if shapes:
            verdict = _Judge().judge(plan, shapes, {}, {})
            if verdict.action is Action.BLOCK:
                # What is too large is not read as well.
                return verdict
        if not plan.asked:
            return _Judge().judge(plan, shapes, {}, {}) if shapes else NOTHING
        if plan.parts != ALL_PARTS:
            roots = tuple(root for root in roots if root.part in plan.parts)
        sheet = Sheet(roots)
        seen = (plan.detectors, self._clean.digest(sheet.text))
        if seen in self._clean and not shapes:
            return NOTHING
        until = self.deadline() if deadline is None else deadline
        examination = Examination(plan.asked, sheet, self._clock, until)
        if sheet.text:
            examination.run(self._read)
        if not (examination.anything or examination.failed or shapes):
            self._clean.add(seen)
            return NOTHING
        found = _filtered(plan, examination.distinct(), sheet, tool)
        leaves = sheet.leaves({one.leaf for some in found.values() for one in some})
        findings = {
            number: [_finding(plan.processors[number], one, leaves[one.leaf], sheet) for one in some]
            for number, some in found.items()
        }
        return _Judge().judge(plan, shapes, findings, examination.failed)

    def _applying(self, direction: Direction, tool: str | None) -> Iterator[Processor]:
        for processor, tools in zip(self._guardrails.processors, self._tools, strict=True):
            if processor.action is Action.OFF or processor.direction not in (direction, Direction.BOTH):
                continue
            if tool is None or tools.find(tool) is not None:
                yield processor

    def _plan(self, direction: Direction, tool: str | None) -> _Plan:
        plan = self._plans.get((direction, tool))
        if plan is None:
            if len(self._plans) >= PLANS:
                self._plans.clear()
            plan = self._plans[direction, tool] = self._planned(direction, tool)
        return plan

    def _planned(self, direction: Direction, tool: str | None) -> _Plan:
        applying = tuple(self._applying(direction, tool))
        external = tuple(one for one in applying if one.detector is DetectorKind.EXTERNAL)
        processors = tuple(one for one in applying if one.detector is not DetectorKind.EXTERNAL)
        places: dict[tuple[DetectorKind, Options], int] = {}
        limits: list[float] = []
        asks: list[int] = []
        for one in processors:
            if one.detector is DetectorKind.SHAPE:
                asks.append(-1)
                continue
            place = places.setdefault(_question(one), len(places))
            if place == len(limits):
                limits.append(one.timeout)
            limits[place] = max(limits[place], one.timeout)
            asks.append(place)
        asked = tuple(
            Asked(self._detector(kind, options), limit)
            for (kind, options), limit in zip(places, limits, strict=True)
        )
        parts = frozenset(
            part for one, ask in zip(processors, asks, strict=True) if ask >= 0 for part in one.parts
        )
        detectors = tuple(id(one.detector) for one in asked)
        return _Plan(processors, tuple(asks), asked, parts, -1 in asks, external, detectors)


def _limits_bytes(processor: Processor) -> bool:
    options = processor.options
    return processor.action is not Action.OFF and isinstance(options, ShapeOptions) and options.bytes > 0


def _question(processor: Processor) -> tuple[DetectorKind, Options]:
    """What makes two processors share one detector; which statements are allowed is asked afterwards."""
    options = SqlOptions() if processor.detector is DetectorKind.SQL else processor.options
    return processor.detector, options


def _shapes(plan: _Plan, roots: tuple[Root, ...], size: int) -> dict[int, list[Finding]]:
    """What the SHAPE processors say, by the processor's index."""
    findings: dict[int, list[Finding]] = {}
    for number, (processor, ask) in enumerate(zip(plan.processors, plan.asks, strict=True)):
        if ask >= 0:
            continue
        own = [root for root in roots if root.part in processor.parts]
        faults = catalogue.message_detector(processor.options).faults(own, size) if own else []
        if faults:
            findings[number] = [
                Finding(processor, kind, _place(root), 0, 0, 1.0, "plain", note)
                for root, kind, note in faults
            ]
    return findings


def _place(root: Root) -> Leaf:
    return Leaf("", root.holder, root.key, root.part, root.path, maskable=False)


def _filtered(
    plan: _Plan, found: Sequence[list[Found]], sheet: Sheet, tool: str | None
) -> dict[int, list[Found]]:
    """What each processor has to act on, by its index."""
    kept: dict[int, list[Found]] = {}
    for number, (processor, ask) in enumerate(zip(plan.processors, plan.asks, strict=True)):
        if ask < 0 or not found[ask]:
            continue
        options = processor.options
        allowed = allowed_statements(options, tool) if isinstance(options, SqlOptions) else frozenset()
        some = []
        for one in found[ask]:
            part = sheet.root_of(one.leaf).part
            if part not in processor.parts:
                continue
            if one.kind.startswith(DESCRIPTIONS_ONLY) and part is not Part.DESCRIPTIONS:
                continue
            if allowed and permitted(one.kind, one.hit.note, allowed):
                continue
            some.append(one)
        if some:
            kept[number] = some
    return kept


def _finding(processor: Processor, found: Found, leaf: Leaf, sheet: Sheet) -> Finding:
    start = sheet.span(found.leaf)[0]
    hit = found.hit
    return Finding(
        processor, hit.kind, leaf, found.start - start, found.end - start, hit.score, found.view, hit.note
    )


class _Judge:
    """Makes one verdict of what all processors of a plan say, in their order."""

    __slots__ = ("action", "reason")

    def __init__(self) -> None:
        self.action = Action.OFF
        self.reason: Reason | None = None

    def judge(
        self,
        plan: _Plan,
        shapes: dict[int, list[Finding]],
        findings: dict[int, list[Finding]],
        failed: dict[int, Reason],
    ) -> Verdict:
        told: list[Finding] = []
        missed: list[tuple[str, Reason]] = []
        for number, (processor, ask) in enumerate(zip(plan.processors, plan.asks, strict=True)):
            some = shapes.get(number) or findings.get(number)
            if some:
                told.extend(some)
                if not processor.observe:
                    self._act(processor, some)
            why = failed.get(ask)
            if why is not None:
                missed.append((processor.name, why))
                if processor.failure is FailureMode.CLOSED and _enforces(processor):
                    self._block(why)
        return Verdict(self.action, self.reason, tuple(told), tuple(missed))

    def _act(self, processor: Processor, findings: list[Finding]) -> None:
        if processor.action is Action.BLOCK:
            self._block(REASONS[processor.detector])
        elif processor.action is Action.MASK and not all(one.leaf.maskable for one in findings):
            shape = processor.detector is DetectorKind.SHAPE
            self._block(Reason.GUARD_SHAPE if shape else Reason.GUARD_UNMASKABLE)
        else:
            self.action = max(self.action, processor.action)

    def _block(self, reason: Reason) -> None:
        if self.action is not Action.BLOCK:
            self.action, self.reason = Action.BLOCK, reason


def _enforces(processor: Processor) -> bool:
    """True if what it finds would be changed or blocked; what only writes down blocks nothing by failing."""
    return not processor.observe and processor.action >= Action.MASK
