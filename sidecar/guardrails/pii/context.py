"""Words that say what a number is: in the text before it, or as the key of the value that it is.

The word nearest to the number counts. Between the two there may be a little text and one step from key to value,
but neither another key, nor the end of an object, nor a word that names something else (`phone_number_id`,
`order`). All of it looks at a few dozen characters, however long the text is.
"""

from __future__ import annotations

import re
from typing import Final

REACH: Final = 32
"""Characters between the word and the number, at most."""

GAP: Final = rf"[^0-9\x1f]{{0,{REACH}}}(?:\x1f[^0-9\x1f]{{0,12}})?"
"""The same for RE2: where a number is worth looking at."""

_WINDOW: Final = REACH + 12 + 24
_ELSEWHERE: Final = re.compile(
    r"""[{}<>\n]\s*\S|,\s*\\*["']|\x1f.*\x1f"""
    r"|(?<![A-Za-z])(?i:ids?|uuid|guid|sha\d*|hash|ref|refs|reference|order|ticket|invoice|issue|version|build|time"
    r"|timestamp|date|created|updated|epoch|amount|price|total|count|size|bytes|port|line|sku|tracking|model|code"
    r"|url|https?)(?![A-Za-z])|(?<=[a-z])(?:Id|ID|Ref|Time|Count|Code|Url)(?![a-z])",
    re.DOTALL,
)


def words(alternatives: str) -> re.Pattern[str]:
    """A pattern for `named`, of alternatives in lower case."""
    return re.compile(f"(?:{alternatives})", re.IGNORECASE)


def named(text: str, start: int, pattern: re.Pattern[str], reach: int = REACH) -> bool:
    """Whether what begins at `start` is named by a word of `pattern` before it."""
    ends = [match.end() for match in pattern.finditer(text, max(0, start - _WINDOW), start)]
    if not ends:
        return False
    between = text[ends[-1] : start]
    return len(between) <= reach + 12 and not _ELSEWHERE.search(between)
