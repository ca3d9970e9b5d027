"""Rules on the arguments of tools: expressions that have to hold, once a call is granted.

They take away and never give, as `deny` does: every rule about the tool has to hold, of whichever policy that
speaks of the destination. One that fails, or takes too long, does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mesh.policy.documents import ArgumentRule
from mesh.policy.expressions import arguments_expression, holds
from mesh.policy.globs import EntryList
from mesh.policy.rules import Verdict, Vote
from mesh.reasons import Reason


class Required:
    """One rule, compiled."""

    __slots__ = ("_expression", "_vote", "tool")

    def __init__(self, rule: ArgumentRule, label: str) -> None:
        self.tool = EntryList((rule.tool,))
        self._expression = arguments_expression(rule.require)
        self._vote = Vote(Verdict.DENY, Reason.ARGUMENTS_REFUSED, label, rule.message)

    def refusal(self, arguments: Mapping[str, Any]) -> Vote | None:
        """The vote against a call with these arguments, None if they are as required."""
        return None if holds(self._expression, {"args": arguments}) else self._vote


def about(tool: str, rules: Iterable[Required]) -> tuple[Required, ...]:
    """The rules about a tool. As with `deny`, a pattern matches every name, ill-formed ones too."""
    return tuple(rule for rule in rules if rule.tool.find(tool) is not None)


def required(rules: Iterable[ArgumentRule], label: str) -> tuple[Required, ...]:
    """Rules, compiled; `label` is that of the section they stand in."""
    return tuple(Required(rule, f"{label} arguments[{index}]") for index, rule in enumerate(rules))
