"""Numbers of people in the United States, Canada and Mexico."""

from __future__ import annotations

import re
from typing import Final

from sidecar.guardrails.pii.checksums import luhn, spread
from sidecar.guardrails.pii.dates import yymmdd
from sidecar.guardrails.pii.rule import Number

_ADVERTISED: Final = frozenset(("078051120", "219099999"))
_ITIN_GROUPS: Final = frozenset((*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)))
_CURP: Final = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
_MBI: Final = "[AC-HJKMNP-RT-Y]"
_MBI_OR_DIGIT: Final = "[0-9AC-HJKMNP-RT-Y]"
_MIXED: Final = re.compile(r"(?=(?:.*\d){4})[A-Z0-9]{5,20}")


def ssn(digits: str) -> bool:
    """Areas 000, 666 and 900 to 999 are never given, nor group 00, nor serial 0000 (SSA); two are in adverts."""
    area = digits[:3]
    return (
        area not in ("000", "666")
        and area[0] != "9"
        and digits[3:5] != "00"
        and digits[5:] != "0000"
        and digits not in _ADVERTISED
        and spread(digits)
    )


def itin(digits: str) -> bool:
    """Begins with 9; the groups are those that the IRS gives."""
    return digits[0] == "9" and int(digits[3:5]) in _ITIN_GROUPS


def npi(digits: str) -> bool:
    """Luhn, with the prefix of health cards of the United States before it."""
    return luhn("80840" + digits)


def sin(digits: str) -> bool:
    """Luhn; no series begins with 0 or 8."""
    return digits[0] not in "08" and luhn(digits)


def curp(text: str) -> bool:
    """A date, and a check digit over the alphabet with its own letter after N."""
    total = sum(
        _CURP.index(character) * weight for character, weight in zip(text, range(18, 1, -1), strict=False)
    )
    return yymmdd(text[4:]) and str(-total % 10) == text[-1]


def licence(text: str) -> bool:
    """Each state has its own form: letters and at least four digits."""
    return _MIXED.fullmatch(text) is not None


NUMBERS: Final = (
    Number(
        "US_SSN",
        "us",
        "Social Security number; without hyphens only beside its name.",
        r"\bssn|social.{0,2}security|\bsoc\b",
        r"\d{3}[- ]?\d{2}[- ]?\d{4}",
        ssn,
        r"\d{3}-\d{2}-\d{4}",
    ),
    Number(
        "US_ITIN",
        "us",
        "Individual taxpayer identification number.",
        r"\bitin|taxpayer",
        r"9\d{2}[- ]?\d{2}[- ]?\d{4}",
        itin,
        r"9\d{2}-\d{2}-\d{4}",
    ),
    Number(
        "US_DRIVER_LICENSE",
        "us",
        "Driver's licence, beside its name.",
        r"driver.{0,3}licen[sc]e|driving.{0,1}licen[sc]e|\bdl\s?(?:#|no|number)",
        r"[A-Za-z]{0,3}[- ]?\d[\d-]{3,17}[A-Za-z]{0,2}",
        licence,
    ),
    Number(
        "US_NPI",
        "us",
        "National provider identifier of health care, beside its name.",
        r"\bnpi\b|provider.{0,2}identifier",
        r"[12]\d{9}",
        npi,
    ),
    Number(
        "US_MBI",
        "us",
        "Medicare beneficiary identifier.",
        r"\bmbi\b|medicare",
        rf"[1-9]{_MBI}{_MBI_OR_DIGIT}\d{_MBI}{_MBI_OR_DIGIT}\d{_MBI}{{2}}\d\d",
        lambda _: True,
        rf"[1-9]{_MBI}{_MBI_OR_DIGIT}\d-{_MBI}{_MBI_OR_DIGIT}\d-{_MBI}{{2}}\d\d",
    ),
    Number(
        "CA_SIN",
        "ca",
        "Social insurance number, beside its name.",
        r"\bsin\b|\bnas\b|social.{0,2}insurance|assurance sociale",
        r"\d{3}[- ]?\d{3}[- ]?\d{3}",
        sin,
    ),
    Number(
        "MX_CURP",
        "mx",
        "Clave única de registro de población.",
        "",
        "",
        curp,
        r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d",
    ),
)
