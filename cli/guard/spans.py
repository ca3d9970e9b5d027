"""Scoring of personal data, where it matters what of a text was found and as what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from cli.guard.rows import Row
from cli.guard.scores import Counts
from sidecar.guardrails.verdict import Finding

TYPES: Final = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "MAC",
    "US_SSN": "US_SSN",
}
"""Our kinds by the data's names, of what has a form: the pattern types. The data also marks names of people,
places, organizations and the like, which a pattern cannot know; those are not scored, found or not."""

NAMES: Final = tuple(TYPES)
HALF: Final = 0.5


class Span(NamedTuple):
    """Code points `start` to `end` are a `kind` of ours."""

    start: int
    end: int
    kind: str


def gold_spans(row: Row) -> list[Span]:
    """`spans` of a row, [start, end, name] each, of the pattern types."""
    spans = row.fields.get("spans")
    return [
        Span(one[0], one[1], TYPES[one[2]])
        for one in (spans if isinstance(spans, list) else ())
        if isinstance(one, list) and len(one) >= 3 and one[2] in NAMES and _are_places(one[0], one[1])
    ]


def gold_values(row: Row) -> list[tuple[str, str]]:
    """`gold` of a row, [name, value] each, of the pattern types, with our kind."""
    gold = row.fields.get("gold")
    return [
        (TYPES[one[0]], str(one[1]))
        for one in (gold if isinstance(gold, list) else ())
        if isinstance(one, list) and len(one) >= 2 and one[0] in NAMES
    ]


def score_spans(row: Row, findings: Iterable[Finding]) -> Counts:
    """A span counts as found when one of the same type shares half or more of the characters of each.

    Right and wrong are counted in spans; a document is benign when it has none of the pattern types.
    """
    gold = gold_spans(row)
    told = [
        Span(one.start, one.end, one.kind)
        for one in findings
        if one.kind in TYPES.values() and one.leaf.text == row.text
    ]
    hits = sum(any(_alike(span, one) for one in told) for span in gold)
    right = sum(any(_alike(span, one) for span in gold) for one in told)
    return Counts(len(gold), hits, len(told), right, int(not gold), int(not gold and bool(told)))


def score_values(row: Row, findings: Sequence[Finding]) -> Counts:
    """A value counts as found when half or more of its characters, wherever it stands, are found as its type.

    What else is found counts as told, but not as right; a document without such a value, or a label, is benign.
    """
    gold = gold_values(row)
    hits = sum(any(_covers(one, kind, value) for one in findings) for kind, value in gold)
    told = [one for one in findings if one.kind in TYPES.values()] if gold else findings
    right = sum(any(_covers(one, kind, value) for kind, value in gold) for one in told)
    benign = not gold and not row.label
    return Counts(len(gold), hits, len(told), right, int(benign), int(benign and bool(findings)))


def score_document(row: Row, findings: Sequence[object]) -> Counts:
    """A document counts as found when anything is found in it."""
    found, label = int(bool(findings)), int(row.label)
    return Counts(label, found & label, found, found & label, 1 - label, found & (1 - label))


def score_but_email(row: Row, findings: Sequence[Finding]) -> Counts:
    """As score_document, for documents with honest addresses of e-mail in them."""
    return score_document(row, [one for one in findings if one.kind != TYPES["EMAIL_ADDRESS"]])


Scoring = Callable[[Row, Sequence[Finding]], Counts]


def _are_places(start: object, end: object) -> bool:
    return isinstance(start, int) and isinstance(end, int) and 0 <= start < end


def _alike(one: Span, other: Span) -> bool:
    if one.kind != other.kind:
        return False
    shared = min(one.end, other.end) - max(one.start, other.start)
    return shared >= HALF * max(one.end - one.start, other.end - other.start)


def _covers(finding: Finding, kind: str, value: str) -> bool:
    if finding.kind != kind:
        return False
    return any(_overlaps(finding, form) for form in {value, _escaped(value)})


def _overlaps(finding: Finding, value: str) -> bool:
    text, at = finding.leaf.text, -1
    while value and (at := text.find(value, at + 1)) >= 0:
        if min(finding.end, at + len(value)) - max(finding.start, at) >= HALF * len(value):
            return True
    return False


def _escaped(value: Any) -> str:
    """As it stands in a string of JSON."""
    return json.dumps(value)[1:-1]
