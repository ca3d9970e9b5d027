"""Words that are written as names: of people, places, products and hosts. They say who, never what is wanted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]+")
_STARTS: Final = frozenset(".!?:\n\"'([{>#-*•\t")


def written_as_names(texts: Iterable[str]) -> frozenset[str]:
    """Those that mostly stand capitalised within a sentence, or within an address, a path or an identifier."""
    seen: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for text in texts:
        for found in _WORD.finditer(text):
            word = found[0].lower()
            kind = _kind(text, found.start(), found.end())
            if kind is not None:
                seen[word] += 1
                named[word] += kind
    return frozenset(word for word, count in seen.items() if 2 * named[word] > count)


def _kind(text: str, start: int, end: int) -> bool | None:
    """Whether one occurrence is written as a name; None where a sentence begins, which tells nothing."""
    before, after = text[start - 1 : start], text[end : end + 2]
    if before in ("@", "/", "_", "\\") or (before == "." and not text[start - 2 : start - 1].isspace()):
        return True
    if after[:1] in ("@", "_", "/") or (after[:1] == "." and after[1:].isalnum()):
        return True
    if not text[start].isupper() or text[start:end].isupper():
        return False
    lead = text[max(0, start - 3) : start].rstrip(" ")
    return None if not lead or lead[-1] in _STARTS else True
