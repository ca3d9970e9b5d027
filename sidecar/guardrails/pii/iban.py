"""International bank account numbers: a length for each country, and mod-97 (ISO 13616)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.checksums import mod_97
from sidecar.guardrails.pii.rule import CERTAIN, Kind, Rule, compact

KINDS: Final = {"IBAN": Kind("International bank account number: country, length and mod-97.")}

_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL FK SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM TL SO",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "FR GR IT MC MR SM BI DJ",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def _read(text: str, start: int, end: int) -> Iterable[Hit]:
    length = _LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return
    # What follows an account number may look like another group of it: count only what the country has.
    stop, seen = start, 0
    while stop < end and seen < length:
        seen += text[stop] not in " -"
        stop += 1
    if seen == length and not text[stop : stop + 1].isalnum() and mod_97(compact(text[start:stop])):
        yield Hit("IBAN", start, stop, CERTAIN, "mod-97")


RULES: Final = (
    Rule("IBAN", r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b", _read),
    Rule("IBAN", r"\b[a-z]{2}\d{2}(?:[a-z]{4})?\d{10,26}\b", _read),
    Rule("IBAN", r"\b[A-Z]{2}\d{2}(?:[ -][A-Z0-9]{4}){2,7}(?:[ -][A-Z0-9]{1,4})?\b", _read),
)
