"""What a client process tells, as the demo reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.demo.processes import Parts
from cli.demo.visits import Outcome, Sight, Visit, Visitor, Watched, Work

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


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that tells of calls as a working session does, until it is told that it is enough."""
    module = tmp_path / "works.py"
    module.write_text(
        "import json, sys\n"
        "def say(event, **told): print(json.dumps({'event': event, 'number': 1, **told}), flush=True)\n"
        "calls = int(json.loads(sys.stdin.readline())['url'])\n"
        "for made in range(5, calls + 1, 5): say('working', calls=made)\n"
        "if calls: sys.stdin.readline()\n"
        "say('work', version='2025-11-25', answers={'Hello.': calls}, failed=None if calls else 'no route',"
        " calls=calls)\n"
        "sys.stdin.readline()\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "works"


async def test_a_session_is_waited_for_until_it_has_made_more_calls(worker: str, tmp_path: Path) -> None:
    async with Parts(tmp_path / "logs") as parts:
        visitor = Visitor(await parts.start("client", worker))
        working = await visitor.work({}, "20", "legacy", ("read_note", {}))
        assert await working.more(10) >= 10
        work = await working.end()
    assert work == Work("2025-11-25", {"Hello.": 20}, None)
    assert work.calls == 20


async def test_a_session_that_has_broken_off_is_not_waited_for(worker: str, tmp_path: Path) -> None:
    async with Parts(tmp_path / "logs") as parts:
        visitor = Visitor(await parts.start("client", worker))
        working = await visitor.work({}, "0", "legacy", ("read_note", {}))
        assert await working.more(10) == 0
        assert (await working.end()).failed == "no route"


def test_an_empty_answer_is_an_answer() -> None:
    assert str(Outcome("read_note", text="")) == ""


@pytest.fixture
def watcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that tells of rounds as a session that watches does; in the third a tool goes."""
    module = tmp_path / "watches.py"
    module.write_text(
        "import json, sys\n"
        "def say(event, **told): print(json.dumps({'event': event, 'number': 1, **told}), flush=True)\n"
        "rounds = int(json.loads(sys.stdin.readline())['url'])\n"
        "for made in range(1, rounds + 1):\n"
        "    say('watching', rounds=made, tools=['a', 'b'][: 2 if made < 3 else 1],"
        " outcome={'tool': 'b', 'text': 'Hello.'})\n"
        "if rounds: sys.stdin.readline()\n"
        "say('watch', version='2025-11-25', rounds=rounds, failed=None if rounds else 'no route')\n"
        "sys.stdin.readline()\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "watches"


async def test_a_session_that_watches_is_waited_for_until_it_sees_something(
    watcher: str, tmp_path: Path
) -> None:
    async with Parts(tmp_path / "logs") as parts:
        visitor = Visitor(await parts.start("client", watcher))
        watching = await visitor.watch({}, "5", "legacy", ("b", {}))
        less = Sight(("a",), "Hello.")
        assert await watching.until(less, 10.0) == less
        assert str(less) == "a; Hello."
        assert await watching.until(Sight(("c",), "Hello."), 0.01) == less
        watched = await watching.end()
        assert watching.sights == [Sight(("a", "b"), "Hello.")] * 2 + [less] * 3
    assert watched == Watched("2025-11-25", 5, None)


async def test_a_session_that_watches_no_more_is_not_waited_for(watcher: str, tmp_path: Path) -> None:
    async with Parts(tmp_path / "logs") as parts:
        visitor = Visitor(await parts.start("client", watcher))
        watching = await visitor.watch({}, "0", "legacy", ("b", {}))
        assert await watching.until(Sight((), ""), 30.0) is None
        assert await watching.more(3) == []
        assert (await watching.end()).failed == "no route"
