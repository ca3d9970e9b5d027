"""Text into the tokens of SQL, as databases would read it, in one pass and time linear in its length.

Databases differ in what ends a string and what begins a comment. This reads all of them at once where that is
possible, and takes what differs as a choice: `backslash` says whether it escapes a quote. Comments are spaces
(`UN/**/ION` is a word to those who strip them), but what MySQL runs in `/*! */` is read.
Every alternative of the scanner is possessive or a fixed length: it never goes back.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from sidecar.guardrails.sql.words import FUNCTIONS, TELLS, WAITS, WORDS

_TEMPLATE: Final = r"""
(?P<space>(?:[\s\x00\xa0]|%(?:20|0[09a-dA-D]|[aA]0))++)
|(?P<ran>/\*!\d{{0,6}}+|\*/)
|(?P<block>/\*(?:[^*]|\*(?!/))*+(?:\*/)?+)
|(?P<line>--[^\n]*+|\#[^\n]*+|%23[^\n]*+)
|(?P<string>(?:[nxbeNXBE]|_[a-zA-Z0-9]{{1,10}}+)?+
    (?:'(?:[^'{back}]|''{escape})*+(?P<single>')?+|"(?:[^"{back}]|""{escape})*+(?P<double>")?+))
|(?P<number>0[xX][0-9a-fA-F]++|(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?+\d++)?+)
|(?P<variable>@@?+[\w$.`]*+|:\w++|\$\d++)
|(?P<fused>(?:[oO][rR]|[xX][oO][rR]|[aA][nN][dD])(?=\d++\s*+[=<>]))
|(?P<word>[\w$]++|`[^`]*+`?+|\[[\w $]*+\])
|(?P<compare><=>|[<>!=~^]?=|<>|[<>]=?+|:=|!~~?+\*?+|==)
|(?P<logic>&&|\|\|)
|(?P<mark>.)
"""
_READERS: Final = {
    True: re.compile(_TEMPLATE.format(back=r"\\", escape=r"|\\."), re.VERBOSE | re.DOTALL),
    False: re.compile(_TEMPLATE.format(back="", escape=""), re.VERBOSE | re.DOTALL),
}
_MARKS: Final = {"(": "L", ")": "R", ",": "G", ";": "Z", ".": "d", "!": "t"}
_SIMPLE: Final = {"fused": "a", "number": "n", "variable": "v", "compare": "e", "logic": "a"}


class Tokens(NamedTuple):
    """`types`: one letter for each token (see words.py); `words`: it in lower case, or what it is as written."""

    types: str
    starts: list[int]
    ends: list[int]
    words: list[str]
    text: str

    def __len__(self) -> int:
        return len(self.types)


def tokenize(text: str, start: int = 0, *, inside: bool = False, backslash: bool = True) -> Tokens:
    """The tokens of `text` from `start`. `inside`: what stands up to `start` is the text of a literal, and the
    character at `start` is the quote that ends it."""
    types: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    words: list[str] = []
    if inside:
        types.append("Q")
        starts.append(start)
        ends.append(start + 1)
        words.append(text[start : start + 1])
        start += 1
    glued = -1  # where a word would go on if the comment before it were not there
    for match in _READERS[backslash].finditer(text, start):
        kind = match.lastgroup or ""
        if kind in ("space", "ran"):
            continue
        begin, end = match.span()
        if kind == "block":
            if text.endswith("*/", begin + 2, end):
                glued = end if types and ends[-1] == begin else -1
                continue
            letter, word = "c", "/*"
        elif kind == "line":
            letter, word = "c", text[begin : begin + 2]
        elif kind == "word":
            word = match.group().lower()
            if glued == begin and types and types[-1] in "wfkaHhl" and (words[-1] + word) in WORDS:
                word = words[-1] + word
                begin = starts[-1]
                del types[-1], starts[-1], ends[-1], words[-1]
            letter = WORDS.get(word, "w")
        elif kind == "string":
            word = match.group()
            letter = "s" if match["single"] or match["double"] else "u"
        elif kind == "mark":
            word = match.group()
            letter = _MARKS.get(word, "o")
            if word == "(" and types and types[-1] in "wklhHbimA":
                types[-1] = _called(words[-1], types[-1])
        else:
            letter, word = _SIMPLE[kind], match.group()
        if types and types[-1] == "c":
            # Only what ends a text is a tail; else a comment is as good as a space.
            del types[-1], starts[-1], ends[-1], words[-1]
        types.append(letter)
        starts.append(begin)
        ends.append(end)
        words.append(word)
    return Tokens("".join(types), starts, ends, words, text)


def _called(word: str, letter: str) -> str:
    """The letter of a word before a parenthesis."""
    if word in WAITS:
        return "p"
    if word in TELLS:
        return "x"
    return "f" if word in FUNCTIONS else letter
