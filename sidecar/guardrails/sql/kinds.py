"""The names of what is found."""

from __future__ import annotations

from typing import Final

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
