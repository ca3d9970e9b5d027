"""Recall, false positives, and the area under the curve."""

from __future__ import annotations

import bisect
from collections.abc import Sequence


def share(flags: Sequence[bool]) -> float:
    """How many of them are true, from 0 to 1; of none 0."""
    return sum(flags) / len(flags) if flags else 0.0


def threshold_for(negatives: Sequence[float], false_positives: float) -> float:
    """The least score at which no more than this share of the negatives is flagged (score >= threshold)."""
    if not negatives:
        return 0.0
    ordered = sorted(negatives, reverse=True)
    allowed = int(false_positives * len(ordered))
    return ordered[allowed] + 1e-6 if allowed < len(ordered) else ordered[-1]


def area_under_curve(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """How probable it is that a positive scores higher than a negative; ties count half."""
    ordered = sorted(negatives)
    above = sum(
        (bisect.bisect_left(ordered, one) + bisect.bisect_right(ordered, one)) / 2 for one in positives
    )
    return above / (len(positives) * len(negatives)) if positives and negatives else 0.0
