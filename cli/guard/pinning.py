"""Whether pins notice every change of a tool, and nothing else: pairs of what it was and what it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from cli.guard.rows import Row
from cli.guard.running import Outcome
from cli.guard.spans import score_document
from mesh.pins.canonical import NotCanonical
from mesh.pins.compare import changed


def pairs_judged(rows: Iterable[Row]) -> Outcome:
    """Each row is JSON of `before` and `after`, and labelled 1 where they differ for whoever uses the tool.

    A definition that cannot be pinned counts as changed: it is hidden. What is no such pair counts as late.
    """
    outcome = Outcome()
    for row in rows:
        pair = _pair(row)
        if pair is None:
            outcome.late.append(row.id)
            continue
        begun = time.thread_time()
        found = _noticed(*pair)
        outcome.seconds.append(time.thread_time() - begun)
        outcome.size += len(row.text.encode(errors="surrogatepass"))
        outcome.tell(row, score_document(row, [pair] if found else []))
    return outcome


def _noticed(before: dict[str, Any], after: dict[str, Any]) -> bool:
    try:
        return changed(before, after) is not None
    except NotCanonical:
        return True


def _pair(row: Row) -> tuple[dict[str, Any], dict[str, Any]] | None:
    try:
        value = json.loads(row.text)
    except (ValueError, RecursionError):
        return None
    match value:
        case {"before": dict(before), "after": dict(after)}:
            return before, after
    return None
