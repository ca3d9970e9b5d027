"""Counts of right and wrong answers, and what is made of them. One place for each definition."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """`hits` of `positives` things that had to be found were; of `told` things that were found, `right` were to be
    found; `wrong` of `benign` documents had something found in them."""

    positives: int = 0
    hits: int = 0
    told: int = 0
    right: int = 0
    benign: int = 0
    wrong: int = 0

    def add(self, other: Counts) -> None:
        """Add up what two sources say."""
        self.positives += other.positives
        self.hits += other.hits
        self.told += other.told
        self.right += other.right
        self.benign += other.benign
        self.wrong += other.wrong

    @property
    def recall(self) -> float | None:
        """hits / positives."""
        return _ratio(self.hits, self.positives)

    @property
    def precision(self) -> float | None:
        """right / told; of nothing where there is nothing that could have been wrong, or right."""
        return _ratio(self.right, self.told) if self.positives and self.benign else None

    @property
    def false_positive_rate(self) -> float | None:
        """wrong / benign."""
        return _ratio(self.wrong, self.benign)

    def f(self, beta: float) -> float | None:
        """The mean of precision and recall that takes recall for `beta` times as important."""
        precision, recall = self.precision, self.recall
        if recall is None or precision is None:
            # Nothing told at all: no precision, but as bad as can be if there was something.
            return 0.0 if recall == 0 and self.benign else None
        weight = beta * beta
        below = weight * precision + recall
        return (1 + weight) * precision * recall / below if below else 0.0


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of `values` do not exceed, the nearest that is there; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]
