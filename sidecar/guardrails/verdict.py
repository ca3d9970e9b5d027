"""What came of looking at one message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from mesh.policy.guardrails import Action, Part, Processor
from mesh.reasons import Reason


class Leaf(NamedTuple):
    """One text of a message, and where it stands: `holder[key]`, or a key of `holder` itself.

    `path` leads from the message to the holder. `form`: `value` (a string), `number` (its JSON text) or `key`.
    `maskable`: something else may stand in its place; never true of a key.
    """

    text: str
    holder: Any
    key: str | int
    part: Part
    path: tuple[str | int, ...]
    form: str = "value"
    maskable: bool = True

    @property
    def where(self) -> str:
        """Like `params.arguments.body`."""
        return ".".join(str(step) for step in (*self.path, self.key))


class Finding(NamedTuple):
    """What a processor has to act on, at code points `start` to `end` of the leaf's text.

    `view` names how the text had to be read to see it (`plain`: as it is); where a view cannot be traced back
    exactly, the span is all that it was read from. `kind`, `score` and `note` are the detector's.
    """

    processor: Processor
    kind: str
    leaf: Leaf
    start: int
    end: int
    score: float
    view: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`action` is what has to happen (findings of processors that only observe do not count); `reason` is why,
    where it is BLOCK. `failed` are the names of processors that failed or were late, with what happened."""

    action: Action = Action.OFF
    reason: Reason | None = None
    findings: tuple[Finding, ...] = ()
    failed: tuple[tuple[str, Reason], ...] = ()


NOTHING = Verdict()
