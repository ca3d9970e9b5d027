"""What the linear model's own file says of how it was trained: on held-back rows, and on sources it never saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from cli.output.blocks import Block, Heading, Line, Row, Table


def scores() -> dict[str, Any]:
    """`scores` of the file: `validation` by source, and `left_out`: each source by a model trained without it."""
    text = files("sidecar.guardrails.injection").joinpath("model.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["scores"]
    return found


def blocks() -> Iterator[Block]:
    """Both as tables."""
    said = scores()
    yield Heading("The linear model on sources that it was trained without (leave one source out)")
    yield Table(
        ("source", "n", "recall at 1 % false positives", "area under curve"),
        tuple(
            Row(
                (
                    name,
                    str(one["texts"]),
                    f"{one['recall_at_1_percent_false_positives']:.3f}",
                    f"{one['area_under_curve']:.3f}",
                )
            )
            for name, one in said.get("left_out", {}).items()
        ),
    )
    yield Heading("Rules and model on rows that were held back from training (share of texts flagged)")
    yield Table(
        ("source", "n", "rules", "model alone", "detector"),
        tuple(
            Row((name, str(one["texts"]), *(f"{one[part]:.3f}" for part in ("rules", "model", "detector"))))
            for name, one in said.get("validation", {}).items()
        ),
    )
    yield Line("Attacks ought to be flagged, honest texts not.", 2)
    if caution := said.get("caution"):
        yield Line(f"The file says of these figures: {caution}", 2)
