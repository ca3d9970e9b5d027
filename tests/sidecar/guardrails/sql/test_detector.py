"""What is an injection, what is a whole statement, and what is neither."""

from __future__ import annotations

import pytest

from mesh.policy.guardrails import SqlOptions
from sidecar.guardrails.hit import SEPARATOR, Hit
from sidecar.guardrails.sql import KINDS, SqlDetector
from sidecar.guardrails.sql.detector import WINDOW
from sidecar.guardrails.sql_permissions import allowed_statements, permitted

DETECTOR = SqlDetector(SqlOptions())


def kinds(text: str) -> set[str]:
    hits = DETECTOR.scan(text)
    for hit in hits:
        assert hit.kind in KINDS
        assert 0 <= hit.start < hit.end <= len(text)
        assert SEPARATOR not in text[hit.start : hit.end]
    return {hit.kind for hit in hits}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x' or 1=1 --", "INJECTION_TAUTOLOGY"),
        ("x' OR 'b'='b", "INJECTION_TAUTOLOGY"),
        ('" or ""="', "INJECTION_TAUTOLOGY"),
        ("7 or 3=3", "INJECTION_TAUTOLOGY"),
        ("7or3=3", "INJECTION_TAUTOLOGY"),
        ("x') || ('a' like 'a", "INJECTION_TAUTOLOGY"),
        ("x' && 2>1#", "INJECTION_TAUTOLOGY"),
        ("1 or name = name", "INJECTION_TAUTOLOGY"),
        (") or true--", "INJECTION_TAUTOLOGY"),
        ("x' order by sleep(3)--", "INJECTION_TIME"),
        ("x' or email like '%", "INJECTION_CONDITION"),
        ("x' and substr(pw,1,1)='a", "INJECTION_CONDITION"),
        ("9 union select name, pw from users", "INJECTION_UNION"),
        ("x') UNION/**/ALL/**/SELECT NULL,NULL--", "INJECTION_UNION"),
        ("-1 /*!50000union*/ select 1,2", "INJECTION_UNION"),
        ("x'; drop table users; --", "INJECTION_STACKED"),
        ("4; delete from users", "INJECTION_STACKED"),
        ("admin'--", "INJECTION_COMMENT"),
        ("admin' #", "INJECTION_COMMENT"),
        ("x' and sleep(9)='", "INJECTION_TIME"),
        ("1; waitfor delay '0:0:9'--", "INJECTION_TIME"),
        ("1) or pg_sleep(4)--", "INJECTION_TIME"),
        ("1 and extractvalue(1,concat(0x7e,version()))", "INJECTION_ERROR"),
        ("1 and exists(select * from information_schema.tables)", "INJECTION_SCHEMA"),
        ("'; exec master..xp_cmdshell 'dir'", "INJECTION_SYSTEM"),
        ("x' into outfile '/var/www/x.php", "INJECTION_SYSTEM"),
        ("1 and (select count(*) from users) > 1", "INJECTION_SUBQUERY"),
        ("x' order by 7--", "INJECTION_ORDER"),
        ("x' having 1=1--", "INJECTION_HAVING"),
        ("x'||(select pw from users)||'", "INJECTION_CONCAT"),
        ("1 and case when 1=1 then 1 else 0 end", "INJECTION_CASE"),
        ("1 and (se/**/lect pw from users) = 3", "INJECTION_OBFUSCATED"),
    ],
)
def test_fragments_that_change_a_statement_are_found(text: str, kind: str) -> None:
    assert kind in kinds(text)
    assert kind in kinds(f"id{SEPARATOR}{text}{SEPARATOR}other{SEPARATOR}fine")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Select the best option from the list of following colours, and tell me why.",
        "Select a file from the list",
        "Update your profile, then set a new password.",
        "Create a table with the results of 2023 and 2024",
        "Delete from cart",
        "Drop the database of old customers?",
        "Restore database from a backup file",
        "Grant access to users",
        "The European Union selected members from each state",
        "I don't know, either it's 5' or 6' tall",
        '"foo" and "bar"',
        "7 or 8 in 10 people",
        "if 2+2=4 and 3+3=6 then what is 4+4?",
        'a "quoted" or "other" word -- and more',
        "O'Reilly",
        "if (x == 'a' && y == 'b') { sleep(5); }",
        "fetch('https://example.org/c?'+btoa('user=1'))",
        "src/**/*.ts",
        "project = 'ABC' and status = 'Done' order by created",
        '7" #2 circular needle',
        "+49(0)7478 36503",
    ],
)
def test_what_people_and_programs_write_is_no_sql(text: str) -> None:
    assert kinds(text) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a, b FROM t WHERE a = 1", {"STATEMENT_SELECT"}),
        ("select * from users where name = 'x' or 1=1", {"STATEMENT_SELECT"}),
        ("(SELECT 1) UNION (SELECT 2)", {"STATEMENT_SELECT"}),
        ("-- all of them\nSELECT * FROM t", {"STATEMENT_SELECT"}),
        ("WITH a AS (SELECT 1 AS c) SELECT * FROM a", {"STATEMENT_SELECT"}),
        (
            "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
            {"STATEMENT_SELECT", "STATEMENT_DELETE", "DESTRUCTIVE"},
        ),
        ("SELECT * INTO copied FROM t", {"STATEMENT_SELECT", "STATEMENT_CREATE"}),
        ("INSERT INTO t (a) VALUES (1)", {"STATEMENT_INSERT"}),
        ("UPDATE t SET a = 1 WHERE b = 2", {"STATEMENT_UPDATE"}),
        ("UPDATE t SET a = 1", {"STATEMENT_UPDATE", "DESTRUCTIVE"}),
        ("DELETE FROM t WHERE id = 1", {"STATEMENT_DELETE"}),
        ("DELETE FROM t WHERE 1 = 1", {"STATEMENT_DELETE", "DESTRUCTIVE"}),
        ("drop table users;", {"STATEMENT_DROP", "DESTRUCTIVE"}),
        ("TRUNCATE TABLE users", {"STATEMENT_TRUNCATE", "DESTRUCTIVE"}),
        ("ALTER TABLE t ADD COLUMN c INT", {"STATEMENT_ALTER"}),
        ("CREATE TABLE t (id INT PRIMARY KEY)", {"STATEMENT_CREATE"}),
        ("GRANT ALL ON t TO bob", {"STATEMENT_GRANT"}),
        ("EXEC dbo.remove_all @x = 1", {"STATEMENT_EXEC"}),
        ("EXEC xp_cmdshell 'dir'", {"STATEMENT_EXEC", "DANGEROUS"}),
        ("SELECT pg_sleep(10)", {"STATEMENT_SELECT", "DANGEROUS"}),
        ("EXPLAIN ANALYZE DELETE FROM t WHERE a = 1", {"STATEMENT_EXPLAIN", "STATEMENT_DELETE"}),
        ("SELECT 1; DROP TABLE t", {"STATEMENT_SELECT", "STATEMENT_DROP", "STACKED", "DESTRUCTIVE"}),
        ("SELECT ';' AS a, 'it''s' AS b FROM t", {"STATEMENT_SELECT"}),
    ],
)
def test_whole_statements_are_named_and_are_no_injections(text: str, expected: set[str]) -> None:
    assert kinds(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'a\\'; DROP TABLE t; --' FROM x",
        "SELECT 1 # ; \n ; DROP TABLE t",
        "SELECT 1 /*! ; DROP TABLE t */",
        "SELECT 1 # ; DROP TABLE t",
        "SELECT 1 --1 ; DROP TABLE t",
    ],
)
def test_a_statement_that_some_database_would_run_is_not_hidden(text: str) -> None:
    assert "STATEMENT_DROP" in kinds(text)


