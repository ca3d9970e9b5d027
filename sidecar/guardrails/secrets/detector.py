"""Looks for credentials: one question to all patterns, and Python only where one of them answers."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from mesh.policy.guardrails import SecretsOptions
from sidecar.guardrails.hit import SEPARATOR, Hit
from sidecar.guardrails.re2_set import Patterns
from sidecar.guardrails.secrets.assignments import ASSIGNMENT, judge
from sidecar.guardrails.secrets.checks import plausible
from sidecar.guardrails.secrets.cloud import CLOUD
from sidecar.guardrails.secrets.code import CODE
from sidecar.guardrails.secrets.contexts import CONTEXTS
from sidecar.guardrails.secrets.format import Format
from sidecar.guardrails.secrets.services import SERVICES

FORMATS: Final = (*CLOUD, *CODE, *SERVICES, *CONTEXTS)
"""Every kind of credential, in one table."""

KINDS: Final[dict[str, str]] = {
    **{one.kind: one.doc for one in FORMATS},
    "PASSWORD": "Value beside a name like password, which is no placeholder",
    "API_KEY": "Random-looking value beside a name like token, secret or api_key",
    "UNEXAMINED": "Rest of a text with more candidates than are looked at, so that it counts as found",
}
"""What can be found, each in one line."""

CANDIDATES: Final = 4096
"""Matches looked at in one text. What follows then is a hit as a whole: nobody hides a key behind ten thousand
that are none."""

PEM_LENGTH: Final = 16384
"""Characters after the beginning of a private key in which its end is looked for."""

_NAME = re.compile(r"[\w.\-]{0,40}\Z")
_ATTRIBUTE = re.compile(r"(?i)^(?:name|key)\s?=\s?[\"']")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}KEY(?: BLOCK)?-----")


class SecretsDetector:
    """Finds credentials by the form that their vendors gave them, by where they stand, and (with
    `SecretsOptions.entropy`) by the word beside them."""

    name = "secrets"

    def __init__(self, options: SecretsOptions | None = None) -> None:
        self._patterns, self._rows = _compiled((options or SecretsOptions()).entropy)

    def prepare(self) -> None:
        """Compile the patterns now, not at the first text."""
        self._patterns.prepare()

    def scan(self, text: str) -> list[Hit]:
        """Credentials in the text, by position; of overlapping ones the surest, then the longest."""
        hits = self._found(text)
        return _distinct(hits) if hits else hits

    def _found(self, text: str) -> list[Hit]:
        hits: list[Hit] = []
        rows = self._rows
        for count, (name, match) in enumerate(self._patterns.matches(text)):
            if count >= CANDIDATES:
                hits.extend(_rest(text, match.start()))
                break
            row = rows[name]
            hit = _by_name(text, match) if row is None else _by_form(text, match, row)
            if hit is not None:
                hits.append(hit)
        return hits


@cache
def _compiled(entropy: bool) -> tuple[Patterns, dict[str, Format | None]]:
    """Shared by all detectors of the process."""
    rows: dict[str, Format | None] = {}
    patterns: list[tuple[str, str]] = []
    for row in FORMATS:
        for number, pattern in enumerate(row.patterns):
            rows[f"{row.kind}.{number}"] = row
            patterns.append((f"{row.kind}.{number}", pattern))
    if entropy:
        for number, pattern in enumerate(ASSIGNMENT):
            rows[f"assignment.{number}"] = None
            patterns.append((f"assignment.{number}", pattern))
    return Patterns(patterns, counts=8), rows


def _span(match: Any) -> tuple[int, int]:
    """Of the first group that took part, or of all."""
    for number in range(1, match.re.groups + 1):
        if match.start(number) >= 0:
            return match.start(number), match.end(number)
    return match.start(), match.end()


def _by_form(text: str, match: Any, row: Format) -> Hit | None:
    start, end = _span(match)
    score = (row.check or plausible)(text[start:end])
    if score <= 0.0:
        return None
    if row.kind == "PRIVATE_KEY":
        end = _key_end(text, start, end)
    return Hit(row.kind, start, end, score, "form")


def _by_name(text: str, match: Any) -> Hit | None:
    start, end = _span(match)
    at = match.start()
    before = _NAME.search(text, max(0, at - 40), at)
    name = (before.group() if before else "") + text[at:start]
    sign = name.rstrip(" \t\"'`\\=:,|)]>!-\x1f")
    between = name[len(sign) :]
    listed = not any(one in between for one in "=:>")
    kind, score = judge(_ATTRIBUTE.sub("", sign), text[start:end], text[start - 1] in "\"'`\x1f", listed)
    return Hit(kind, start, end, score, "name") if kind else None


def _key_end(text: str, start: int, end: int) -> int:
    """To the last line of a key, where that stands within reach and within the same text of the message."""
    limit = text.find(SEPARATOR, end, start + PEM_LENGTH)
    last = _END.search(text, end, limit if limit >= 0 else start + PEM_LENGTH)
    return last.end() if last else end


def _rest(text: str, start: int) -> list[Hit]:
    """Everything from `start` on, one hit for each text."""
    hits = []
    while start < len(text):
        end = text.find(SEPARATOR, start)
        end = len(text) if end < 0 else end
        if end > start:
            hits.append(Hit("UNEXAMINED", start, end, 1.0, "candidates"))
        start = end + 1
    return hits


def _distinct(hits: list[Hit]) -> list[Hit]:
    """Without those that overlap a surer or longer one, by position."""
    if len(hits) < 2:
        return hits
    hits.sort(key=lambda hit: (hit.start, -hit.score, hit.start - hit.end))
    kept = [hits[0]]
    for hit in hits[1:]:
        last = kept[-1]
        if hit.start >= last.end:
            kept.append(hit)
        elif (hit.score, hit.end - hit.start) > (last.score, last.end - last.start):
            kept[-1] = hit
    return kept
