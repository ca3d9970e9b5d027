"""Which caller made a task, and by which tool.

A tools/call may be answered with a task, and its result fetched later by the task's id alone. So the id is bound
to the caller and the tool it came from: another caller does not get the result, and whoever may no longer call the
tool does not get it either. What is not known here (after a restart, or beyond the bound) is left to the server.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_TASKS = 4096
MOST_ID_CHARACTERS = 256


class Task(NamedTuple):
    """What is known of a task."""

    principal: str
    tool: str


class TaskMemory:
    """The tasks seen lately, by server (`Plan.server`) and task id; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[str, str], Task] = {}

    def remember(self, server: str, task_id: str, task: Task) -> None:
        """The first to be given an id is its owner; a server that gives it out again changes nothing."""
        if len(task_id) > MOST_ID_CHARACTERS:
            return
        if len(self._tasks) >= MOST_TASKS:
            del self._tasks[next(iter(self._tasks))]
        self._tasks.setdefault((server, task_id), task)

    def get(self, server: str, task_id: str) -> Task | None:
        return self._tasks.get((server, task_id))
