"""Numbers of payment cards: the ranges and lengths of their issuers (ISO/IEC 7812), and Luhn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.checksums import luhn, spread
from sidecar.guardrails.pii.naming import Name
from sidecar.guardrails.pii.rule import CERTAIN, LIKELY, Kind, Rule, apart, compact

KINDS: Final = {
    "CARD": Kind(
        "Payment card: issuer, length and Luhn; of 12 or 13 digits, other than Visa, beside its name."
    )
}

_ISSUED: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-59]|[689]\d)\d{11}(?:\d{2}(?:\d{3})?)?"  # Diners Club, 14 to 19
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}(?:\d{3})?"  # Discover
    r"|35\d{14}(?:\d{3})?|(?:1800|2131)\d{11}"  # JCB: 3528 to 3589 today, all of 35 in test numbers
    r"|62\d{14}(?:\d{1,3})?|81\d{14}(?:\d{3})?"  # UnionPay
    r"|(?:60|65|508)\d{13,14}|220[0-4]\d{12}|9792\d{12}"  # RuPay, Mir, Troy
    r"|(?:50|5[6-8]|6[0-9])\d{14}(?:\d{1,3})?"  # Maestro
)
_NAMED: Final = r"(?:50|5[6-8]|6[0-9])\d{10,13}"
_WORDS: Final = r"card|\bpan\b|maestro|kreditkarte|carte|tarjeta|carta|cartão|\bcc.?(?:no|num)|debit|credit"


def _read(text: str, start: int, end: int) -> Iterable[Hit]:
    digits = compact(text[start:end])
    if apart(text, start, end) and _ISSUED.fullmatch(digits) and spread(digits) and luhn(digits):
        yield Hit("CARD", start, end, CERTAIN, "issuer and Luhn")


def _read_named(text: str, start: int, end: int) -> Iterable[Hit]:
    if luhn(text[start:end]):
        yield Hit("CARD", start, end, LIKELY, "named, Luhn")


NAMES: Final = (("CARD", Name(_WORDS, re.compile(rf"\b(?:{_NAMED})\b", re.ASCII), _read_named, of_id=False)),)
RULES: Final = (
    Rule("CARD", r"\b[1-689]\d{12,18}\b", _read),
    Rule(
        "CARD",
        r"\b[2-689]\d{3}(?:(?: \d{4}){3}(?: \d{1,3})?|(?:-\d{4}){3})\b|\b3\d{3}[ -]\d{6}[ -]\d{4,5}\b",
        _read,
    ),
)
