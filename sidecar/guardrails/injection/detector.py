"""Finds instructions that were planted for a model, and poison in the descriptions of tools."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from mesh.policy.guardrails import DetectorKind, InjectionOptions
from sidecar.guardrails.hit import SEPARATOR, DetectorFailed, Hit
from sidecar.guardrails.injection.kinds import MODEL
from sidecar.guardrails.injection.model import Explanation, Model, probability, shipped_model
from sidecar.guardrails.injection.rules import MODEL_GATE, Rules, trigger
from sidecar.guardrails.injection.windows import window_around
from sidecar.guardrails.re2_set import Patterns

MOST_WINDOWS: Final = 2000
"""Sentences of one text that the model reads, which takes some 10 us for each. What a message is cut into is
hardly long enough for as many; where there are more, nobody says that there is nothing in them."""

_DIVIDES: Final = SEPARATOR + " \t\r\n"


class InjectionDetector:
    """Rules first, and they say what they found; then the model, for the sentences in which none fired."""

    __slots__ = ("_model", "_rules", "_threshold", "_triggers", "name")

    def __init__(self, options: InjectionOptions, model: Model | None = None) -> None:
        """`model`: another than the one that comes with this package."""
        self.name = DetectorKind.INJECTION.value
        self._model = shipped_model() if model is None else model
        self._rules, self._triggers = _shared(self._model.triggers)
        threshold = self._model.threshold if options.threshold is None else options.threshold
        self._threshold = _logit(threshold)

    def scan(self, text: str) -> list[Hit]:
        """Every match of every rule, and the sentences that the model takes for planted. Linear in the length.
        Raises DetectorFailed, with what was found, where there are more sentences than it reads."""
        begun = self._rules.begun(text)
        if not begun:
            return []
        hits = [hit_of(text, name, start, end) for name, start, end in self._rules.asked(text, begun)]
        if begun[-1] == MODEL_GATE:
            windows, whole = self._windows(text)
            hits.extend(self._judged(text, windows, hits))
            if not whole:
                raise DetectorFailed(f"more than {MOST_WINDOWS} sentences", hits)
        return hits

    def explain(self, text: str) -> Explanation:
        """What the model makes of a text, whether or not it would be asked."""
        return self._model.explain(text)

    def _judged(self, text: str, windows: Iterable[tuple[int, int]], found: Iterable[Hit]) -> list[Hit]:
        # A rule of descriptions may not count where this text stands, so that it silences nothing.
        ruled = sorted((hit.start, hit.end) for hit in found if not hit.kind.startswith("POISON_"))
        return list(self._planted(text, _free(windows, ruled)))

    def _windows(self, text: str) -> tuple[list[tuple[int, int]], bool]:
        """Sentences with a trigger, in their order, and whether these are all."""
        found: list[tuple[int, int]] = []
        reached = 0
        for place in self._places(text):
            if place >= reached:
                if len(found) == MOST_WINDOWS:
                    return found, False
                found.append(window_around(text, place))
                reached = found[-1][1]
        return found, True

    def _places(self, text: str) -> Iterator[int]:
        # The middle of a match lies within the sentence of the word, whatever stands beside it.
        return ((start + end) // 2 for _, start, end in self._triggers.find(text))

    def _planted(self, text: str, spans: Iterable[tuple[int, int]]) -> Iterator[Hit]:
        for start, end in spans:
            logit = self._model.logit(text[start:end])
            if logit >= self._threshold:
                start, end = trimmed(text, start, end)
                yield Hit(MODEL, start, end, probability(logit), self._model.summary(text[start:end]))


@cache
def _shared(words: tuple[str, ...]) -> tuple[Rules, Patterns]:
    """What all detectors of this process ask: automata are made once."""
    return Rules(words), Patterns({"trigger": trigger(words)}, ignore_case=True)


def hit_of(text: str, rule: str, start: int, end: int) -> Hit:
    """The hit of a rule's match: rules that look at how a line or a text begins match what divides it as well."""
    start, end = trimmed(text, start, end)
    kind, _, name = rule.partition("/")
    return Hit(kind, start, end, 1.0, name)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without the separators and blanks at its ends; it holds something else."""
    while text[start] in _DIVIDES:
        start += 1
    while text[end - 1] in _DIVIDES:
        end -= 1
    return start, end


def _free(spans: Iterable[tuple[int, int]], ruled: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The windows in which no rule fired; both in the order of the text."""
    place = 0
    for start, end in spans:
        while place < len(ruled) and ruled[place][1] <= start:
            place += 1
        if place == len(ruled) or ruled[place][0] >= end:
            yield start, end


def _logit(threshold: float) -> float:
    """Of a probability; 0 lets everything through that the model is asked about, 1 nothing."""
    if threshold <= 0:
        return -math.inf
    return math.inf if threshold >= 1 else math.log(threshold / (1 - threshold))
