"""Tasks: answers that come later, under another method and id.

A tools/call may be answered with a handle, and the result fetched with tasks/result (2025-11-25) or found
inside tasks/get and notifications/tasks (the extension). Whoever treats results by tool must connect the two
by task id.
"""

from __future__ import annotations

from typing import Any

from mesh.protocol.mcp.errors import malformed
from mesh.protocol.mcp.methods import METHODS

_PATHS = {row.name: row.tasks for row in METHODS.values() if row.tasks is not None}


def task_ids(method: str, params: dict[str, Any] | list[Any] | None) -> tuple[str, ...]:
    """The ids of the tasks that a request or notification of `method` names.

    Raises McpRefused (MCP_MALFORMED) where an id is missing or no string. notifications of
    subscriptions/listen may be absent.
    """
    path = _PATHS.get(method)
    if path is None:
        return ()
    if len(path) == 1:
        task_id = params.get(path[0]) if type(params) is dict else None
        if type(task_id) is not str:
            raise malformed(f"params.{path[0]} of {method} is not a string")
        return (task_id,)
    holder = params.get(path[0]) if type(params) is dict else None
    ids = holder.get(path[1]) if type(holder) is dict else None
    if ids is None:
        return ()
    if type(ids) is not list or any(type(task_id) is not str for task_id in ids):
        raise malformed(f"params.{'.'.join(path)} of {method} is not a list of strings")
    return tuple(ids)


def created_task(result: Any) -> str | None:
    """The id of the task that `result` hands out in place of a result, or None.

    In 2025-11-25 it stands in result.task; in the extension the result itself is the task.
    """
    match result:
        case {"resultType": "task", "taskId": str(task_id)} | {"task": {"taskId": str(task_id)}}:
            return task_id
    return None
