from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.output import plain, terminal, write
from cli.output.blocks import STYLES, Heading, Line, Row, Table

BLOCKS = (
    Heading("certificates"),
    Table(
        ("entry", "asked", "why"),
        (Row(("a.b.c", "yes", "every selector matches"), ("and more",)), Row(("d", "no", "x"))),
    ),
    Heading("summary"),
    Line("one sentence", 2, "failed"),
)


def test_plain_text_has_columns_and_nothing_else() -> None:
    assert plain.render(BLOCKS) == (
        "certificates\n"
        "  ENTRY  ASKED  WHY\n"
        "  a.b.c  yes    every selector matches\n"
        "                and more\n"
        "  d      no     x\n"
        "\n"
        "summary\n"
        "  one sentence\n"
    )


def test_a_table_without_rows_or_titles_is_nothing() -> None:
    assert plain.render([Table(("", ""))]) == ""


words = st.text(alphabet="ab c-", max_size=120)


@given(st.lists(st.tuples(st.text(alphabet="ab", max_size=12), words, words), max_size=4))
def test_tables_of_words_that_fit_are_80_columns_at_most(rows) -> None:
    table = Table(("a", "b", "c"), tuple(Row(row) for row in rows))
    text = plain.render([table])
    assert all(
        len(line) <= 80 for line in text.splitlines() if not any(len(word) > 20 for word in line.split())
    )


def test_long_words_are_kept_whole_in_sentences() -> None:
    link = "docs/" + "x" * 100
    assert link in plain.render([Line(link, 4)])


def test_lines_keep_the_breaks_that_they_have() -> None:
    assert plain.render([Line("a\nb", 2)]) == "  a\n  b\n"


def shown(width: int = 80) -> str:
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, color_system="standard", highlight=False
    )
    terminal.render(BLOCKS, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_terminal_gets_colour() -> None:
    text = shown()
    assert "\x1b[1mcertificates" in text
    assert "\x1b[32myes" in text
    assert "every selector matches" in text
    assert "and more" in text


def test_what_looks_like_markup_is_text() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    terminal.render([Line("tools[0] [bold]x"), Table(("", ""), (Row(("[red]", "[/]")),))], console)
    assert "tools[0] [bold]x" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "[red]" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("terminal_there", "environment", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": ""}, True),
    ],
)
def test_colour_only_where_it_is_wanted(monkeypatch, terminal_there, environment, expected) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal_there)
    assert write.colourful() is expected


def test_json_is_asked_for_by_name(capsys, monkeypatch) -> None:
    write.write(BLOCKS, {"a": "é"}, "json")
    assert json.loads(capsys.readouterr().out) == {"a": "é"}
    write.write(BLOCKS, {}, "text")
    assert capsys.readouterr().out.startswith("certificates\n")
    monkeypatch.setattr(write, "colourful", lambda: True)
    write.write(BLOCKS, {}, "text")
    assert "certificates" in capsys.readouterr().out


def test_every_style_is_one_that_rich_knows() -> None:
    from rich.style import Style

    assert all(Style.parse(style) for style in STYLES.values())
