"""Words that say what a number is: in the text before it, or as the key of the value that it is.

The word nearest to the number counts first. Between the two there may be a little text and one step from key to
value, but neither another key, nor the end of an object, nor a word that names something else
(`phone_number_id`, `order`). All of it looks at a few dozen characters, however long the text is.
"""

from __future__ import annotations

import re
from typing import Final

REACH: Final = 44
"""Characters between the word and the number, at most."""

WINDOW: Final = REACH + 24
_ELSEWHERE: Final = re.compile(
    r"""[{}<>\n]\s*\S|,\s*\\*["']|\x1f.*\x1f"""
    r"|(?<![A-Za-z])(?i:ids?|uuid|guid|sha\d*|hash|ref|refs|reference|order|ticket|invoice|issue|version|build|time"
    r"|timestamp|date|created|updated|epoch|amount|price|total|count|size|bytes|port|line|sku|tracking|model|code"
    r"|url|https?)(?![A-Za-z])|(?<=[a-z])(?:Id|ID|Ref|Time|Count|Code|Url)(?![a-z])",
    re.DOTALL,
)


def spelled(alternatives: str) -> str:
    r"""Alternatives in lower case, as RE2 and re read them: where they say \b, keys like `user_tel` and
    `nhsNumber` have the word too."""
    leading = re.sub(r"(^|[|(:])\\b", r"\1(?:<b>|_)", alternatives)
    return leading.replace(r"\b", r"(?:\b|_|(?-i:N(?:umber|o)\b))").replace("<b>", r"\b")


def words(alternatives: str) -> re.Pattern[str]:
    """A pattern of alternatives in lower case."""
    return re.compile(f"(?:{spelled(alternatives)})", re.IGNORECASE)


def joined(text: str, word_end: int, start: int, reach: int = REACH) -> bool:
    """Whether a word that ends at `word_end` is said of what begins at `start`."""
    return start - word_end <= reach and not _ELSEWHERE.search(text, word_end, start)


def named(text: str, start: int, pattern: re.Pattern[str]) -> bool:
    """Whether what begins at `start` is named by a word of `pattern` before it."""
    ends = [match.end() for match in pattern.finditer(text, max(0, start - WINDOW), start)]
    return bool(ends) and joined(text, ends[-1], start)
