"""Logistic regression over sets of named features, without a library: AdaGrad, shrinkage, a fixed order.

A few thousand sentences of twenty features each need no more, and what comes out can be repeated bit for bit.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SEED: Final = 20260601


@dataclass(frozen=True, slots=True)
class Example:
    """One sentence: `found` are its features, `importance` how much it counts."""

    found: tuple[str, ...]
    positive: bool
    importance: float = 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    """Weights by name of feature."""

    bias: float
    weights: Mapping[str, float]

    def logit(self, found: Iterable[str]) -> float:
        get = self.weights.get
        return self.bias + math.fsum(get(name, 0.0) for name in found)


def fit(
    examples: Sequence[Example],
    *,
    never_positive: frozenset[str] = frozenset(),
    epochs: int = 20,
    rate: float = 0.15,
    shrink: float = 0.1,
) -> Fit:
    """Weights that separate the positive ones from the rest; those of `never_positive` are at most 0.

    The same examples give the same weights.
    """
    order = list(range(len(examples)))
    shuffle = random.Random(SEED).shuffle
    weights: dict[str, float] = {}
    squares: dict[str, float] = {}
    bias, bias_square = -2.0, 1.0
    for _ in range(epochs):
        shuffle(order)
        for index in order:
            example = examples[index]
            logit = bias + sum([weights.get(name, 0.0) for name in example.found])
            error = (
                1 / (1 + math.exp(-max(-30.0, min(30.0, logit)))) - example.positive
            ) * example.importance
            bias_square += error * error
            bias -= rate * error / math.sqrt(bias_square)
            for name in example.found:
                square = squares.get(name, 0.1) + error * error
                squares[name] = square
                weight = weights.get(name, 0.0) - rate * error / math.sqrt(square)
                weights[name] = 0.0 if weight > 0 and name in never_positive else weight
        # Once for each walk, whatever was seen: what is rare stays small, what is frequent recovers.
        weights = {name: weight * (1 - shrink) for name, weight in weights.items()}
    return Fit(bias, weights)
