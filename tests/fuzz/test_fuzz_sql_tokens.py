"""The reader of SQL under any text: it never raises, stays within the text, and takes linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.guardrails import SqlOptions
from sidecar.guardrails.hit import SEPARATOR
from sidecar.guardrails.sql import KINDS, SqlDetector
from sidecar.guardrails.sql.statements import read
from sidecar.guardrails.sql.tokens import tokenize
from tests.support.fuzzing import examples

PIECES = [
    *(
        "select ",
        "union ",
        "from t ",
        "where ",
        "or ",
        "and ",
        "1",
        "1=1",
        "=",
        "'",
        '"',
        "`",
        "\\",
        "(",
        ")",
        ",",
    ),
    *(
        ";",
        "--",
        "#",
        "/*",
        "*/",
        "/*!50000",
        "/**/",
        "0x41",
        "1e",
        ".",
        "@@x",
        "sleep(",
        "drop table ",
        "update ",
    ),
    *(
        " set a=",
        "delete from ",
        "exec ",
        "xp_cmdshell ",
        "%20",
        "%23",
        "\n",
        "\x00",
        "\xa0",
        "é",
        "東",
        "\ud800",
    ),
    *(
        "insert into ",
        "values ",
        "with a as (",
        "explain ",
        "order by 1",
        "[a]",
        "n'",
        "_utf8'",
        "||",
        "&&",
        SEPARATOR,
    ),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=40).map("".join)
DETECTOR = SqlDetector(SqlOptions())


@settings(max_examples=examples(300), deadline=None)
@given(TEXTS, st.integers(0, 10), st.booleans(), st.booleans())
def test_tokens_follow_each_other_within_the_text(
    text: str, start: int, inside: bool, backslash: bool
) -> None:
    start = min(start, len(text))
    tokens = tokenize(text, start, inside=inside and start < len(text), backslash=backslash)
    assert len(tokens.types) == len(tokens.starts) == len(tokens.ends) == len(tokens.words)
    place = start
    for begin, end in zip(tokens.starts, tokens.ends, strict=True):
        assert place <= begin < end <= len(text)
        place = end
    assert all(letter.isalpha() for letter in tokens.types)


@settings(max_examples=examples(300), deadline=None)
@given(TEXTS)
def test_hits_are_within_one_text_and_of_known_kinds(text: str) -> None:
    read(text)
    for hit in DETECTOR.scan(text):
        assert hit.kind in KINDS
        assert 0 <= hit.start < hit.end <= len(text)
        assert SEPARATOR not in text[hit.start : hit.end]


@pytest.mark.parametrize(
    "piece", [*PIECES, "/*/", "''\\", "[a ", "$a$ ", "`'\"", "x' or y like ", "' or 1=1\x1f"]
)
def test_reading_takes_time_in_proportion(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    before = time.process_time()
    tokenize(text)
    DETECTOR.scan("1 or 1=1 " + text)
    assert time.process_time() - before < 3
