"""Rules on the arguments of tools: expressions that have to hold, once a call is granted.

They take away and never give, as `deny` does: every rule about the tool has to hold, of whichever policy that
speaks of the destination. One that fails, or takes too long, does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mesh.cel import CelExhausted, CelFailed, CelType, Expression, compile_expression
from mesh.policy.documents import ArgumentRule
from mesh.policy.globs import EntryList
from mesh.policy.rules import Verdict, Vote
from mesh.reasons import Reason

VARIABLES: Mapping[str, CelType] = {"args": CelType.JSON_OBJECT}
"""What expressions may use: the arguments of the call."""


class Required:
    """One rule, compiled."""

    __slots__ = ("_expression", "_vote", "tool")

    def __init__(self, rule: ArgumentRule, label: str) -> None:
        self.tool = EntryList((rule.tool,))
        self._expression: Expression = compile_expression(rule.require, VARIABLES)
        self._vote = Vote(Verdict.DENY, Reason.ARGUMENTS_REFUSED, label, rule.message)

    def refusal(self, arguments: Mapping[str, Any]) -> Vote | None:
        """The vote against a call with these arguments, None if they are as required."""
        try:
            held = self._expression.evaluate({"args": arguments})
        except (CelFailed, CelExhausted):
            held = False
        return None if held else self._vote


def about(tool: str, rules: Iterable[Required]) -> tuple[Required, ...]:
    """The rules about a tool. As with `deny`, a pattern matches every name, ill-formed ones too."""
    return tuple(rule for rule in rules if rule.tool.find(tool) is not None)


def required(rules: Iterable[ArgumentRule], label: str) -> tuple[Required, ...]:
    """Rules, compiled; `label` is that of the section they stand in."""
    return tuple(Required(rule, f"{label} arguments[{index}]") for index, rule in enumerate(rules))
