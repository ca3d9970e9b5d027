"""Background tasks: kept alive, named, and heard of when they fail."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from sidecar.tasks import spawn
from tests.support.fakes import settled


@pytest.fixture
async def told() -> list[dict[str, Any]]:
    """What the loop's exception handler is told."""
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: contexts.append(context))
    return contexts


async def test_a_task_runs_under_its_name_and_gives_its_result(told: list[dict[str, Any]]) -> None:
    async def work() -> int:
        return 7

    task = spawn(work(), name="work")
    assert (task.get_name(), await task, told) == ("work", 7, [])


async def test_a_task_that_nobody_holds_is_not_collected(told: list[dict[str, Any]]) -> None:
    done = asyncio.Event()

    async def work() -> None:
        # Nothing but the task itself refers to this future while it waits.
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: None)
        asyncio.get_running_loop().call_later(0.001, future.set_result, None)
        await future
        done.set()

    spawn(work(), name="work")
    await settled()
    gc.collect()
    await asyncio.wait_for(done.wait(), 5)
    assert told == []


async def test_a_failure_is_told_at_once_with_the_name(told: list[dict[str, Any]]) -> None:
    async def work() -> None:
        raise ValueError("broken")

    spawn(work(), name="work")
    await settled()
    (context,) = told
    assert "'work'" in context["message"]
    assert isinstance(context["exception"], ValueError)


async def test_a_cancelled_task_is_no_failure(told: list[dict[str, Any]]) -> None:
    task = spawn(asyncio.Event().wait(), name="work")
    await settled()
    task.cancel()
    await settled()
    assert (task.cancelled(), told) == (True, [])
