"""How the demo looks in places that are no colour terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.demo.findings import Finding
from cli.demo.screen import WIDTH, Screen

LONG = "peer=spiffe://demo.outrider/ns/agents/sa/triage " * 5
GOOD = Finding("It holds", True, "a", "a", LONG)
BAD = Finding("It does not", False, LONG, "something [bold]else[/bold]")


def written(encoding: str = "utf-8", **options: object) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    screen = Screen(Console(file=file, highlight=False, **options))  # type: ignore[arg-type]
    screen.title("Title", "subtitle")
    screen.heading("First")
    screen.started("a part")
    with screen.progress("waiting"):
        screen.findings([GOOD, BAD])
    screen.diff([("+", "x" * 300), ("-", "old"), (" ", "same")])
    screen.table(["", "yes"], [["a", "yes"], ["[b]", ""]])
    screen.heading("Second")
    screen.failure("a part failed", "Traceback\n  line")
    screen.summary("1 of 2", good=False)
    screen.next_steps([("command", "what it is for")])
    file.flush()
    return raw.getvalue().decode(encoding)


def test_a_pipe_gets_no_control_sequences_and_at_most_100_columns() -> None:
    text = written()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_headings_are_numbered() -> None:
    assert "\n1 First\n" in written()
    assert "\n2 Second\n" in written()


def test_a_finding_that_holds_shows_its_evidence_and_no_expectation() -> None:
    assert "✓ It holds\n    peer=spiffe" in written()


def test_a_finding_that_does_not_hold_shows_both_and_takes_markup_as_text() -> None:
    text = written()
    assert "✗ It does not\n    expected: peer=" in text
    assert "seen:     something [bold]else[/bold]" in text


def test_an_output_without_unicode_gets_words() -> None:
    text = written("ascii")
    assert "ok It holds" in text
    assert "FAILED It does not" in text


def test_no_color_leaves_out_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in written(force_terminal=True, width=100)


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" in written(force_terminal=True, width=100)


def test_a_narrow_terminal_is_respected() -> None:
    assert Screen(Console(file=io.StringIO(), force_terminal=True, width=60)).width == 60
