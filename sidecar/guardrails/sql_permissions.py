"""Which statements a tool may have: asked of what the SQL detector found, and without loading it."""

from __future__ import annotations

from mesh.policy.globs import EntryList
from mesh.policy.guardrails import SqlOptions


def allowed_statements(options: SqlOptions, tool: str | None) -> frozenset[str]:
    """Lower-case kinds of statements that `tool` may have: those of every glob that matches it; where none does
    (or there is no tool), those of `*`."""
    if tool is not None:
        matched = [
            kinds
            for glob, kinds in options.statements
            if glob != "*" and EntryList((glob,)).find(tool) is not None
        ]
        if matched:
            return frozenset().union(*matched)
    return frozenset().union(*(kinds for glob, kinds in options.statements if glob == "*"))


def permitted(kind: str, note: str, allowed: frozenset[str]) -> bool:
    """Whether a hit of this kind and note says nothing where these statements are allowed.

    STATEMENT_SELECT is permitted by `select`, STACKED by `stacked`, DANGEROUS by `dangerous`. DESTRUCTIVE is
    permitted by `destructive`, and for drop and truncate (its note) also by these themselves: who allows `delete`
    has not allowed to delete everything.
    """
    if kind.startswith("STATEMENT_"):
        return kind[10:].lower() in allowed
    if kind == "DESTRUCTIVE":
        return "destructive" in allowed or (note in ("drop", "truncate") and note in allowed)
    return kind in ("STACKED", "DANGEROUS") and kind.lower() in allowed
