"""Check digits: what tells a number somebody was given from a number that is only as long.

Each takes the digits without what stands between them. All are published with the numbers that they protect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_LETTERS = {chr(code): str(code - 55) for code in range(65, 91)}

# The dihedral group of order ten, and the permutation of each place: Verhoeff, 1969.
_DIHEDRAL = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PLACES = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: payment cards, IMEI, and many national numbers."""
    values = [ord(digit) - 48 for digit in digits]
    return not (sum(values[-1::-2]) + sum(_DOUBLED[value] for value in values[-2::-2])) % 10


def mod_97(text: str) -> bool:
    """ISO 7064 MOD 97-10 of digits and capitals, the four first characters last: ISO 13616 (IBAN)."""
    turned = text[4:] + text[:4]
    return int("".join(_LETTERS.get(character, character) for character in turned)) % 97 == 1


def mod_11_10(digits: str) -> bool:
    """ISO 7064 MOD 11,10: German tax ids, Croatian OIB."""
    product = 10
    for digit in digits[:-1]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return (product + int(digits[-1])) % 10 == 1


def mod_11_2(text: str) -> bool:
    """ISO 7064 MOD 11-2, the last may be X for ten: Chinese resident ids."""
    total = 0
    for character in text[:-1]:
        total = (total + int(character)) * 2
    return (total + (10 if text[-1] in "Xx" else int(text[-1]))) % 11 == 1


def verhoeff(digits: str) -> bool:
    """Every single wrong digit and every swap of neighbours shows: Aadhaar."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_DIHEDRAL[check][int(_PLACES[place % 8][int(digit)])])
    return check == 0


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of the digits, each times its weight, as far as both go."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def ean_13(digits: str) -> bool:
    """GS1, thirteen digits: Swiss AHV numbers."""
    return weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def spread(digits: Iterable[str]) -> bool:
    """Not one and the same digit all along: such numbers pass many checks, and nobody was given one."""
    return len(set(digits)) > 1
