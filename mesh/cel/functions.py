"""What each function of an expression may cost, and how large what it gives may be.

The library bounds how often loops run, not what one round does, and a comparison of two lists, a search for one
long string in another, or a regular expression may take milliseconds. So each function has a rule here, from the
sizes of its arguments to steps; a step is about a nanosecond of a slow machine, rounded up. What has no rule is no
function that expressions may call. The figures are measured, each for the largest values that it lets through.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from mesh.cel.values import Size

MAX_PROGRAM: Final = 1000
"""Instructions of a regular expression, RE2's measure: `[a-z]{1,63}` has 252."""
PER_LEAF: Final = 400
NODE: Final = 60

Rule = Callable[[Sequence[Size]], tuple[int, Size]]
SCALAR: Final = Size(1, 64)


def _total(sizes: Sequence[Size]) -> Size:
    return Size(sum(size.leaves for size in sizes), sum(size.chars for size in sizes))


def _flat(sizes: Sequence[Size]) -> tuple[int, Size]:
    return 0, SCALAR


def _read(sizes: Sequence[Size]) -> tuple[int, Size]:
    """Everything is looked at once, and the answer is a number or a truth."""
    total = _total(sizes)
    return PER_LEAF * total.leaves + 2 * total.chars, SCALAR


def _pass(sizes: Sequence[Size]) -> tuple[int, Size]:
    """One of the arguments, or something in it."""
    return 0, Size(max((s.leaves for s in sizes), default=1), max((s.chars for s in sizes), default=0))


def _copy(sizes: Sequence[Size]) -> tuple[int, Size]:
    """A string much like the first."""
    total = _total(sizes)
    return PER_LEAF * total.leaves + 40 * total.chars, Size(total.leaves, 2 * total.chars + 64)


def _search(sizes: Sequence[Size]) -> tuple[int, Size]:
    """One string in another, place by place: the worst case is the product."""
    text, sought = sizes[0].chars, sizes[1].chars
    return PER_LEAF + 10 * text + text * sought, SCALAR


def _join_up(sizes: Sequence[Size]) -> tuple[int, Size]:
    """`+`: of numbers, strings or lists."""
    total = _total(sizes)
    return 30 * total.leaves + 2 * total.chars, total


def _replace(sizes: Sequence[Size]) -> tuple[int, Size]:
    text, sought, put = (size.chars for size in sizes[:3])
    longest = (text + 1) * (put + 1) + text
    return PER_LEAF + 40 * (text + 1) + text * sought + longest, Size(1, longest)


def _split(sizes: Sequence[Size]) -> tuple[int, Size]:
    text, by = sizes[0].chars, sizes[1].chars
    return PER_LEAF + 80 * text + text * by, Size(text + 1, text)


def _join(sizes: Sequence[Size]) -> tuple[int, Size]:
    total = _total(sizes)
    between = sizes[1].chars if len(sizes) > 1 else 0
    longest = total.chars + total.leaves * between
    return PER_LEAF * total.leaves + 2 * longest, Size(1, longest)


def _format(sizes: Sequence[Size]) -> tuple[int, Size]:
    """A number may be written with 1000 digits."""
    total = _total(sizes)
    longest = 4 * total.chars + 1400 * total.leaves
    return PER_LEAF * total.leaves + 10 * longest, Size(1, longest)


def matching(program: int, text: Size) -> int:
    """The steps of `matches`: the library compiles the pattern each time, and RE2 may walk every instruction for
    each byte."""
    return 8000 + 500 * program + 16 * program * text.chars


@functools.lru_cache(maxsize=1024)
def program_size(pattern: str) -> int:
    """How many instructions RE2 makes of a pattern; raises ValueError with what is wrong with it."""
    re2: Any = importlib.import_module("re2")
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    try:
        return int(re2.compile(pattern, options=options).programsize)
    except re2.error as wrong:
        said = wrong.args[0] if wrong.args else ""
        raise ValueError(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from wrong


_TIME_PARTS = (
    "getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours getMilliseconds getMinutes getMonth "
    "getSeconds"
)
TIME_PARTS: Final = frozenset(_TIME_PARTS.split())
"""With a second argument that names a time zone, which the library looks up in files."""

_BY_RULE: tuple[tuple[Rule, str], ...] = (
    (_flat, f"_-_ _*_ _/_ _%_ -_ !_ _&&_ _||_ @not_strictly_false type hasValue {_TIME_PARTS}"),
    (
        _read,
        "_==_ _!=_ _<_ _<=_ _>_ _>=_ @in size startsWith endsWith int uint double bool timestamp duration",
    ),
    (_pass, "dyn _[_] _[?_] _?._ _?_:_ value or orValue optional.of optional.ofNonZeroValue optional.none"),
    (_copy, "string bytes charAt lowerAscii upperAscii reverse substring trim strings.quote"),
    (_search, "contains indexOf lastIndexOf"),
    (_join_up, "_+_"),
    (_replace, "replace"),
    (_split, "split"),
    (_join, "join"),
    (_format, "format"),
)
RULES: Final[dict[str, Rule]] = {name: rule for rule, names in _BY_RULE for name in names.split()}
MATCHES: Final = "matches"
