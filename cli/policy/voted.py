"""What one rule says to one question."""

from __future__ import annotations

from dataclasses import dataclass

GRANT, DENY, SILENT, APART, ASKS = "grant", "deny", "silent", "does not count", "asks"


@dataclass(frozen=True, slots=True)
class Voted:
    """One rule, or one policy that has none for the question. `level` is `agent`, or the target that a policy is
    about: each level that speaks has to let a request pass. `note` says more where a word is not enough."""

    level: str
    policy: str
    rule: str
    vote: str
    reason: str = ""
    note: str = ""
