"""`python -m bench.guardrails.train_injection DATA [--output model.json]`: make the injection model.

DATA is a folder of labelled texts (one JSON object a line: id, text, label). The same data gives the same file.
What it prints stands in the file as well: scores on what was held back, and for each source of attacks a model
that has never seen that source.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.guardrails.evaluation import Scores, evaluate, scored
from bench.guardrails.figures import area_under_curve, share, threshold_for
from bench.guardrails.learning import learn, score, telling_words
from bench.guardrails.lexicon import CLASSES
from bench.guardrails.logistic import Fit
from bench.guardrails.sources import EVALUATED, NEGATIVE, POSITIVE, Row, read_source
from bench.guardrails.triggers import choose_triggers

FALSE_POSITIVES: Final = 0.002
"""Of the honest texts for training, by models that did not see them, this share may be flagged."""
FOLDS: Final = 4
DECIMALS: Final = 3
LEAST_WEIGHT: Final = 0.02
TELLING_WEIGHT: Final = 0.3
"""What speaks less for an attack by itself is nothing to wait for."""
MADE_BY: Final = "python -m bench.guardrails.train_injection"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the file was written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args(arguments)
    rows = [row for source in EVALUATED for row in read_source(asked.data, source)]
    document = make(rows)
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    if asked.output:
        asked.output.write_text(text, encoding="utf-8")
    print(json.dumps(document["scores"], indent=1))
    print(f"{len(document['weights'])} features, {len(text.encode()):,} bytes", file=sys.stderr)
    return 0


def make(rows: Sequence[Row]) -> dict[str, Any]:
    """The whole file, from all rows of all sources."""
    training = [row for row in rows if learned_from(row) and not row.validation]
    model = rounded(learn(training))
    threshold = _threshold(training)
    words = _triggers(training, model, threshold)
    document: dict[str, Any] = {
        "made_by": MADE_BY,
        "is": "Logistic regression over sentences: score = 1 / (1 + exp(-(bias + sum of the weights found))).",
        "features": "word; two neighbours; CLASS of words; CLASS..CLASS in this order, at most 6 words apart.",
        "learned_from": {"positive": list(POSITIVE), "negative": list(NEGATIVE)},
        "split": "3 tenths of the groups of near-duplicates are held back for validation, by hash of the group.",
        "bias": round(model.bias, DECIMALS),
        "threshold": round(1 / (1 + math.exp(-threshold)), DECIMALS),
        "triggers": list(words),
        "classes": _classes(),
        "weights": dict(sorted(model.weights.items())),
        "scores": {},
    }
    document["scores"] = {
        "explained": (
            "share of texts flagged. rules: by a rule that counts in their part; model: by the model alone, asked "
            "about every sentence; detector: by either, as shipped."
        ),
        "caution": (
            "Only the weights are untouched by what is held back. The rules, the classes, our own phrases and the "
            "settings of training were written and corrected with texts of every source in sight, held-back ones "
            "among them: the columns rules and detector are no estimate for new texts, and left_out leaves out a "
            "source's rows but not what was known of it. Its threshold is set on those honest texts themselves."
        ),
        "training": _table(evaluate(document, [row for row in rows if not row.validation])),
        "validation": _table(evaluate(document, [row for row in rows if row.validation])),
        "left_out": _left_out(rows),
    }
    return document


def learned_from(row: Row) -> bool:
    """Whether training may see it; labels of the sources differ in what they promise."""
    return row.source in (POSITIVE if row.positive else NEGATIVE)


def rounded(model: Fit) -> Fit:
    """As it stands in the file: what is near nothing is left out."""
    weights = {
        name: round(weight, DECIMALS) for name, weight in model.weights.items() if abs(weight) >= LEAST_WEIGHT
    }
    return Fit(round(model.bias, DECIMALS), weights)


def _threshold(training: Sequence[Row]) -> float:
    """A logit, from honest texts each scored by a model that has not seen its group."""
    held_back: list[float] = []
    for fold in range(FOLDS):
        model = learn([row for row in training if row.fold(FOLDS) != fold])
        held_back.extend(
            score(model, row.text) for row in training if row.fold(FOLDS) == fold and not row.positive
        )
    return threshold_for(held_back, FALSE_POSITIVES)


def _triggers(training: Sequence[Row], model: Fit, threshold: float) -> tuple[str, ...]:
    planted = [
        told
        for row in training
        if row.positive
        for told, logit in telling_words(row.text, model)
        if logit >= threshold
    ]
    honest = [told for row in training if not row.positive for told, _ in telling_words(row.text, model)]
    telling = frozenset(
        name
        for name, weight in model.weights.items()
        if weight >= TELLING_WEIGHT and len(name) > 3 and " " not in name
    )
    return choose_triggers(planted, honest, CLASSES, telling)


def _classes() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word, name in CLASSES.items():
        found.setdefault(name, []).append(word)
    return found


def _table(scores: Sequence[Scores]) -> dict[str, dict[str, float]]:
    return {
        f"{one.source} {'attacks' if one.positive else 'honest'}": {
            "texts": one.texts,
            "rules": round(one.rules, 3),
            "model": round(one.model, 3),
            "detector": round(one.detector, 3),
        }
        for one in scores
    }


def _left_out(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """For each source of attacks: how a model does on all of it that has seen nothing of it."""
    found: dict[str, dict[str, float]] = {}
    honest = [row for row in rows if not row.positive and row.validation]
    for source in POSITIVE:
        training = [row for row in rows if learned_from(row) and not row.validation and row.source != source]
        model = learn(training)
        negatives = scored(model, honest)
        positives = scored(model, [row for row in rows if row.positive and row.source == source])
        threshold = threshold_for(negatives, 0.01)
        found[source] = {
            "texts": len(positives),
            "recall_at_1_percent_false_positives": round(share([one >= threshold for one in positives]), 3),
            "area_under_curve": round(area_under_curve(positives, negatives), 3),
        }
    return found


if __name__ == "__main__":
    raise SystemExit(main())
