"""Which words the model waits for: few, seldom in honest texts, and in everything that it would flag."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

COST: Final = 4
"""How many honest sentences a unit may stand in before they weigh against it; rare words are all alike."""


def choose_triggers(
    planted: Sequence[frozenset[str]],
    honest: Iterable[frozenset[str]],
    classes: Mapping[str, str],
    telling: frozenset[str],
) -> tuple[str, ...]:
    """Words of which every planted sentence has one, as far as words can do it.

    Greedy: next comes what covers most sentences for each honest one that it opens as well. A word of a class
    brings its whole class: an attack that was not seen says it with another word. `telling`: what may be chosen,
    words and classes.
    """
    members: dict[str, set[str]] = defaultdict(set)
    for word, name in classes.items():
        members[name].add(word)
    cost: dict[str, int] = defaultdict(int)
    for sentence in honest:
        for unit in {classes.get(word, word) for word in sentence}:
            cost[unit] += 1
    left = [{classes.get(word, word) for word in sentence} & telling for sentence in planted]
    chosen: list[str] = []
    while left := [units for units in left if units]:
        gain: dict[str, int] = defaultdict(int)
        for units in left:
            for unit in units:
                gain[unit] += 1
        best = max(gain, key=lambda unit: (gain[unit] / (COST + cost[unit]), unit))
        chosen.append(best)
        left = [units for units in left if best not in units]
    return tuple(sorted(word for unit in chosen for word in members.get(unit, {unit})))
