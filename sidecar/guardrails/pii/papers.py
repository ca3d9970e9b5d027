"""What papers say of a person in no form of its own, so that a word has to name it."""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.pii.checksums import luhn
from sidecar.guardrails.pii.rule import Number

_MONTH: Final = "(?i:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-z.]{0,7}"


def _mixed(text: str) -> bool:
    return sum(character.isdigit() for character in text) >= 5


def _certain(text: str) -> bool:
    return True


NUMBERS: Final = (
    Number(
        "PASSPORT",
        "",
        "Number of a passport, beside its name.",
        r"pass?port|passeport|reisepass|pasaporte|passaporto|paszport|passnummer",
        r"[A-Z]{0,2}\d{5,9}[A-Z]?|[CFGHJK][0-9CFGHJKLMNPRTVWXYZ]{8}",
        _mixed,
    ),
    Number(
        "DATE_OF_BIRTH",
        "",
        "Date, beside a word that says that it is one of birth.",
        r"\bdob\b|birth(?:.?da(?:te|y))?|\bborn\b|geburt|geboren"
        r"|\bnée? le|naissance|nacimiento|\bnascita|nascimento|geboorte",
        r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)?\d{2}"
        rf"|\d{{1,2}}(?:st|nd|rd|th|\.)? {_MONTH} \d{{4}}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}",
        _certain,
    ),
    Number("IMEI", "", "Identity of a phone, beside its name.", r"\bimei", r"\d{2}-?\d{6}-?\d{6}-?\d", luhn),
    Number(
        "BANK_ACCOUNT",
        "",
        "Domestic account number, beside its name.",
        r"account.?(?:number|no\b|#)|bank.?account|kontonummer|kontonr|numéro de compte|número de cuenta",
        r"\d{7,17}",
        _certain,
    ),
)
