"""The names of what is found, and which of them a tool may have."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from mesh.policy.guardrails import SqlOptions

INJECTIONS: Final[dict[str, str]] = {
    "INJECTION_TAUTOLOGY": "a condition that is always true or false, put in beside another one",
    "INJECTION_CONDITION": "a condition that begins by ending a literal",
    "INJECTION_UNION": "UNION SELECT and its kin that add rows to another statement",
    "INJECTION_STACKED": "another statement behind the end of a literal or number",
    "INJECTION_COMMENT": "a comment that cuts off the rest of a statement after the end of a literal",
    "INJECTION_TIME": "waiting, by which an answer is told: sleep, benchmark, waitfor delay",
    "INJECTION_ERROR": "a function used for the error that it raises",
    "INJECTION_SCHEMA": "reading the database's own tables within a fragment",
    "INJECTION_SYSTEM": "commands, files, registry or network of the database's host",
    "INJECTION_SUBQUERY": "a query in parentheses that is part of no whole statement",
    "INJECTION_FUNCTION": "calls that compute a value in place of a literal: char(), hex, concat",
    "INJECTION_CONCAT": "the end of a literal that is joined with something computed",
    "INJECTION_ORDER": "counting columns with order by or group by",
    "INJECTION_HAVING": "having with a condition that is always true or false",
    "INJECTION_CASE": "case, if or iif that asks one question",
    "INJECTION_FRAGMENT": "a piece of a statement that is none by itself",
    "INJECTION_OBFUSCATED": "keywords taken apart by comments, or run from within one",
    "INJECTION_CROWDED": "more that looks like SQL in one message than is examined",
}
_STATEMENTS: Final = (
    "SELECT INSERT UPDATE DELETE MERGE REPLACE DROP TRUNCATE ALTER CREATE RENAME GRANT REVOKE "
    "EXEC CALL COPY LOAD BACKUP RESTORE SHUTDOWN KILL ATTACH PRAGMA SHOW USE SET DECLARE BEGIN "
    "COMMIT ROLLBACK EXPLAIN DBCC PREPARE WAITFOR DO HANDLER"
)
STATEMENTS: Final[dict[str, str]] = {
    f"STATEMENT_{name}": f"a whole {name} statement" for name in _STATEMENTS.split()
}
KINDS: Final[dict[str, str]] = {
    **INJECTIONS,
    **STATEMENTS,
    "DESTRUCTIVE": "drop, truncate, or delete or update without where (or where it is always true)",
    "STACKED": "several whole statements in one text",
    "DANGEROUS": "a whole statement that waits, or reaches commands, files or network of the database's host",
}


def allowed_statements(options: SqlOptions, tool: str | None) -> frozenset[str]:
    """Lower-case kinds of statements that `tool` may have: those of every glob that matches it; where none does
    (or there is no tool), those of `*`."""
    allowed: frozenset[str] = frozenset()
    matched = False
    for pattern, kinds in options.statements:
        if tool is not None and pattern != "*" and fnmatchcase(tool, pattern):
            allowed |= kinds
            matched = True
    if matched:
        return allowed
    return frozenset().union(*(kinds for pattern, kinds in options.statements if pattern == "*"))


def permitted(kind: str, note: str, allowed: frozenset[str]) -> bool:
    """Whether a hit of this kind and note says nothing where these statements are allowed.

    STATEMENT_SELECT is permitted by `select`, STACKED by `stacked`, DANGEROUS by `dangerous`. DESTRUCTIVE is
    permitted by `destructive`, and for drop and truncate (its note) also by these themselves.
    """
    if kind.startswith("STATEMENT_"):
        return kind[10:].lower() in allowed
    if kind == "DESTRUCTIVE":
        return "destructive" in allowed or note in allowed
    return kind in ("STACKED", "DANGEROUS") and kind.lower() in allowed
