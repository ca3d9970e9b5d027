"""The numbering plans of the world, asked about single numbers. Imports them at the first question."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

_COUNTRIES: Final = (
    "GB DE FR IT NL BE CH AT SE AU NZ IE ES PL FI NO DK CZ HU RO GR PT TR IN JP KR ZA BR IL CN TW TH ID"
)
REGIONS: Final = tuple(_COUNTRIES.split())
"""Whose national forms are believed where no locale is chosen."""


@cache
def _library() -> Any:
    import phonenumbers

    return phonenumbers


def possible(number: str) -> bool:
    """Whether its country, which it begins with after a plus sign, has numbers of this length."""
    library = _library()
    try:
        return bool(library.is_possible_number(library.parse(number)))
    except library.NumberParseException:
        return False


def valid(digits: str, regions: tuple[str, ...]) -> bool:
    """Whether one of `regions` gives out such national numbers. Digits only, with the trunk zero."""
    library = _library()
    for region in regions:
        try:
            if library.is_valid_number(library.parse(digits, region)):
                return True
        except library.NumberParseException:
            continue
    return False
