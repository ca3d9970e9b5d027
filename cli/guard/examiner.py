"""The engine of the sidecar, asked about texts that stand in no MCP message: for those who call it as a service.

A caller may ask for some detectors and kinds only. Nothing of a text is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, NamedTuple

from mesh.policy.guardrails import (
    ALL_PARTS,
    DEFAULT_ACTIONS,
    NO_OPTIONS,
    Action,
    DetectorKind,
    Direction,
    Guardrails,
    Part,
    Processor,
)
from mesh.protocol.mcp.places import Root
from mesh.reasons import Reason
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.verdict import Finding, Verdict

MOST_ENGINES: Final = 64
DEFAULT: Final = Guardrails(
    tuple(Processor(kind.value, kind, action, NO_OPTIONS[kind]) for kind, action in DEFAULT_ACTIONS.items())
)
"""What is served where nothing is said: every detector that needs no options, and nothing is changed."""


class Selection(NamedTuple):
    """What a caller wants to know. Empty: everything."""

    detectors: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    threshold: float = 0.0


EVERYTHING: Final = Selection()


class NotExamined(Exception):
    """A detector failed or was late, so that nothing is known of the text: the server is at fault, or the text is
    more than it can read in time."""


class Examiner:
    """Looks at texts with the processors of one Guardrails."""

    __slots__ = ("_engine_of", "_whole", "guardrails")

    def __init__(self, guardrails: Guardrails = DEFAULT) -> None:
        self.guardrails = guardrails
        self._whole = Engine(guardrails)
        self._engine_of = lru_cache(MOST_ENGINES)(self._selected)

    @property
    def names(self) -> frozenset[str]:
        """By which detectors are selected: those of processors, and their kinds."""
        asked = [one for one in self.guardrails.processors if one.action is not Action.OFF]
        return frozenset(name for one in asked for name in (one.name, one.detector.value))

    @property
    def kinds(self) -> frozenset[str]:
        """All that the detectors served may find."""
        served = {one.detector for one in self.guardrails.processors if one.action is not Action.OFF}
        modules = (import_module(f"sidecar.guardrails.{kind}") for kind in served)
        return frozenset(kind for module in modules for kind in module.KINDS)

    def verdict(self, roots: Sequence[Root], direction: Direction) -> Verdict:
        """As the sidecar would decide about a message that goes this way."""
        return self._whole.examine(roots, direction)

    def text(self, text: str, selection: Selection) -> list[Finding]:
        """What is in one text, in its order. Raises NotExamined."""
        return self.found((Root([text], 0, Part.RESULTS, ()),), selection)

    def found(self, roots: Sequence[Root], selection: Selection) -> list[Finding]:
        """What is in `roots`, whichever way it goes and whatever part it is. Raises NotExamined."""
        verdict = self._engine_of(selection.detectors).examine(roots, Direction.REQUEST)
        if verdict.failed:
            told = (
                f"{name} {'took too long' if reason is Reason.GUARD_TIMEOUT else 'failed'}"
                for name, reason in verdict.failed
            )
            raise NotExamined(", ".join(told))
        return [
            one
            for one in verdict.findings
            if one.score >= selection.threshold and (not selection.kinds or one.kind in selection.kinds)
        ]

    def _selected(self, detectors: frozenset[str]) -> Engine:
        processors = tuple(
            replace(one, direction=Direction.BOTH, parts=ALL_PARTS, tools=("*",))
            for one in self.guardrails.processors
            if not detectors or one.name in detectors or one.detector.value in detectors
        )
        return Engine(replace(self.guardrails, processors=processors))


def external(guardrails: Guardrails) -> list[str]:
    """The names of processors that would ask somebody else."""
    return [one.name for one in guardrails.processors if one.detector is DetectorKind.EXTERNAL]


def whole(finding: Finding) -> dict[str, Any]:
    """What is told of a finding besides where it is."""
    evidence = [{"name": "rule", "value": finding.note}] if finding.note else []
    return {
        "detection": finding.kind,
        "detection_type": finding.processor.detector.value,
        "score": finding.score,
        "evidence": evidence,
        "metadata": {"reading": finding.view, "processor": finding.processor.name},
    }
