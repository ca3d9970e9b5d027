"""How rules and model do on labelled texts, by source: shares of texts flagged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.guardrails.figures import share
from bench.guardrails.learning import score
from bench.guardrails.logistic import Fit
from bench.guardrails.sources import EVALUATED, Row
from mesh.policy.guardrails import InjectionOptions
from sidecar.guardrails.injection.detector import InjectionDetector
from sidecar.guardrails.injection.kinds import MODEL
from sidecar.guardrails.injection.model import probability, read_model


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one source and one label."""

    source: str
    positive: bool
    texts: int
    rules: float
    model: float
    detector: float


def scored(model: Fit, rows: Sequence[Row]) -> list[float]:
    """Logits, in their order."""
    return [score(model, row.text) for row in rows]


def evaluate(document: dict[str, Any], rows: Sequence[Row]) -> list[Scores]:
    """Of every source, attacks and honest texts apart. `document` is a model's file."""
    model = read_model(json.dumps(document).encode())
    detector = InjectionDetector(InjectionOptions(), model)
    fit = Fit(model.bias, model.weights)
    found = []
    for source in EVALUATED:
        for positive in (True, False):
            chosen = [row for row in rows if row.source == source and row.positive == positive]
            if chosen:
                kinds = [counted(detector, row) for row in chosen]
                flagged = [probability(one) >= model.threshold for one in scored(fit, chosen)]
                rules, either = [bool(one - {MODEL}) for one in kinds], [bool(one) for one in kinds]
                found.append(
                    Scores(source, positive, len(chosen), share(rules), share(flagged), share(either))
                )
    return found


def counted(detector: InjectionDetector, row: Row) -> set[str]:
    """Kinds found in a text that count in its part."""
    return {
        hit.kind for hit in detector.scan(row.text) if row.description or not hit.kind.startswith("POISON_")
    }
