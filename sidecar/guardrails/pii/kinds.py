"""Everything that is looked for, in one table: documentation and the validation of PiiOptions come from it."""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.pii import (
    asia_pacific,
    cards,
    crypto,
    email,
    europe,
    iban,
    network,
    north_america,
    papers,
    phones,
    south_america,
)
from sidecar.guardrails.pii.rule import Kind, Rule, rules_of

NUMBERS: Final = (
    *papers.NUMBERS,
    *north_america.NUMBERS,
    *south_america.NUMBERS,
    *europe.NUMBERS,
    *asia_pacific.NUMBERS,
)

TABLE: Final[dict[str, Kind]] = {
    **email.KINDS,
    **phones.KINDS,
    **cards.KINDS,
    **iban.KINDS,
    **network.KINDS,
    **crypto.KINDS,
    **{number.kind: Kind(number.doc, number.locale) for number in NUMBERS},
}
KINDS: Final[dict[str, str]] = {name: kind.doc for name, kind in TABLE.items()}
"""Each kind and a line about it."""

LOCALES: Final[dict[str, str]] = {name: kind.locale for name, kind in TABLE.items() if kind.locale}
"""The locale of the kinds that have one; the others belong everywhere."""


def all_rules(regions: tuple[str, ...]) -> list[Rule]:
    """`regions`: of national forms of telephone numbers."""
    return [
        *email.RULES,
        *phones.rules(regions),
        *cards.RULES,
        *iban.RULES,
        *network.RULES,
        *crypto.RULES,
        *(rule for number in NUMBERS for rule in rules_of(number)),
    ]
