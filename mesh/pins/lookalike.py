"""Names of tools that can be mistaken for one another.

A name that a policy, a person or a model takes for that of a known tool is the oldest trick against lists of names.
What is compared is what is left of a name without its dress: letters of other scripts that look Latin, accents,
invisible characters, case, separators; and long names that differ in one keystroke.
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
    return None if name == other else Names((other,)).like(name, one_of=(other,))


class Names:
    """Known names, asked about others. Asking takes time in the length of the name, not in their number."""

    __slots__ = ("_bare", "_folded", "_near", "_plain", "_seen")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._plain: set[str] = set()
        self._seen: dict[str, str] = {}
        self._folded: dict[str, str] = {}
        self._bare: dict[str, str] = {}
        self._near: dict[str, str] = {}
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
        if len(bare) >= LONG_ENOUGH:
            for one in _shortened(bare):
                self._near.setdefault(one, name)

    def mistaken(self, name: str) -> tuple[str, Likeness] | None:
        """The known name that `name` can be mistaken for, and why; None where it is known itself, or like none."""
        if name in self._plain:
            return None
        return self._other(name)

    def disguised(self, name: str) -> tuple[str, Likeness] | None:
        """The same for what nobody does in good faith alone, also where `name` is known itself."""
        if name.isascii() and name.isprintable():
            return None
        found = self._other(name)
        return found if found is not None and found[1].strong else None

    def like(self, name: str, *, one_of: Iterable[str]) -> Likeness | None:
        """Why `name` can be mistaken for one of these known ones."""
        found = self._other(name)
        return found[1] if found is not None and found[0] in one_of else None

    def _other(self, name: str) -> tuple[str, Likeness] | None:
        folded = _folded(name)
        bare = _bare(folded)
        plain = name.isascii() and name.isprintable()
        for known, key, why in (
            (self._seen, _visible(name), Likeness.INVISIBLE),
            (self._folded, folded, Likeness.SEPARATORS if plain else Likeness.HOMOGLYPH),
            (self._bare, bare, Likeness.SEPARATORS if plain else Likeness.HOMOGLYPH),
        ):
            found = known.get(key)
            if found is not None and found != name:
                return found, self._reason(name, found, why)
        return self._slip(name, bare)

    @staticmethod
    def _reason(name: str, found: str, why: Likeness) -> Likeness:
        """`1` and `l` in plain names are letters that look alike, not another separator."""
        if why is Likeness.SEPARATORS and _joined(found) != _joined(name):
            return Likeness.HOMOGLYPH
        return why

    def _slip(self, name: str, bare: str) -> tuple[str, Likeness] | None:
        """Two texts are one keystroke apart, or have two neighbours changed, where leaving out one character of
        either or of both makes them the same; what else that finds is compared in full."""
        if len(bare) < LONG_ENOUGH - 1:
            return None
        for one in (bare, *_shortened(bare)):
            found = self._near.get(one)
            if found is not None and found != name and _one_apart(bare, _bare(_folded(found))):
                return found, Likeness.KEYSTROKE
        for one in _shortened(bare):
            found = self._bare.get(one)
            if found is not None and found != name and len(one) >= LONG_ENOUGH:
                return found, Likeness.KEYSTROKE
        return None


def _visible(name: str) -> str:
    """Without what is not seen."""
    if name.isascii() and name.isprintable():
        return name[:MAX_NAME].strip()
    seen = (one for one in name[:MAX_NAME] if not _unseen(one))
    return "".join(" " if one.isspace() else one for one in seen).strip()


def _unseen(one: str) -> bool:
    if one in "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0" or "\ufe00" <= one <= "\ufe0f":
        return True
    return not one.isspace() and unicodedata.category(one) in ("Cc", "Cf", "Cn", "Co") or 0xE0000 <= ord(one)


def _folded(name: str) -> str:
    """In small Latin letters, as far as its letters look like some."""
    name = _visible(name)
    if not name.isascii():
        # First as it is, because decomposing loses the stroke and the dot of some.
        apart = unicodedata.normalize("NFKD", name.translate(_TWINS)).translate(_TWINS)
        name = "".join(one for one in apart if not unicodedata.combining(one))
    return name.casefold()


def _bare(folded: str) -> str:
    """Without separators, and with one character for those that fonts draw alike."""
    return _SEPARATORS.sub("", folded).translate(_ONE_STROKE) or folded


def _joined(name: str) -> str:
    return _SEPARATORS.sub("", name.casefold())


def _shortened(text: str) -> list[str]:
    return [text[:index] + text[index + 1 :] for index in range(len(text))]


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
