"""What a client process tells, as the demo reads it."""

from __future__ import annotations

from cli.demo.visits import Outcome, Visit

TOLD = {
    "event": "visit",
    "number": 1,
    "version": "2026-07-28",
    "tools": ["read_note"],
    "prompts": [],
    "resources": [],
    "outcomes": [
        {"tool": "read_note", "text": "Hello."},
        {"tool": "delete_note", "error": "Unknown tool: delete_note", "code": -32602},
    ],
    "failed": None,
}


def test_a_whole_visit_is_read() -> None:
    visit = Visit.read(TOLD)
    assert visit.tools == ("read_note",)
    assert visit.outcome("read_note") == "Hello."
    assert visit.outcome("delete_note") == "error -32602: Unknown tool: delete_note"
    assert visit.failed is None


def test_a_visit_that_broke_off_has_what_it_got_to() -> None:
    visit = Visit.read({"event": "visit", "number": 1, "outcomes": [], "failed": "no route"})
    assert (visit.version, visit.tools, visit.outcomes) == ("", (), ())
    assert visit.outcome("read_note") == "never called: no route"


def test_an_empty_answer_is_an_answer() -> None:
    assert str(Outcome("read_note", text="")) == ""