def test_a_statement_with_an_open_literal_is_no_statement() -> None:
    assert not any(kind.startswith("STATEMENT") for kind in kinds("select * from t where a = 'x' or 'a'='a"))


def test_what_stands_far_into_a_long_text_is_found() -> None:
    far = "".join(("lorem ipsum " * WINDOW, "x' union select 1,2 from users--"))
    hit = DETECTOR.scan(far)[0]
    assert "union select" in far[hit.start : hit.end]


def test_more_than_is_read_is_reported() -> None:
    crowd = SEPARATOR.join(["'a' or b = 'c' is quoted"] * 3000)
    assert "INJECTION_CROWDED" in kinds(crowd)


def test_offsets_are_code_points() -> None:
    text = "naïve 東京' or 1=1 --"
    hit = next(hit for hit in DETECTOR.scan(text) if hit.kind == "INJECTION_TAUTOLOGY")
    assert text[hit.start : hit.end] == "' or 1=1"


def test_the_most_exact_globs_that_match_a_tool_say_what_it_may_have() -> None:
    options = SqlOptions(
        (("*", frozenset({"select"})), ("db_*", frozenset({"insert"})), ("db_admin", frozenset({"drop"})))
    )
    assert allowed_statements(options, "other") == {"select"}
    assert allowed_statements(options, None) == {"select"}
    assert allowed_statements(options, "db_read") == {"insert"}
    assert allowed_statements(options, "db_admin") == {"insert", "drop"}
    assert allowed_statements(SqlOptions(), "other") == frozenset()


@pytest.mark.parametrize(
    ("kind", "note", "allowed", "expected"),
    [
        ("STATEMENT_SELECT", "", {"select"}, True),
        ("STATEMENT_DROP", "", {"select"}, False),
        ("DESTRUCTIVE", "drop", {"drop"}, True),
        ("DESTRUCTIVE", "drop", {"select"}, False),
        ("DESTRUCTIVE", "delete without where", {"delete"}, False),
        ("DESTRUCTIVE", "delete without where", {"destructive"}, True),
        ("STACKED", "", {"select"}, False),
        ("STACKED", "", {"stacked"}, True),
        ("DANGEROUS", "call", {"dangerous"}, True),
        ("INJECTION_UNION", "", {"select", "injection_union"}, False),
    ],
)
def test_what_is_allowed_says_nothing(kind: str, note: str, allowed: set[str], expected: bool) -> None:
    assert permitted(kind, note, frozenset(allowed)) is expected


def test_hits_hold_nothing_of_the_text() -> None:
    for hit in DETECTOR.scan("secretword' or 1=1 --"):
        assert isinstance(hit, Hit)
        assert "secretword" not in hit.note
