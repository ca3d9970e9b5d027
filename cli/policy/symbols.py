"""Every kind of name that a set of patterns can tell apart, each by an example.

Whether something is granted depends on which entries match its name. The entries, exact names and globs, are run
side by side as one automaton, whose states are explored breadth first; the first name found for each set of
matching entries stands for all names with that set. So a comparison on these examples misses no name, although
names are without number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_STATES = 20_000
ANY, DEEP = "\ufffe", "\uffff"
"""In a pattern: one character, and any run of characters, those of `stops` too."""
_WILD = frozenset("*?" + ANY + DEEP)
# For characters that no pattern mentions where they stand: what patterns may match, and what they may not.
_WELL_FORMED = "x_yzabcdefghijklmnopqrstuvw0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.-/"
_ILL_FORMED = " ~!@#%\u00e9"


@dataclass(frozen=True, slots=True)
class NameClass:
    """The names that match exactly `entries`; `example` is the shortest. `well_formed`: what MCP recommends."""

    example: str
    entries: tuple[str, ...]
    well_formed: bool = True

    @property
    def title(self) -> str:
        """In words: the name itself where it is one, else the narrowest pattern, else what is left."""
        exact = [one for one in self.entries if not _wild(one)]
        if exact:
            return exact[0]
        narrow = sorted((one for one in self.entries if one != "*"), key=lambda one: (-_weight(one), one))
        if not narrow:
            return "*" if self.well_formed else "(names with unusual characters)"
        title = " and ".join(narrow)
        return title if self.well_formed else f"{title} (with unusual characters)"


@dataclass(frozen=True, slots=True)
class Classes:
    """`complete` is False where there are more than could be looked through."""

    classes: tuple[NameClass, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class _State:
    """Positions reached in each pattern, as bits, and whether a character outside the usual ones was read."""

    masks: tuple[int, ...]
    ill: bool


def classes_of(patterns: Sequence[str], *, ill_formed: bool = True, stops: str = "") -> Classes:
    """The classes of names under `patterns`, where `*` is any run of characters and `?` one.

    `*` and `?` do not match characters of `stops`, `ANY` and `DEEP` do.
    """
    known = tuple(dict.fromkeys(patterns))
    start = _State(tuple(_closed(pattern, 1) for pattern in known), ill=False)
    found: dict[tuple[tuple[str, ...], bool], NameClass] = {}
    waiting: deque[tuple[_State, str]] = deque([(start, "")])
    seen = {start}
    complete = True
    while waiting:
        state, name = waiting.popleft()
        for character, ill in _alphabet(known, state, ill_formed=ill_formed, stops=stops):
            following = _State(_step(known, state.masks, character, stops), state.ill or ill)
            entries = tuple(p for p, mask in zip(known, following.masks, strict=True) if mask >> len(p) & 1)
            found.setdefault(
                (entries, following.ill), NameClass(name + character, entries, not following.ill)
            )
            if following not in seen:
                if len(seen) >= MAX_STATES:
                    complete = False
                    continue
                seen.add(following)
                waiting.append((following, name + character))
    return Classes(tuple(found.values()), complete)


def telling(classes: Sequence[NameClass], outcomes: Sequence[object]) -> list[int]:
    """The indexes of the classes that have to be shown, where the narrowest that is shown holds for each name.

    A class goes without saying if everything just above it, with fewer entries, has the same outcome; one of
    unusual names if the usual ones with its entries have.
    """
    twins = {one.entries: outcomes[index] for index, one in enumerate(classes) if one.well_formed}
    keys = {index: frozenset(one.entries) for index, one in enumerate(classes) if one.well_formed}
    return [
        index
        for index, one in enumerate(classes)
        if (_differs(index, keys, outcomes) if one.well_formed else twins.get(one.entries) != outcomes[index])
    ]


def _differs(index: int, keys: Mapping[int, frozenset[str]], outcomes: Sequence[object]) -> bool:
    above = [other for other, key in keys.items() if key < keys[index]]
    nearest = [a for a in above if not any(keys[a] < keys[b] for b in above)]
    return not nearest or any(outcomes[a] != outcomes[index] for a in nearest)


def _alphabet(
    patterns: tuple[str, ...], state: _State, *, ill_formed: bool, stops: str
) -> Iterator[tuple[str, bool]]:
    """The characters that lead somewhere else from here, and one of each kind for all others."""
    literal = {
        pattern[index]
        for pattern, mask in zip(patterns, state.masks, strict=True)
        for index in range(len(pattern))
        if mask >> index & 1 and pattern[index] not in _WILD
    }
    literal.update(stops)
    for character in sorted(literal):
        yield character, character not in _WELL_FORMED
    yield from ((c, False) for c in _first_other(_WELL_FORMED, literal, stops))
    if ill_formed:
        yield from ((c, True) for c in _first_other(_ILL_FORMED, literal, stops))


def _first_other(characters: str, literal: set[str], stops: str) -> Iterator[str]:
    for character in characters:
        if character not in literal and character not in stops:
            yield character
            return


def _step(patterns: tuple[str, ...], masks: tuple[int, ...], character: str, stops: str) -> tuple[int, ...]:
    stopped = character in stops
    following = []
    for pattern, mask in zip(patterns, masks, strict=True):
        reached = 0
        for index, wanted in enumerate(pattern):
            if not mask >> index & 1:
                continue
            if wanted == DEEP or (wanted == "*" and not stopped):
                reached |= 1 << index
            elif wanted in (character, ANY) or (wanted == "?" and not stopped):
                reached |= 1 << (index + 1)
        following.append(_closed(pattern, reached))
    return tuple(following)


def _closed(pattern: str, mask: int) -> int:
    """With the positions after stars, which may match nothing."""
    for index, character in enumerate(pattern):
        if character in ("*", DEEP) and mask >> index & 1:
            mask |= 1 << (index + 1)
    return mask


def _wild(entry: str) -> bool:
    return not _WILD.isdisjoint(entry)


def _weight(entry: str) -> int:
    return sum(1 for character in entry if character not in _WILD)
