"""SQL in texts that should hold none, and SQL that a tool may not have.

Benign text costs one walk of an automaton. Where that fires, the text around is read as a database would read it:
from its beginning, and from the first quotes and those near what fired, as if it had been put into a literal.
At most WINDOW code points are read at once and BUDGET in one scan; more is reported as INJECTION_CROWDED instead
of being passed over, so nothing hides behind a heap of decoys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mesh.policy.guardrails import DetectorKind, SqlOptions
from sidecar.guardrails.hit import SEPARATOR, Hit
from sidecar.guardrails.sql.gate import GATE
from sidecar.guardrails.sql.rules import ANYWHERE, DIRECT, OPENING
from sidecar.guardrails.sql.statements import read
from sidecar.guardrails.sql.tokens import Tokens, tokenize

WINDOW: Final = 8192
"""Code points of one text that are read: from its beginning, or around what fired further in."""
BEFORE: Final = 256
SHORT: Final = 600
"""Up to here a text may be a fragment as a whole; longer ones are documents, of which only parts may be."""
BUDGET: Final = 65536
LEAST: Final = 64
"""What the shortest text takes of the budget, for reading it at all."""
STARTS: Final = 6
_QUOTES: Final = re.compile("['\"]")
_CODE: Final = re.compile(r"[(\[{=]|\b(?:if|return|assert|yield|const|let|var|def|elif|import)\s")
"""What stands before a first quote that belongs to a program, and not to a value that ends there."""
_REOPENED: Final = frozenset(("INJECTION_TAUTOLOGY", "INJECTION_CONDITION", "INJECTION_CONCAT"))
_LEFT: Final = re.compile(r"[\w\s%.*@+-]{0,64}")
"""What is left of a literal that the statement itself ends."""


class SqlDetector:
    """Statements are found whatever the options allow: who asks drops what the tool may have (kinds.permitted)."""

    __slots__ = ("options",)

    name: Final[str] = DetectorKind.SQL

    def __init__(self, options: SqlOptions) -> None:
        self.options = options

    def scan(self, text: str) -> list[Hit]:
        """Injections, and whole statements where a text (between SEPARATORs) begins with one."""
        if not GATE.which(text):
            return []
        hits: list[Hit] = []
        left = BUDGET
        for start, end, marks in _windows(text):
            left -= max(end - start, LEAST)
            if left < 0:
                hits.append(Hit("INJECTION_CROWDED", start, end, 0.5, "not read"))
                break
            hits.extend(_window(text, start, end, marks))
        return hits


def _windows(text: str) -> Iterator[tuple[int, int, list[int]]]:
    """Parts of `text` to read, and where the gate fired in each, relative to its start."""
    marks = sorted({start for _, start, _ in GATE.find(text)})
    place = 0
    while place < len(marks):
        mark = marks[place]
        if text[mark : mark + 1] == SEPARATOR:
            mark += 1
        begin = text.rfind(SEPARATOR, 0, mark) + 1
        end = text.find(SEPARATOR, mark)
        end = len(text) if end < 0 else end
        start = begin if mark - begin <= WINDOW - 2048 else mark - BEFORE
        end = min(end, start + WINDOW)
        inside: list[int] = []
        while place < len(marks) and marks[place] < end:
            inside.append(max(0, marks[place] - start))
            place += 1
        if end > start:
            yield start, end, inside
        elif not inside:
            place += 1


def _window(text: str, start: int, end: int, marks: list[int]) -> list[Hit]:
    part = text[start:end]
    first = start == 0 or text[start - 1] == SEPARATOR
    if first:
        reading = read(part)
        if reading.statements:
            hits = [
                Hit(f"STATEMENT_{one.kind}", start + one.start, start + one.end, 1.0)
                for one in reading.statements
            ]
            if len(reading.statements) > 1 and len({one.start for one in reading.statements}) > 1:
                hits.append(
                    Hit("STACKED", start + reading.statements[0].start, start + reading.statements[-1].end)
                )
            for one in reading.endless:
                hits.append(Hit("DESTRUCTIVE", start + one.start, start + one.end, 1.0, one.kind.lower()))
            tokens = reading.tokens
            if tokens is not None:
                for place in reading.dangerous:
                    hits.append(
                        Hit(
                            "DANGEROUS", start + tokens.starts[place], start + tokens.ends[place], 1.0, "call"
                        )
                    )
            return hits
    found: dict[str, Hit] = {}
    short = first and len(part) <= SHORT
    for tokens, opening in _readings(part, marks, first, short):
        for kind, begin, stop in ANYWHERE.find(tokens.types):
            _keep(found, kind, tokens, begin, stop, start, "anywhere")
        if opening:
            for kind, begin, stop in OPENING.find(tokens.types):
                _keep(found, kind, tokens, begin, stop, start, "opening")
    for kind, begin, stop in DIRECT.find(part):
        if kind not in found:
            begin += part[begin] == SEPARATOR
            found[kind] = Hit(kind, start + begin, start + stop, 0.9, "direct")
    return list(found.values())


def _readings(part: str, marks: list[int], first: bool, short: bool) -> Iterator[tuple[Tokens, bool]]:
    """The ways to read a text, and for each whether it is read from its beginning or its first quote."""
    yield tokenize(part), short
    opened: set[int] = set()
    for quote in "'\"":
        place = part.find(quote)
        if place >= 0:
            opened.add(place)
            value = short and not _CODE.search(part, 0, place)
            yield tokenize(part, place, inside=True), value
            if "\\" in part:
                yield tokenize(part, place, inside=True, backslash=False), value
                second = part.find(quote, place + 1)
                if second > 0 and part[place - 1 : place] == "\\":
                    yield tokenize(part, second, inside=True), value
    for mark in marks[:STARTS]:
        near = _QUOTES.search(part, max(0, mark - 2), mark + 64)
        if near is not None and near.start() not in opened:
            opened.add(near.start())
            yield tokenize(part[: near.start() + 1024], near.start(), inside=True), False


def _keep(
    found: dict[str, Hit], kind: str, tokens: Tokens, begin: int, stop: int, start: int, note: str
) -> None:
    if kind.startswith("SAME:") and tokens.words[stop - 1] != tokens.words[stop - 3]:
        return
    kind = kind.rpartition(":")[2]
    if kind == "INJECTION_COMMENT" and not _cuts(tokens, stop - 1):
        return
    left = tokens.types[stop - 1] == "u" and kind in _REOPENED
    if left and not _LEFT.fullmatch(tokens.text, tokens.starts[stop - 1] + 1):
        return
    if kind not in found and stop > begin:
        found[kind] = Hit(kind, start + tokens.starts[begin], start + tokens.ends[stop - 1], 0.9, note)


def _cuts(tokens: Tokens, place: int) -> bool:
    """Whether what begins with the sign of a comment is one to every database (not `#2`, `--flag` or `-->`), and
    not the text of a literal that ends further on."""
    comment = tokens.text[tokens.starts[place] :]
    rest = comment.lstrip("#-/*")
    if tokens.types[0] == "Q" and tokens.words[0] in comment:
        return False
    return not rest or not (rest[0].isalnum() or rest[0] == ">")
