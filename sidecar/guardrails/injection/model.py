"""A small logistic regression over sentences. Its file is data to be read: names, weights, and how well they did.

The logit of a sentence is the bias plus the weights of the features that are there. So each weight that is there
is that feature's whole share of the answer: the SHAP value of a linear model, against a background where nothing
is there and the answer is the bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

from sidecar.guardrails.injection.features import features
from sidecar.guardrails.injection.windows import windows, words

FILE = "model.json"


class Explanation(NamedTuple):
    """Why a sentence, at `start` to `end`, has its score. `bias` plus all shares is the logit of `score`."""

    start: int
    end: int
    score: float
    bias: float
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Model:
    """Weights by name of feature; `classes`: which class of words a word is of; `triggers`: words of which one has
    to be there at all, so that most texts need not be read twice."""

    bias: float
    threshold: float
    weights: dict[str, float]
    classes: dict[str, str]
    triggers: tuple[str, ...]

    def logit(self, sentence: str) -> float:
        """Log-odds that a sentence was planted."""
        weights = self.weights
        found = features(words(sentence), self.classes)
        return self.bias + sum([weights[name] for name in found if name in weights])

    def summary(self, sentence: str) -> str:
        """The classes of words that speak most for it, and no word of the text itself."""
        found = features(words(sentence), self.classes)
        named = [(self.weights[name], name) for name in found if name in self.weights and name.isupper()]
        named.sort(key=lambda one: (-one[0], one[1]))
        return ", ".join(name for weight, name in named[:3] if weight > 0)

    def explain(self, text: str) -> Explanation:
        """The sentence of a text with the highest score, and what each feature adds to it, greatest first."""
        start, end = max(windows(text), key=lambda span: self.logit(text[span[0] : span[1]]), default=(0, 0))
        found = features(words(text[start:end]), self.classes)
        shares = [(name, self.weights[name]) for name in found if name in self.weights]
        shares.sort(key=lambda share: (-abs(share[1]), share[0]))
        logit = self.bias + math.fsum(value for _, value in shares)
        return Explanation(start, end, probability(logit), self.bias, tuple(shares))


def probability(logit: float) -> float:
    """Of a logit, without overflow."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))


def read_model(data: bytes) -> Model:
    """From the text of its file. Raises msgspec.DecodeError or KeyError for what is no model."""
    document: dict[str, Any] = msgspec.json.decode(data)
    classes = {word: name for name, members in document["classes"].items() for word in members}
    return Model(
        float(document["bias"]),
        float(document["threshold"]),
        {name: float(weight) for name, weight in document["weights"].items()},
        classes,
        tuple(document["triggers"]),
    )


@cache
def shipped_model() -> Model:
    """The one that comes with this package."""
    return read_model(files(__package__).joinpath(FILE).read_bytes())
