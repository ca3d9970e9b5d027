"""Named, referenced background tasks: the one place that creates them.

A bare `asyncio.create_task` may be garbage collected while it runs, and loses its exception when nobody
awaits it (Python documentation, asyncio.create_task). `spawn` keeps a reference until the task ends and
hands a failure to the loop's exception handler at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_running: set[asyncio.Task[Any]] = set()


T = TypeVar("T")


def spawn(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Run `coroutine` as a task called `name` on the running loop."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    failure = task.exception()
    if failure is not None:
        task.get_loop().call_exception_handler(
            {"message": f"task {task.get_name()!r} failed", "exception": failure, "task": task}
        )
