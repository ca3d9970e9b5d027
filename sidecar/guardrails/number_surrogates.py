"""Numbers that may stand in the place of masked ones: same type and sign, and none that means anything.

The common form is 9990 and eleven more digits: no country's telephone numbers begin so, it is too long for a
social security number, no card whose check digit is right, and every reader of JSON holds it exactly (below
2^53). Where a schema sets bounds or steps, something within them is looked for. Of the number itself only type and
sign are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from sidecar.guardrails.schemas import Limits
from sidecar.guardrails.surrogates import looks_real

BASE: Final = 9990 * 10**11
MOST_TRIED: Final = 400
_EXACT = 1 << 53


def number_surrogates(value: int | float, serial: int, limits: Limits) -> Iterator[int | float]:
    """Candidates that the place admits, best first; finitely many. None follow one that is the number itself, as
    the next one would say so."""
    sign = -1 if value < 0 else 1
    for whole in islice(_wholes(value, serial, limits), MOST_TRIED):
        if abs(whole) >= _EXACT or whole * sign <= 0 or looks_real(str(abs(whole))):
            continue
        forms: tuple[int | float, ...] = (
            (whole,) if type(value) is int else (whole + sign * 0.5, float(whole))
        )
        for form in forms:
            if limits.admits(form):
                if form == value:
                    return
                yield form


def _wholes(value: int | float, serial: int, limits: Limits) -> Iterator[int]:
    sign = -1 if value < 0 else 1
    step = 1
    for one in limits.values("multipleOf"):
        if type(one) in (int, float) and one > 1 and one % 1 == 0:
            step *= int(one)
    first = BASE - BASE % step + step * serial
    for more in range(8):
        yield sign * (first + more * 1000 * step)
    highest = _bound(limits, ("maximum", "exclusiveMaximum"), min)
    lowest = _bound(limits, ("minimum", "exclusiveMinimum"), max)
    yield from _near(highest, -step, serial, step)
    yield from _near(lowest, step, serial, step)
    # Between bounds that are far off, as many digits as they have.
    for bound in highest, lowest:
        digits = 0 if bound is None else len(str(abs(bound)))
        for some in {digits - 1, digits} if digits else ():
            for begin in 666 * 10 ** max(some - 3, 0), 10 ** max(some - 1, 0):
                yield from islice(_near(sign * begin, sign * step, serial, step), 40)


def _near(bound: int | None, way: int, serial: int, step: int) -> Iterator[int]:
    if bound is None:
        return
    begin = bound - bound % step
    for more in range(80):
        yield begin + way * (serial + more)


def _bound(limits: Limits, keywords: tuple[str, str], tightest: Any) -> int | None:
    known = [
        int(one)
        for keyword in keywords
        for one in limits.values(keyword)
        if type(one) in (int, float) and abs(one) < _EXACT
    ]
    return int(tightest(known)) if known else None
