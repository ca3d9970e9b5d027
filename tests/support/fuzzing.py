"""How hard to fuzz: a little and always alike in the suite, more and at random when asked to."""

from __future__ import annotations

import os

FACTOR = int(os.environ.get("OUTRIDER_FUZZ", "1"))
"""How many times the usual number of examples; above 1 they are also drawn at random."""


def examples(usual: int) -> int:
    """The number of examples for a test whose usual number is `usual`."""
    return usual * FACTOR
