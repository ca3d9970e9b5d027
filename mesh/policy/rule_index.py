"""The rules of a policy that are about a name: what others would say is known without asking them.

A rule whose lists hold exact names alone says nothing of any other name, and all such silence is alike. So of many
rules only those are asked that hold the very name or a pattern, and one for the silence.
"""

from __future__ import annotations

from collections.abc import Sequence

from mesh.policy.facts import Question
from mesh.policy.methods import SUBJECT_METHODS, Section, is_base
from mesh.policy.rules import Rule

WORTH_IT = 8
"""From how many rules on."""
_INDEXED = (Section.TOOLS, Section.PROMPTS)


class RuleIndex:
    """Rules by the names they hold, in their order."""

    __slots__ = ("_exact", "_first", "_others", "_rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        speaking = [i for i, rule in enumerate(rules) if rule.mcp is not None]
        self._first = next((i for i in speaking if not rules[i].withheld), next(iter(speaking), 0))
        self._exact: dict[Section, dict[str, list[int]]] = {section: {} for section in _INDEXED}
        self._others: dict[Section, list[int]] = {section: [] for section in _INDEXED}
        for index, rule in enumerate(rules):
            for section in _INDEXED:
                self._place(section, index, rule)

    def _place(self, section: Section, index: int, rule: Rule) -> None:
        names = None if rule.mcp is None else rule.mcp.exact_names(section)
        if names is None:
            self._others[section].append(index)
            return
        for name in names:
            self._exact[section].setdefault(name, []).append(index)

    def about(self, question: Question) -> tuple[Rule, ...]:
        """The rules to ask; the strongest of their votes is that of all."""
        section = SUBJECT_METHODS.get(question.method)
        if question.name is None:
            alike = is_base(question.method) and self._rules[self._first].mcp is not None
            return (self._rules[self._first],) if alike else self._rules
        if section not in self._exact:
            return self._rules
        found = {self._first, *self._others[section], *self._exact[section].get(question.name, ())}
        return tuple(self._rules[index] for index in sorted(found))
