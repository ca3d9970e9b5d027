"""From labelled texts to weights: which sentence of a text is the planted one, and which features may be learned.

A label is on a text, and a planted sentence stands among honest ones. So sentences of negative texts are negative,
and of each positive text the one that looks most planted is positive: first to the rules, then to the model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from bench.guardrails.lexicon import CLASSES
from bench.guardrails.logistic import Example, Fit, fit
from bench.guardrails.names import written_as_names
from bench.guardrails.sources import Row
from sidecar.guardrails.injection.features import features
from sidecar.guardrails.injection.rules import Rules
from sidecar.guardrails.injection.windows import windows, words

RULES_ALONE: Final = Rules(())
ROUNDS: Final = 2
LEAST_GROUPS: Final = 4
"""Groups of rows in which a feature has to be seen."""
LEAST_SOURCES: Final = 2
"""Sources in which it has to be seen: what only one of them says is its own style."""
LEAST_ATTACK_GROUPS: Final = 3
FEWEST_WORDS: Final = 3
TELLING: Final = frozenset(
    {
        "SETASIDE",
        "SECRET",
        "PERSONAL",
        "HIDDEN",
        "SYSTEM",
        "ENCODE",
        "PRETEND",
        "AUTHORITY",
        "SEND",
        "USER",
        "OUTSIDE",
    }
)
IMPORTANCE: Final = 3.0
NOTHING_TO_JUDGE: Final = -20.0
"""The logit of a text without sentences."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One window of a text. `ruled`: a rule fires in it."""

    found: tuple[str, ...]
    ruled: bool


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What may be learned at all, and what may only speak against."""

    allowed: frozenset[str]
    never_positive: frozenset[str]


@cache
def sentences(text: str) -> tuple[Sentence, ...]:
    """The windows of a text that have words enough to be judged."""
    spans = [(start, end) for _, start, end in RULES_ALONE.find(text)]
    return tuple(
        Sentence(tuple(sorted(features(told, CLASSES))), any(a < end and start < b for a, b in spans))
        for start, end in windows(text)
        if len(told := words(text[start:end])) >= FEWEST_WORDS
    )


def learn(rows: Sequence[Row]) -> Fit:
    """A model of these rows."""
    vocabulary = vocabulary_of(rows)
    importance = _importance(rows)
    chosen = {row: _first_guess(row) for row in rows if row.positive}
    for _ in range(ROUNDS):
        model = _fit(rows, chosen, vocabulary, importance)
        chosen = {row: _best(row, model) for row in chosen}
    return _fit(rows, chosen, vocabulary, importance)


def score(model: Fit, text: str) -> float:
    """The logit of a text: that of its most suspicious sentence."""
    return max((model.logit(one.found) for one in sentences(text)), default=NOTHING_TO_JUDGE)


def telling_words(text: str, model: Fit) -> Iterator[tuple[frozenset[str], float]]:
    """Words and logit of each sentence."""
    for one in sentences(text):
        yield (
            frozenset(name for name in one.found if name.islower() and " " not in name),
            model.logit(one.found),
        )


def vocabulary_of(rows: Sequence[Row]) -> Vocabulary:
    """Features that are no one source's own style, and no names. Words may only speak for an attack where several
    sources of attacks have them, in several groups; classes of words may at once."""
    names = written_as_names(row.text for row in rows)
    groups: dict[str, set[str]] = defaultdict(set)
    origins: dict[str, set[str]] = defaultdict(set)
    attacks: dict[str, set[str]] = defaultdict(set)
    attackers: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name in {name for one in sentences(row.text) for name in one.found}:
            groups[name].add(row.group)
            origins[name].add(row.source)
            if row.positive:
                attacks[name].add(row.group)
                attackers[name].add(row.source)
    allowed = frozenset(
        name
        for name in groups
        if len(groups[name]) >= LEAST_GROUPS
        and len(origins[name]) >= LEAST_SOURCES
        and names.isdisjoint(name.split())
        and all(len(word) > 1 or word in "ai" for word in name.split())
    )
    never_positive = frozenset(
        name
        for name in allowed
        if name.islower()
        and (len(attackers[name]) < LEAST_SOURCES or len(attacks[name]) < LEAST_ATTACK_GROUPS)
    )
    return Vocabulary(allowed, never_positive)


def _fit(
    rows: Sequence[Row],
    chosen: Mapping[Row, tuple[Sentence, ...]],
    vocabulary: Vocabulary,
    importance: Mapping[str, float],
) -> Fit:
    made: list[Example] = []
    for row in rows:
        for one in chosen[row] if row.positive else sentences(row.text):
            found = tuple(name for name in one.found if name in vocabulary.allowed)
            made.append(Example(found, row.positive, importance[row.source] if row.positive else 1.0))
    return fit(made, never_positive=vocabulary.never_positive)


def _first_guess(row: Row) -> tuple[Sentence, ...]:
    every = _telling(row)
    ruled = tuple(one for one in every if one.ruled)
    # What is planted in a longer text usually stands at its end.
    return ruled or (every if len(every) <= 2 else every[-1:])


def _best(row: Row, model: Fit) -> tuple[Sentence, ...]:
    return tuple(sorted(_telling(row), key=lambda one: -model.logit(one.found))[:1])


def _telling(row: Row) -> tuple[Sentence, ...]:
    """The sentences of a text that can be learned from: many attacks are ordinary questions in an unfit place, and
    to learn those by their words is to learn ordinary questions."""
    return tuple(one for one in sentences(row.text) if one.ruled or not TELLING.isdisjoint(one.found))


def _importance(rows: Sequence[Row]) -> dict[str, float]:
    """What positives of a source count: sources of many near-duplicates must not outweigh the others."""
    groups: dict[str, set[str]] = defaultdict(set)
    many: Counter[str] = Counter()
    for row in rows:
        if row.positive:
            groups[row.source].add(row.group)
            many[row.source] += 1
    return {source: IMPORTANCE * max(0.1, len(groups[source]) / many[source]) for source in many}
