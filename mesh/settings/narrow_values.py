"""Settings that narrow what policies grant: names of policies, globs `backend/tool`, actions and rates.

Their form is what policies know; it is imported when a value is looked at, because the step that installs
redirection reads the table too, and would have no other use for the reader of policies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mesh.settings.lists import items

MAX_ENTRIES = 200
TOLD = 5  # of those that are wrong
# What no environment variable takes, or no terminal shows as what it is.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class PolicyNames:
    """Names of AgentPolicies."""

    @property
    def allowed(self) -> str:
        return "names of AgentPolicies, comma separated"

    def problem(self, text: str) -> str | None:
        from mesh.policy.metadata import name_check

        return _problem(text, name_check)


@dataclass(frozen=True, slots=True)
class ToolGlobs:
    """Globs over Backends and their tools."""

    @property
    def allowed(self) -> str:
        return "globs `backend/tool`, comma separated"

    def problem(self, text: str) -> str | None:
        from mesh.policy.tool_entries import tool_fault

        return _problem(text, _quoting(tool_fault))


@dataclass(frozen=True, slots=True)
class GuardrailFloors:
    """The least that happens to what detectors find."""

    @property
    def allowed(self) -> str:
        return "`detector=action`, comma separated, like pii=mask, secrets=block"

    def problem(self, text: str) -> str | None:
        from mesh.policy.floors import floor_fault

        return _problem(text, _quoting(floor_fault))


@dataclass(frozen=True, slots=True)
class RateEntries:
    """How often the agent may ask, at most."""

    @property
    def allowed(self) -> str:
        return "rates, or `backend/tool=rate`, comma separated, like 60/m, github/create_issue=5/m"

    def problem(self, text: str) -> str | None:
        from mesh.policy.floors import rate_fault

        return _problem(text, _quoting(rate_fault))


def _quoting(fault: Callable[[str], str | None]) -> Callable[[str], str | None]:
    """The same, with the entry in front of what is wrong with it."""

    def found(entry: str) -> str | None:
        from mesh.policy.errors import shown

        wrong = fault(entry)
        return None if wrong is None else f"{shown(entry)}: {wrong}"

    return found


def _problem(text: str, fault: Callable[[str], str | None]) -> str | None:
    entries = items(text)
    if not entries:
        return "has no entry"
    if len(entries) > MAX_ENTRIES:
        return f"has {len(entries)} entries; at most {MAX_ENTRIES} are read"
    if _CONTROL.search("".join(entries)):
        return "has a control character"
    wrong = [found for entry in entries if (found := fault(entry)) is not None]
    if not wrong:
        return None
    more = f"; and {len(wrong) - TOLD} more" if len(wrong) > TOLD else ""
    return f"has a wrong entry: {'; '.join(wrong[:TOLD])}{more}"
