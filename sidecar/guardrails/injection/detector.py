"""Finds instructions that were planted for a model, and poison in the descriptions of tools."""

from __future__ import annotations

from mesh.policy.guardrails import DetectorKind, InjectionOptions
from sidecar.guardrails.hit import SEPARATOR, Hit
from sidecar.guardrails.injection.rules import Rules, rules


class InjectionDetector:
    """Rules first: they say what they found. Kinds: KINDS."""

    __slots__ = ("_rules", "name")

    def __init__(self, options: InjectionOptions) -> None:
        self.name = DetectorKind.INJECTION.value
        self._rules: Rules = rules()

    def scan(self, text: str) -> list[Hit]:
        """Every match of every rule. Time is linear in the length of the text, whatever it holds."""
        return [hit_of(text, name, start, end) for name, start, end in self._rules.find(text)]


def hit_of(text: str, rule: str, start: int, end: int) -> Hit:
    """The hit of a rule's match: rules that look at how a line or a text begins match what divides it as well."""
    while text[start] in _DIVIDES:
        start += 1
    while text[end - 1] in _DIVIDES:
        end -= 1
    kind, _, name = rule.partition("/")
    return Hit(kind, start, end, 1.0, name)


_DIVIDES = SEPARATOR + "\n"
