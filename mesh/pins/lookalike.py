"""Names of tools that can be mistaken for one another.

A name that a policy, a person or a model takes for that of a known tool is the oldest trick against lists of
names. What is compared is what is left of a name without its dress: letters of other scripts that look Latin,
accents, invisible characters, case, separators; and long names that differ in one keystroke.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

LONG_ENOUGH: Final = 8
"""Letters and digits from which one keystroke more, less or other is taken for a slip."""
MAX_NAME: Final = 256
"""Characters of a name that are looked at."""

_SEPARATORS = re.compile(r"[\s_./:\-\u2010-\u2015\u2212\u30fb\u00b7]+")
_SPACES = re.compile(r"\s+")
# Control and format characters, fillers, variation selectors, private use, tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U0010ffff]"
)
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_TWINS: Final = str.maketrans(
    dict(
        zip(
            "асԁеһіјӏкмпорԛгѕтуѵԝхүгбзьАВСЕНІЈКМОРЅТХУԌЅҮ"
            "αβεηικνορτυχωγΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
            "օսոհցզեյՕՍ"
            "ɑɡıȷɩʟɪɴʀʏʜʙɢᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜱꜰøđħłŧ"
            "ⅼⅰⅴⅹⅽⅾⅿ∣ǀ",
            "acdehijlkmnopqrstyvwxyr63bABCEHIJKMOPSTXYGSY"
            "abenikvoptuxwyABEZHIKMNOPTYX"
            "ounhgqejOU"
            "agijilinryhbgacdejkmoptuvwzsfodhlt"
            "livxcdmll",
            strict=True,
        )
    )
)
_ONE_STROKE: Final = str.maketrans("01|!$5", "olllss")
"""What fonts draw alike within ASCII."""


class Likeness(StrEnum):
    """Why one name can be mistaken for another; the first that holds."""

    INVISIBLE = "characters that are not seen"
    HOMOGLYPH = "letters that look like others"
    SEPARATORS = "case or separators"
    KEYSTROKE = "one keystroke"

    @property
    def strong(self) -> bool:
        """Whether nobody names two tools like this in good faith."""
        return self in (Likeness.INVISIBLE, Likeness.HOMOGLYPH)


def likeness(name: str, other: str) -> Likeness | None:
    """Why `name` can be mistaken for `other`; None where it is the same or quite another."""
    found = Names((other,)).mistaken(name)
    return None if found is None else found[1]


class Names:
    """Known names, asked about others. Memory is linear in their length; asking takes time in the number of those
    about as long."""

    __slots__ = ("_bare", "_folded", "_lengths", "_plain", "_seen")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._plain: set[str] = set()
        self._seen: dict[str, str] = {}
        self._folded: dict[str, str] = {}
        self._bare: dict[str, str] = {}
        self._lengths: dict[int, list[tuple[str, str]]] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Know one more. Of several that look alike the first plain one is named, or else the first."""
        if name in self._plain:
            return
        self._plain.add(name)
        folded = _folded(name)
        bare = _bare(folded)
        for known, key in ((self._seen, _visible(name)), (self._folded, folded), (self._bare, bare)):
            if name.isascii() and not known.get(key, name).isascii():
                known[key] = name
            known.setdefault(key, name)
        if len(bare) >= LONG_ENOUGH - 1:
            self._lengths.setdefault(len(bare), []).append((bare, name))

    def mistaken(self, name: str) -> tuple[str, Likeness] | None:
        """The known name that `name` can be mistaken for, and why; None where it is known itself, or like none."""
        return None if name in self._plain else self._alike(name) or self._slip(name)

    def disguised(self, name: str) -> tuple[str, Likeness] | None:
        """The same for what nobody does in good faith alone, also where `name` is known itself."""
        if name.isascii() and name.isprintable():
            return None
        found = self._alike(name)
        return found if found is not None and found[1].strong else None

    def _alike(self, name: str) -> tuple[str, Likeness] | None:
        folded = _folded(name)
        for known, key in ((self._seen, _visible(name)), (self._folded, folded), (self._bare, _bare(folded))):
            found = known.get(key)
            if found is not None and found != name:
                return found, Likeness.INVISIBLE if known is self._seen else _why(name, found)
        return None

    def _slip(self, name: str) -> tuple[str, Likeness] | None:
        bare = _bare(_folded(name))
        for length in (len(bare), len(bare) - 1, len(bare) + 1):
            if max(length, len(bare)) < LONG_ENOUGH:
                continue
            for other, known in self._lengths.get(length, ()):
                if known != name and _one_apart(bare, other):
                    return known, Likeness.KEYSTROKE
        return None


def _why(name: str, found: str) -> Likeness:
    """`1` and `l` in plain names are letters that look alike, not another separator."""
    return Likeness.SEPARATORS if _joined(found) == _joined(name) else Likeness.HOMOGLYPH


def _visible(name: str) -> str:
    """Without what is not seen."""
    if name.isascii() and name.isprintable():
        return name[:MAX_NAME].strip()
    return _SPACES.sub(" ", _UNSEEN.sub("", name[:MAX_NAME])).strip()


def _folded(name: str) -> str:
    """In small Latin letters, as far as its letters look like some."""
    name = _visible(name)
    if not name.isascii():
        # First as it is, because decomposing loses the stroke and the dot of some.
        apart = unicodedata.normalize("NFKD", name.translate(_TWINS)).translate(_TWINS)
        name = _MARKS.sub("", apart)
    return name.casefold()


def _bare(folded: str) -> str:
    """Without separators, and with one character for those that fonts draw alike."""
    return _SEPARATORS.sub("", folded).translate(_ONE_STROKE) or folded


def _joined(name: str) -> str:
    return _SEPARATORS.sub("", name.casefold())


def _one_apart(one: str, other: str) -> bool:
    """One character more, less or other, or two neighbours changed."""
    if len(one) < len(other):
        one, other = other, one
    if len(one) - len(other) > 1:
        return False
    start = 0
    while start < len(other) and one[start] == other[start]:
        start += 1
    if len(one) != len(other):
        return one[start + 1 :] == other[start:]
    swapped = other[start + 1 : start + 2] + other[start : start + 1]
    return one[start + 1 :] == other[start + 1 :] or (
        one[start : start + 2] == swapped and one[start + 2 :] == other[start + 2 :]
    )
