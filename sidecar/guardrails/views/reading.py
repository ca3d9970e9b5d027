"""All the ways to read a sheet, each only where something calls for it, and each within stated bounds.

One RE2 set says which ways are worth trying. A view is read again like the text itself, up to `depth` times, so
base64 within percent encoding within base64 is found. Every way gives at most what it was given, but for windows
of context that overlap; the total of all views is bounded, breadth first, so what is nested deep cannot crowd out
what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from sidecar.guardrails.re2_set import Patterns
from sidecar.guardrails.views import (
    ciphers,
    encodings,
    escapes,
    folding,
    hidden,
    joined,
    leet,
    letters,
    typos,
)
from sidecar.guardrails.views.view import Piece, View, assembled, plain

CUT = "cut"
"""The name of an empty last view: there was more to decode than the limits allow."""

Way = Callable[[str], Iterable[Piece]]

_ENCODED: tuple[tuple[str, str, Way], ...] = (
    ("percent", escapes.PERCENT, escapes.percent),
    ("html", escapes.HTML, escapes.html),
    ("escapes", escapes.ESCAPES, escapes.escapes),
    ("quoted", escapes.QUOTED, escapes.quoted),
    ("base64", encodings.BASE64_RUN, encodings.base64),
    ("base32", encodings.BASE32_RUN, encodings.base32),
    ("hex", encodings.HEX, encodings.hexadecimal),
    ("binary", encodings.BINARY, encodings.binary),
    ("codes", encodings.CODES, encodings.codes),
    ("octal", encodings.OCTAL, encodings.octal),
    ("morse", encodings.MORSE, encodings.morse),
)
"""Name, gate and decoder of what may be nested in itself."""

_DISGUISED: tuple[tuple[str, str, Way], ...] = (
    ("spaced", letters.SPACED, letters.spaced),
    ("leet", leet.LEET, leet.leet),
    ("joined", joined.JOINED, joined.joined),
    ("typos", typos.TYPOS, typos.typos),
    ("rot13", ciphers.ROT13, ciphers.rot13),
    ("atbash", ciphers.ATBASH, ciphers.atbash),
    ("rot47", ciphers.ROT47, ciphers.rot47),
    ("reversed", ciphers.REVERSED, ciphers.reversed_text),
)
"""The same of what makes no sense twice."""

_CONTROLS = ("folded", folding.CONTROLS, folding.folded)
_UNSEEN: tuple[tuple[str, Way], ...] = (
    ("folded", folding.folded),
    ("tags", hidden.tags),
    ("selectors", hidden.selectors),
    ("zero widths", hidden.zero_widths),
)
"""What only a text with other characters than ASCII can hold."""

WAYS = (_CONTROLS, *_ENCODED, *_DISGUISED)
ONCE = frozenset(name for name, _, _ in (_CONTROLS, *_DISGUISED))
NAMES: tuple[str, ...] = ("plain", *(name for name, _ in _UNSEEN), *(name for name, _, _ in WAYS[1:]))
"""What steps a view's name is made of."""


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """`depth`: steps from the plain text. All views but the plain one have at most `growth` times the characters
    of the plain text and `floor` more; a piece that would go past that is left out. `blobs`: pieces in all."""

    depth: int = 3
    growth: int = 12
    floor: int = 16384
    blobs: int = 8192


LIMITS = ViewLimits()


@cache
def _gates() -> Patterns:
    return Patterns([(name, pattern) for name, pattern, _ in WAYS])


def views(text: str, limits: ViewLimits = LIMITS) -> Iterator[View]:
    """The plain text, then what decoding it gives, what is nested less deep first.

    A last view named CUT, without text, says that the limits left something out.
    """
    sheet = plain(text)
    yield sheet
    fired = _gates().which(text)
    if not fired and text.isascii():
        return
    budget = _Budget(limits, len(text))
    level = [(sheet, fired)]
    for _ in range(limits.depth):
        below = []
        for view, ways in level:
            for child in _decoded(view, ways, budget):
                yield child
                below.append((child, _gates().which(child.text)))
        level = [(view, ways) for view, ways in below if ways or not view.text.isascii()]
        if not level:
            break
    if budget.cut:
        yield View(CUT, "", [], None)


class _Budget:
    """What may still be decoded. Text that was read already, by another way, is not given twice."""

    __slots__ = ("blobs", "characters", "cut", "seen")

    def __init__(self, limits: ViewLimits, size: int) -> None:
        self.characters = limits.growth * size + limits.floor
        self.blobs = limits.blobs
        self.cut = False
        self.seen: set[str] = set()

    def admit(self, piece: Piece) -> bool:
        size = len(piece) + 2
        if size > self.characters or not self.blobs:
            self.cut = True
            return False
        text = piece.text()
        if text in self.seen:
            return False
        self.seen.add(text)
        self.characters -= size
        self.blobs -= 1
        return True


def _decoded(view: View, ways: Iterable[int], budget: _Budget) -> Iterator[View]:
    """The readings of one view, one for each way that gives something."""
    taken = view.name.split(">")
    text = view.text
    todo = [] if text.isascii() else [way for way in _UNSEEN if way[0] not in ONCE or way[0] not in taken]
    todo += [(WAYS[way][0], WAYS[way][2]) for way in ways if way or text.isascii()]
    for name, decode in todo:
        if name in ONCE and name in taken:
            continue
        pieces = []
        for piece in decode(text):
            if budget.admit(piece):
                pieces.append(piece)
            elif not budget.blobs:
                break
        if pieces:
            yield assembled(name, pieces, view)
