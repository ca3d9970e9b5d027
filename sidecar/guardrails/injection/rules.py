"""All rules, in a few groups that are asked only where one of their heads matches.

Why groups: the automaton that RE2 builds while it reads follows all rules that have begun at once, so that its
states multiply with the rules in one set; ordinary prose then costs a hundred times what it costs here. Why heads:
one small set of them answers for most texts that nothing has begun, in a single walk. Compiled once per process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sidecar.guardrails.injection.grammar import head, whole
from sidecar.guardrails.injection.rules_descriptions import DESCRIPTIONS
from sidecar.guardrails.injection.rules_english import ENGLISH
from sidecar.guardrails.injection.rules_languages import LANGUAGES
from sidecar.guardrails.injection.rules_requests import REQUESTS
from sidecar.guardrails.re2_set import Patterns

RULES: dict[str, str] = {**ENGLISH, **REQUESTS, **LANGUAGES, **DESCRIPTIONS}
"""`KIND/rule` -> pattern, with THEN in it."""

_GROUP_OF_KIND = {
    "OVERRIDE": "override",
    "PERSONA": "override",
    "URGENCY": "override",
    "EXTRACTION": "extraction",
    "SECRET_FILE": "extraction",
    "CONCEALMENT": "concealment",
    "POISON_CONCEALMENT": "concealment",
    "POISON_OTHER_TOOLS": "concealment",
    "FAKE_TURN": "turns",
    "STEERING": "turns",
    "POISON_ORDER": "turns",
    "MOVEMENT": "movement",
    "POISON_DESTINATION": "movement",
    "POISON_COLLECTION": "movement",
    "POISON_SECRET_FILE": "movement",
}

GROUPS: tuple[str, ...] = ("override", "extraction", "concealment", "turns", "movement", "languages")


def group_of(rule: str) -> str:
    """Which group asks this rule."""
    return "languages" if rule in LANGUAGES else _GROUP_OF_KIND[rule.partition("/")[0]]


def in_group(group: str) -> dict[str, str]:
    """The rules of one group, as RE2 reads them."""
    return {name: whole(rule) for name, rule in RULES.items() if group_of(name) == group}


def gate(group: str) -> str:
    """One pattern that matches wherever a rule of this group begins."""
    heads = dict.fromkeys(head(rule) for name, rule in RULES.items() if group_of(name) == group)
    return "|".join(f"(?:{one})" for one in heads)


MODEL_GATE = len(GROUPS)
"""Among what has begun: a word that the model waits for."""


def trigger(words: Sequence[str]) -> str:
    """One pattern for any of these words within prose: beside a blank and another word. Keys, paths and single
    values are none."""
    any_word = "|".join(words)
    return rf"[a-z,;:'\"’][ \t\n](?:{any_word})\b|\b(?:{any_word})['\"’,;:]?[ \t\n][a-z]"


class Rules:
    """Every rule, without regard to case. `triggers`: the words that the model waits for."""

    __slots__ = ("_gates", "_groups")

    def __init__(self, triggers: Sequence[str]) -> None:
        gates = {group: gate(group) for group in GROUPS}
        if triggers:
            gates["model"] = trigger(triggers)
        self._gates = Patterns(gates, ignore_case=True)
        self._groups = tuple(Patterns(in_group(group), ignore_case=True) for group in GROUPS)

    def begun(self, text: str) -> Sequence[int]:
        """Places in GROUPS of those that have to be asked, and MODEL_GATE where the model has; ascending."""
        return self._gates.which(text)

    def asked(self, text: str, begun: Sequence[int]) -> Iterator[tuple[str, int, int]]:
        """`KIND/rule`, start and end of each match of these groups."""
        for index in begun:
            if index != MODEL_GATE:
                yield from self._groups[index].find(text)

    def find(self, text: str) -> Iterator[tuple[str, int, int]]:
        """`KIND/rule`, start and end of each match."""
        return self.asked(text, self.begun(text))
