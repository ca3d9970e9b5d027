"""What detectors found in the readings of one sheet, said once for each thing.

The same token is seen in several readings, and in both pieces where a text was cut. A reader that sees more of
it (an address with an invisible character within) is believed, unless all it can say is where a whole stretch
was decoded from, and another knows better.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Final, NamedTuple

from sidecar.guardrails.hit import Hit

TRACED: Final = 12
"""Characters that one character may be written with (`&#x00041;`) and still be traced to them."""
SLACK: Final = 16


class Found(NamedTuple):
    """A hit at code points `start` to `end` of the sheet, within its text number `leaf`, in slice `part`."""

    leaf: int
    kind: str
    start: int
    end: int
    hit: Hit
    view: str
    part: int = 0

    @property
    def vague(self) -> bool:
        """It is somewhere in there: the span is not what was read, but what that was decoded from."""
        return self.end - self.start > TRACED * (self.hit.end - self.hit.start) + SLACK


def distinct(found: list[Found]) -> list[Found]:
    """Each thing once, in the order of the sheet. Given in the order in which it was found, plainest reading
    first, which wins where spans are the same."""
    if len(found) < 2:
        return found
    found = sorted(found, key=lambda one: (one.leaf, one.kind, one.start, -one.end))
    kept: list[Found] = []
    current = found[0]
    for one in found[1:]:
        if (one.leaf, one.kind) != (current.leaf, current.kind) or one.start >= current.end:
            kept.append(current)
            current = one
        elif one.end <= current.end:
            if current.vague and not one.vague:
                current = one
        elif one.part != current.part:
            current = current._replace(end=one.end)
        else:
            kept.append(current)
            current = one
    kept.append(current)
    kept.sort(key=attrgetter("start", "end"))
    return kept
