"""Where the encoded parts of a text are. RE2 crosses what is not encoded, at 2 ns a character, and Python's own
engine, which tells more but takes ten times that and more, reads only what RE2 stopped at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import re2

from sidecar.guardrails.views.stretches import Span, around

WORD_STARTS = "(?:^|[^A-Za-z0-9+/_-])"
"""What stands before a word in a gate. Nothing that base64 has: words begun in it would fill a set with states."""
NEAR = 128
"""Characters after one run in which Python's engine looks for the next, before RE2 goes on."""
_CHUNK = 256
_MEMORY = 4 << 20


@cache
def compiled(pattern: str) -> Any:
    """An RE2 pattern over octets."""
    options = re2.Options()
    options.max_mem = _MEMORY
    options.never_capture = True
    options.log_errors = False
    return re2.compile(pattern, options)


def octets(text: str) -> bytes:
    """One octet for each code point, so that positions are the same; all gates are about ASCII."""
    return text.encode("ascii", "replace")


def runs(gate: str, run: re.Pattern[str], text: str, near: int = NEAR) -> Iterator[re.Match[str]]:
    """Matches of `run`, in order, where `gate` matches or near to it. Where `gate` starts with what stands before
    a run, `run` is looked for in the whole match."""
    search = compiled(gate).search
    encoded = octets(text)
    at = 0
    size = len(text)
    while at < size:
        found = search(encoded, at)
        if found is None:
            return
        low, high = found.span()
        at = max(high, at + 1)
        match = run.match(text, low) or run.search(text, low, min(size, high + 1))
        while match is not None:
            begin = match.start()
            match = run.match(text, begin) or match
            yield match
            at = max(at, match.end())
            match = run.search(text, at, min(size, at + near))


def windows(gate: str, text: str) -> Iterator[Span]:
    """Stretches in which `gate` matches. Those that touch are one."""
    search = compiled(gate).search
    encoded = octets(text)
    at = 0
    low = high = -1
    while (found := search(encoded, at)) is not None:
        start, end = around(text, *found.span())
        if start > high:
            if high >= 0:
                yield low, high
            low = start
        high = max(end, found.end())
        at = high
        if at >= len(text):
            break
    if high >= 0:
        yield low, high


def foreign(text: str) -> Iterator[Span]:
    """The parts of a text that have all its characters outside ASCII."""
    low = -1
    for at in range(0, len(text), _CHUNK):
        if text[at : at + _CHUNK].isascii():
            if low >= 0:
                yield low, at
                low = -1
        elif low < 0:
            low = at
    if low >= 0:
        yield low, len(text)
