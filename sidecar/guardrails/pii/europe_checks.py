"""How the national numbers of Europe check themselves. Each takes capitals and digits without separators."""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.pii.checksums import luhn, mod_11_10, spread, weighted
from sidecar.guardrails.pii.dates import ddmmyy, month_day, shifted

_DNI: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_PPS: Final = "WABCDEFGHIJKLMNOPQRSTUV"
_LOW: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (*_LOW, *_LOW, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)
_EVEN: Final = {character: int(character, 36) - (0 if character.isdigit() else 10) for character in _ODD}


def nhs(digits: str) -> bool:
    """Modulo 11; ten is never given."""
    check = 11 - weighted(digits[:9], range(10, 1, -1)) % 11
    return spread(digits) and check != 10 and check % 11 == int(digits[9])


def nino(text: str) -> bool:
    """Prefixes that are never given (HMRC)."""
    return text[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def steuer_id(digits: str) -> bool:
    """ISO 7064 MOD 11,10; among the first ten one digit stands twice or three times, and no other does."""
    counts = sorted((digits[:10].count(digit) for digit in set(digits[:10])), reverse=True)
    return counts[0] in (2, 3) and counts[1:2] == [1] and mod_11_10(digits)


def insee(text: str) -> bool:
    """97 minus the rest of the number by 97; Corsica counts as 19 and 18; months beyond 12 where none is known."""
    month = int(text[3:5])
    number = int(text[:13].replace("2A", "19", 1).replace("2B", "18", 1))
    return (1 <= month <= 12 or 20 <= month <= 42 or month >= 50) and 97 - number % 97 == int(text[13:])


def dni(text: str) -> bool:
    """The rest by 23 is a letter."""
    return spread(text[:8]) and _DNI[int(text[:8]) % 23] == text[8]


def nie(text: str) -> bool:
    """Like a DNI, where X, Y and Z are 0, 1 and 2."""
    return _DNI[int(str("XYZ".index(text[0])) + text[1:8]) % 23] == text[8]


def codice_fiscale(text: str) -> bool:
    """A letter over all others, where the odd places have weights of their own."""
    total = sum(_ODD[character] for character in text[:15:2]) + sum(
        _EVEN[character] for character in text[1:15:2]
    )
    return chr(65 + total % 26) == text[15]


def bsn(digits: str) -> bool:
    """Modulo 11, where the last weighs minus one."""
    return spread(digits) and weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def pesel(digits: str) -> bool:
    """A date, whose month says the century, and modulo 10."""
    return shifted(digits, 20, 40, 60, 80) and weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def rijksregister(digits: str) -> bool:
    """97 minus the rest by 97; a 2 stands before those who were born since 2000."""
    check = int(digits[9:])
    dated = digits[2:4] == "00" or shifted(digits, 20, 40)
    return dated and check in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def nif_pt(digits: str) -> bool:
    """Modulo 11."""
    rest = weighted(digits[:8], range(9, 1, -1)) % 11
    return int(digits[8]) == (0 if rest < 2 else 11 - rest)


def personnummer(text: str) -> bool:
    """A date, 60 more for the day of coordination numbers, and Luhn over the last ten digits."""
    digits = text.replace("+", "")[-10:]
    day = int(digits[4:6])
    return month_day(digits[2:4], f"{day - 60 if day > 60 else day:02}") and luhn(digits)


def hetu(text: str) -> bool:
    """A date; the rest of nine digits by 31 is a letter."""
    digits = text[:6] + text[-4:-1]
    return ddmmyy(text) and _HETU[int(digits) % 31] == text[-1]


def fodselsnummer(digits: str) -> bool:
    """A date and two check digits, modulo 11."""
    first = weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1))
    second = weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))
    return ddmmyy(digits) and first % 11 == 0 and second % 11 == 0


def pps(text: str) -> bool:
    """Modulo 23 to a letter; a second letter counts nine times."""
    total = weighted(text[:7], range(8, 1, -1))
    if len(text) == 9:
        total += 9 * _PPS.index(text[8])
    return _PPS[total % 23] == text[7]


def cnp(digits: str) -> bool:
    """A date and modulo 11."""
    check = weighted(digits[:12], (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return month_day(digits[3:5], digits[5:7]) and int(digits[12]) == (1 if check == 10 else check)


def rodne_cislo(digits: str) -> bool:
    """A date, where months say sex and series, and modulo 11."""
    return shifted(digits, 20, 50, 70) and int(digits) % 11 == 0


def isikukood(digits: str) -> bool:
    """A date and modulo 11, with other weights where the first ones give ten."""
    check = weighted(digits[:10], (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(digits[:10], (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return month_day(digits[3:5], digits[5:7]) and check == int(digits[10])


def tckn(digits: str) -> bool:
    """Two check digits, modulo 10."""
    odd, even = weighted(digits[:9:2], (1,) * 5), weighted(digits[1:8:2], (1,) * 4)
    return (odd * 7 - even) % 10 == int(digits[9]) and weighted(digits[:10], (1,) * 10) % 10 == int(
        digits[10]
    )
