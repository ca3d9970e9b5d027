"""Whether pins notice every change of a tool, and nothing else: pairs of what it was and what it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from cli.guard.rows import Row
from cli.guard.running import Outcome
from cli.guard.spans import score_document


def available() -> bool:
    """Whether there are pins at all."""
    return find_spec("mesh.pins") is not None and hasattr(import_module("mesh.pins"), "changed")


def pairs_judged(rows: Iterable[Row]) -> Outcome:
    """Each row is JSON of `before` and `after`, and labelled 1 where they differ for whoever uses the tool."""
    changed: Callable[[Any, Any], Any] = import_module("mesh.pins").changed
    outcome = Outcome()
    for row in rows:
        pair = json.loads(row.text)
        begun = time.thread_time()
        found = bool(changed(pair["before"], pair["after"]))
        outcome.seconds.append(time.thread_time() - begun)
        counts = score_document(row, [pair] if found else [])
        outcome.rows += 1
        outcome.size += len(row.text)
        outcome.counts.add(counts)
        if counts.hits < counts.positives:
            outcome.missed.append(row.id)
        if counts.wrong:
            outcome.wrong.append(row.id)
    return outcome
