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
from sidecar.guardrails.pii.naming import Names
from sidecar.guardrails.pii.rule import Kind, Rule, lone_rule, name_of

NAMED: Final = "NAMED"
"""Stands for the kinds that are read beside words, which share one rule."""

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


def rules_for(kinds: frozenset[str], regions: tuple[str, ...]) -> list[Rule]:
    """The rules of these kinds. `regions`: of national forms of telephone numbers."""
    families = (email.RULES, phones.rules(regions), cards.RULES, iban.RULES, network.RULES, crypto.RULES)
    rules = [rule for family in families for rule in family if rule.kind in kinds]
    rules += [lone_rule(number) for number in NUMBERS if number.alone and number.kind in kinds]
    names = [name for kind, name in (*phones.NAMES, *cards.NAMES) if kind in kinds]
    names += [name_of(number) for number in NUMBERS if number.words and number.kind in kinds]
    if names:
        every = Names(names)
        rules.append(Rule(NAMED, every.pattern, every.read))
    return rules
