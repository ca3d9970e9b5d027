"""Numbers of people in Asia, Africa and Oceania."""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.pii.checksums import luhn, mod_11_2, spread, verhoeff, weighted
from sidecar.guardrails.pii.dates import month_day, yymmdd
from sidecar.guardrails.pii.rule import Number

_NRIC: Final = {
    "S": (0, "JZIHGFEDCBA"),
    "T": (4, "JZIHGFEDCBA"),
    "F": (0, "XWUTRQPNMLK"),
    "G": (4, "XWUTRQPNMLK"),
    "M": (3, "XWUTRQPNJLK"),
}
_TW_AREAS: Final = "ABCDEFGHJKLMNPQRSTUVXYWZIO"


def aadhaar(digits: str) -> bool:
    """Verhoeff."""
    return spread(digits) and verhoeff(digits)


def tfn(digits: str) -> bool:
    """Modulo 11."""
    return spread(digits) and weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def medicare(digits: str) -> bool:
    """The ninth digit checks the eight before it, modulo 10."""
    return weighted(digits[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(digits[8])


def ird(digits: str) -> bool:
    """Modulo 11, with other weights where the first ones give ten."""
    body = digits[:-1].zfill(8)
    for weights in ((3, 2, 7, 6, 5, 4, 3, 2), (7, 4, 3, 2, 5, 2, 7, 6)):
        check = -weighted(body, weights) % 11
        if check < 10:
            return check == int(digits[-1])
    return False


def nric(text: str) -> bool:
    """Modulo 11 to a letter, by series."""
    offset, letters = _NRIC[text[0]]
    return letters[(offset + weighted(text[1:8], (2, 7, 6, 5, 4, 3, 2))) % 11] == text[-1]


def resident_cn(text: str) -> bool:
    """A date of birth with its century, ISO 7064 MOD 11-2."""
    return month_day(text[10:12], text[12:14]) and mod_11_2(text)


def my_number(digits: str) -> bool:
    """Modulo 11."""
    rest = weighted(digits[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return int(digits[11]) == (0 if rest < 2 else 11 - rest)


def resident_tw(text: str) -> bool:
    """The letter is two digits; modulo 10."""
    area = _TW_AREAS.index(text[0]) + 10
    return (area // 10 + area % 10 * 9 + weighted(text[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0


def citizen_th(digits: str) -> bool:
    """Modulo 11."""
    return (11 - weighted(digits[:12], range(13, 1, -1)) % 11) % 10 == int(digits[12])


def citizen_za(digits: str) -> bool:
    """A date and Luhn."""
    return yymmdd(digits) and luhn(digits)


NUMBERS: Final = (
    Number(
        "IN_AADHAAR",
        "in",
        "Aadhaar number; ungrouped only beside its name.",
        r"aadha+r|\buid(?:ai)?\b",
        r"[2-9]\d{3}[- ]?\d{4}[- ]?\d{4}",
        aadhaar,
        r"[2-9]\d{3} \d{4} \d{4}",
    ),
    Number(
        "IN_PAN",
        "in",
        "Permanent account number; those of others than persons only beside its name.",
        r"\bpan\b|permanent account",
        r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]",
        lambda _: True,
        r"[A-Z]{3}P[A-Z]\d{4}[A-Z]",
    ),
    Number(
        "AU_TFN",
        "au",
        "Tax file number, beside its name.",
        r"\btfn\b|tax.?file",
        r"\d{3}[- ]?\d{3}[- ]?\d{3}",
        tfn,
    ),
    Number(
        "AU_MEDICARE",
        "au",
        "Medicare card, beside its name.",
        r"medicare",
        r"[2-6]\d{3}[- ]?\d{5}[- ]?\d(?:[-/ ]?\d)?",
        medicare,
    ),
    Number(
        "NZ_IRD", "nz", "Inland Revenue number, beside its name.", r"\bird\b", r"\d{2,3}-?\d{3}-?\d{3}", ird
    ),
    Number("SG_NRIC", "sg", "NRIC or FIN.", "", "", nric, r"[STFGM]\d{7}[A-Z]"),
    Number(
        "CN_RESIDENT_ID",
        "cn",
        "Resident identity card of the People's Republic of China.",
        "",
        "",
        resident_cn,
        r"[1-8]\d{5}(?:19|20)\d{2}[01]\d[0-3]\d{4}[\dXx]",
    ),
    Number(
        "KR_RRN",
        "kr",
        "Resident registration number.",
        r"\brrn\b|resident registration|주민",
        r"\d{6}-?[1-8]\d{6}",
        yymmdd,
        r"\d{6}-[1-8]\d{6}",
    ),
    Number(
        "JP_MY_NUMBER",
        "jp",
        "Individual number, beside its name.",
        r"my.?number|individual number|マイナンバー|個人番号",
        r"\d{4}[- ]?\d{4}[- ]?\d{4}",
        my_number,
    ),
    Number(
        "TW_NATIONAL_ID",
        "tw",
        "National identification number, beside its name.",
        r"national id|identity card|身分證",
        r"[A-Z][1289]\d{8}",
        resident_tw,
    ),
    Number(
        "TH_NATIONAL_ID",
        "th",
        "National identification number; ungrouped only beside its name.",
        r"national id|citizen id|บัตรประชาชน",
        r"[1-8]\d{12}",
        citizen_th,
        r"[1-8]-\d{4}-\d{5}-\d{2}-\d",
    ),
    Number(
        "ZA_ID",
        "za",
        "Identity number, beside its name.",
        r"\bid.?(?:number|no\b)|identity.?(?:number|no\b)|\brsa id\b",
        r"\d{10}[01]\d{2}",
        citizen_za,
    ),
    Number(
        "IL_ID",
        "il",
        "Identity number, beside its name.",
        r"teudat zehut|israeli id|תעודת זהות",
        r"\d{8}-?\d",
        luhn,
    ),
)
