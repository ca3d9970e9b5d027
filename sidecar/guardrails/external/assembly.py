"""Asks every external detector of a message at once, and makes one verdict of what they say.

Nothing raises: who fails, is late or says what nobody understands is told, and what that means for the message is
its processor's failure mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from mesh.policy.compile import Policy
from mesh.policy.guardrails import Action, Direction, ExternalOptions, FailureMode, Processor
from mesh.protocol.mcp.places import Root
from mesh.reasons import Reason
from sidecar.credentials.fetch import Fetch, Fetcher, destination_for
from sidecar.guardrails.examination import FAULTS
from sidecar.guardrails.external.cache import Cache, Marks
from sidecar.guardrails.external.detector import Address, Detector, NotAnswered
from sidecar.guardrails.external.question import Call
from sidecar.guardrails.external.texts import Texts
from sidecar.guardrails.verdict import NOTHING, Finding, Verdict
from sidecar.proxy.pool import Pool
from sidecar.telemetry import names
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics

MOST_DETECTORS: Final = 256
"""Different sets of options that are kept ready; there are as many as processors that differ."""


def externals(
    pool: Pool,
    policy: Callable[[], Policy],
    metrics: Metrics,
    log: Log,
    clock: Callable[[], float],
) -> Externals:
    """Who asks detectors over the sidecar's own connections: a detector that is a Backend of the mesh is reached
    by mutual TLS. `policy` gives the one in force; `clock` in seconds."""
    return Externals(Fetch(pool, destination_for(policy)), metrics, log, clock)


class Said(NamedTuple):
    """What came of asking one processor's detector: findings, and why there may be more."""

    findings: tuple[Finding, ...]
    failed: Reason | None


_SILENCE: Final = Said((), None)


class Externals:
    """All external detectors of one sidecar; fulfils `sidecar.proxy.guard.Outside`."""

    __slots__ = ("_addresses", "_cache", "_clock", "_detectors", "_fetch", "_log", "_metrics")

    def __init__(self, fetch: Fetcher, metrics: Metrics, log: Log, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._cache = Cache(clock)
        self._addresses: dict[str, Address] = {}
        self._detectors: dict[ExternalOptions, Detector] = {}

    async def examine(
        self,
        processors: Sequence[Processor],
        roots: Sequence[Root],
        direction: Direction,
        documents: Sequence[str] = (),
    ) -> Verdict:
        """Ask the detectors of all `processors`, each within its own timeout. Raises nothing."""
        if not processors:
            return NOTHING
        said = await asyncio.gather(*(self._ask(one, roots, direction, documents) for one in processors))
        return judged(processors, said)

    async def _ask(
        self, processor: Processor, roots: Sequence[Root], direction: Direction, documents: Sequence[str]
    ) -> Said:
        options = processor.options
        if not isinstance(options, ExternalOptions):
            return _SILENCE
        try:
            detector = self._detector(options)
            texts = Texts(roots, processor.parts, direction, documents)
            calls = detector.calls(texts.question)
        except FAULTS as fault:
            self._failed(processor.name, "", NotAnswered("unusable", type(fault).__name__))
            return Said((), Reason.GUARD_FAILED)
        if not calls:
            return _SILENCE
        answers = await asyncio.gather(*(self._answer(processor, detector, call) for call in calls))
        marks = [mark for answer in answers if not isinstance(answer, Reason) for mark in answer]
        failed = [answer for answer in answers if isinstance(answer, Reason)]
        return Said(tuple(texts.findings(processor, marks)), failed[0] if failed else None)

    async def _answer(self, processor: Processor, detector: Detector, call: Call) -> Marks | Reason:
        """Marks, or why there are none."""
        name, began = processor.name, self._clock()
        try:
            marks, known = await detector.ask(call, processor.timeout)
        except NotAnswered as failed:
            self._failed(name, detector.host, failed)
            return failed.reason
        self._count(name, "cached" if known else "found" if marks else "clean")
        if not known:
            self._metrics.histogram(names.GUARD_EXTERNAL_SECONDS, (name,)).observe(self._clock() - began)
        return marks

    def _failed(self, name: str, host: str, failed: NotAnswered) -> None:
        self._count(name, failed.outcome)
        if failed.outcome != "open":
            self._log.write(
                "guard_external_failed",
                detector=name,
                host=host,
                outcome=failed.outcome,
                detail=failed.detail,
            )

    def _count(self, name: str, outcome: str) -> None:
        self._metrics.count(names.GUARD_EXTERNAL, (name, outcome))

    def _detector(self, options: ExternalOptions) -> Detector:
        known = self._detectors.get(options)
        if known is None:
            if len(self._detectors) >= MOST_DETECTORS:
                self._detectors.clear()
                self._addresses.clear()
            address = self._addresses.get(options.url)
            if address is None:
                address = self._addresses[options.url] = Address(options.url, self._clock)
            known = Detector(options, address, self._fetch, self._cache, self._changed)
            self._detectors[options] = known
        return known

    def _changed(self, host: str, left_alone: bool) -> None:
        self._log.write("guard_external_left_alone" if left_alone else "guard_external_back", host=host)


def judged(processors: Sequence[Processor], said: Sequence[Said]) -> Verdict:
    """One verdict, in the order of the processors: the first that blocks is why."""
    action, reason = Action.OFF, None
    findings: list[Finding] = []
    failed: list[tuple[str, Reason]] = []
    for processor, one in zip(processors, said, strict=True):
        findings += one.findings
        if one.failed is not None:
            failed.append((processor.name, one.failed))
        does, why = _effect(processor, one)
        if does > action:
            action, reason = does, why
    if not (findings or failed):
        return NOTHING
    return Verdict(action, reason, tuple(findings), tuple(failed))


def _effect(processor: Processor, said: Said) -> tuple[Action, Reason | None]:
    """What a processor has happen, and why where that is BLOCK."""
    if processor.observe:
        return Action.OFF, None
    enforces = processor.action >= Action.MASK
    if said.findings:
        if processor.action is Action.BLOCK:
            return Action.BLOCK, Reason.GUARD_EXTERNAL
        if enforces and not all(one.leaf.maskable for one in said.findings):
            return Action.BLOCK, Reason.GUARD_UNMASKABLE
    if said.failed is not None and enforces and processor.failure is FailureMode.CLOSED:
        return Action.BLOCK, said.failed
    return (processor.action, None) if said.findings else (Action.OFF, None)
