"""Log lines: what they hold, and that a sink that blocks holds up nothing."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator

import pytest

from sidecar.telemetry.log import MAX_BUFFERED_BYTES, MAX_TEXT, Log


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        os.close(fd)


def read_lines(fd: int) -> list[dict[str, object]]:
    os.set_blocking(fd, False)
    return [json.loads(line) for line in os.read(fd, 1 << 20).splitlines()]


async def test_a_line_is_json_with_the_time_in_utc(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1], now=lambda: 1_790_000_000.25)
    log.write("decision", allowed=True, name="x", peer=None)
    log.close()
    assert read_lines(pipe[0]) == [
        {"time": "2026-09-21T14:13:20.250Z", "event": "decision", "allowed": True, "name": "x"}
    ]


async def test_text_that_the_other_side_chose_is_cut_and_cannot_forge_a_line(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1])
    log.write("x", name='a"\n{"event":"forged"}' + "b" * 10_000)
    log.close()
    (line,) = read_lines(pipe[0])
    assert line["event"] == "x"
    assert len(str(line["name"])) == MAX_TEXT


async def test_lines_are_written_while_the_process_runs(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1])
    log.write("early")
    loop = asyncio.get_running_loop()
    data = await asyncio.wait_for(loop.run_in_executor(None, os.read, pipe[0], 1000), 5)
    assert json.loads(data)["event"] == "early"
    log.close()


async def test_a_full_pipe_blocks_nobody_and_what_is_lost_is_counted(pipe: tuple[int, int]) -> None:
    lost = 0

    def dropped(lines: int) -> None:
        nonlocal lost
        lost += lines

    log = Log(pipe[1], dropped=dropped)
    longest, before = 0.0, asyncio.get_running_loop().time()
    for number in range(40):
        for _ in range(200):
            log.write("decision", name="x" * 200, number=number)
        await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        longest, before = max(longest, now - before), now
    assert lost > 0
    assert longest < 5
    assert MAX_BUFFERED_BYTES < 40 * 200 * 250
    # The reader comes back: the writer thread gets rid of what it holds, so that the test leaves no thread.
    os.set_blocking(pipe[0], False)
    closing = asyncio.get_running_loop().run_in_executor(None, log.close)
    while not closing.done():
        try:
            os.read(pipe[0], 1 << 20)
        except BlockingIOError:
            await asyncio.sleep(0.001)
    await closing


async def test_a_sink_that_is_gone_costs_lines_and_nothing_else() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    lost = 0

    def dropped(lines: int) -> None:
        nonlocal lost
        lost += lines

    log = Log(writer, dropped=dropped)
    async with asyncio.timeout(60):
        while not lost:
            log.write("x")
            await asyncio.sleep(0.01)
    log.close()
    os.close(writer)
