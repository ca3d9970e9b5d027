"""Processes of the demo: what they say, how they fail, how they end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from cli.demo import processes
from cli.demo.processes import PartFailed, Parts, environment, parse_record, together
from sidecar.tasks import spawn


def ready(record: dict[str, object]) -> bool:
    return record.get("event") == "ready"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that says that it is ready, and then each line that it reads."""
    module = tmp_path / "echo_lines.py"
    module.write_text(
        "import json, os, sys\n"
        "print(json.dumps({'event': 'ready', 'pid': os.getpid(), 'proxy': os.environ.get('HTTP_PROXY')}))\n"
        "for line in sys.stdin: print(line, end=''); print('not json', file=sys.stderr)\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "echo_lines"


async def test_a_part_is_told_something_and_answers(echo: str, tmp_path: Path) -> None:
    async with Parts(tmp_path / "logs") as parts:
        part = await parts.start("echo", echo)
        await part.find(ready)
        await part.tell({"number": 1})
        await part.tell({"number": 1, "again": True})
        assert await part.find(lambda record: record.get("number") == 1) == {"number": 1}
        assert (await part.find(lambda record: record.get("number") == 1, number=2))["again"]
    assert '"number": 1' in (tmp_path / "logs" / "echo.log").read_text(encoding="utf-8")


async def test_a_signal_reaches_a_part_as_long_as_it_runs(tmp_path: Path) -> None:
    async with Parts(tmp_path) as parts:
        part = await parts.start("listing", "http.server", "0")
        part.signal(signal.SIGTERM)
        with pytest.raises(PartFailed, match=f"ended with exit code -{signal.SIGTERM}"):
            await part.find(ready)
        part.signal(signal.SIGTERM)


async def test_every_part_has_ended_when_the_context_has(echo: str, tmp_path: Path) -> None:
    async with Parts(tmp_path) as parts:
        found = [await (await parts.start(name, echo)).find(ready) for name in ("a", "b")]
        assert all(alive(record["pid"]) for record in found)
    assert not any(alive(record["pid"]) for record in found)


async def test_every_part_has_ended_also_when_the_demo_is_cancelled(echo: str, tmp_path: Path) -> None:
    pids: list[int] = []

    async def demo() -> None:
        async with Parts(tmp_path) as parts:
            pids.append((await (await parts.start("a", echo)).find(ready))["pid"])
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    running = spawn(demo(), name="demo")
    await started.wait()
    running.cancel()
    await asyncio.wait((running,))
    assert running.cancelled()
    assert not alive(pids[0])


async def test_a_part_gets_the_variables_that_it_is_given(
    echo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://corporate:3128")
    async with Parts(tmp_path) as parts:
        without = await parts.start("without", echo)
        proxied = await parts.start("with", echo, variables={"HTTP_PROXY": "http://127.0.0.1:15002"})
        assert (await without.find(ready))["proxy"] is None
        assert (await proxied.find(ready))["proxy"] == "http://127.0.0.1:15002"


async def test_a_part_that_ends_too_early_shows_what_it_wrote(tmp_path: Path) -> None:
    async with Parts(tmp_path) as parts:
        part = await parts.start("listing", "json.tool", "--no-such-option")
        with pytest.raises(PartFailed, match="listing ended with exit code 2") as failed:
            await part.find(ready)
    assert "--no-such-option" in failed.value.output


async def test_a_part_that_stays_silent_is_not_waited_for_for_ever(echo: str, tmp_path: Path) -> None:
    async with Parts(tmp_path) as parts:
        part = await parts.start("echo", echo)
        with pytest.raises(PartFailed, match="did not say what was awaited"):
            await part.find(lambda record: False, within=0.01)


async def test_the_first_failure_comes_out_as_it_is_and_ends_the_others() -> None:
    ended: list[str] = []

    async def fail() -> None:
        raise PartFailed("one", "failed", "")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("the other")

    async def both() -> None:
        async with together() as group:
            group.create_task(wait())
            group.create_task(fail())

    with pytest.raises(PartFailed, match="one failed"):
        await both()
    assert ended == ["the other"]


async def test_a_part_that_reads_no_more_cannot_be_told_anything(tmp_path: Path) -> None:
    async with Parts(tmp_path) as parts:
        part = await parts.start("listing", "json.tool", "--no-such-option")
        with pytest.raises(PartFailed, match="ended"):
            await part.find(ready)
        with pytest.raises(PartFailed, match="does not listen any more"):
            await part.tell({"number": 1})


async def test_a_part_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "stubborn_part.py"
    module.write_text(
        "import json, os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(json.dumps({'event': 'ready', 'pid': os.getpid()}))\n"
        "time.sleep(60)\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(processes, "END_SECONDS", 0.05)
    async with Parts(tmp_path) as parts:
        found = await (await parts.start("stubborn", "stubborn_part")).find(ready)
    assert not alive(found["pid"])


def test_proxies_and_sidecar_settings_of_the_user_are_not_inherited() -> None:
    inherited = {"HTTP_PROXY": "a", "no_proxy": "b", "OUTRIDER_CONFIG": "c", "PATH": "/bin"}
    assert environment(inherited, {"X": "1"}) == {"PATH": "/bin", "PYTHONUNBUFFERED": "1", "X": "1"}


@pytest.mark.parametrize(
    ("line", "record"),
    [('{"a": 1}', {"a": 1}), ("{broken", None), ("[1]", None), ("INFO started", None), ("", None)],
)
def test_records_are_json_objects(line: str, record: dict[str, int] | None) -> None:
    assert parse_record(line) == record
