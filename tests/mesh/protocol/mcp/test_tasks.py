from __future__ import annotations

from typing import Any

import pytest

from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.tasks import created_task, task_ids


@pytest.mark.parametrize(
    "method",
    [
        "tasks/get",
        "tasks/result",
        "tasks/cancel",
        "tasks/update",
        "notifications/tasks",
        "notifications/tasks/status",
    ],
)
def test_the_task_of_a_message_is_found(method: str) -> None:
    assert task_ids(method, {"taskId": "7"}) == ("7",)


def test_a_subscription_names_each_task() -> None:
    assert task_ids("subscriptions/listen", {"notifications": {"taskIds": ["7", "8"]}}) == ("7", "8")
    params: Any
    for params in (None, {}, {"notifications": {}}, {"notifications": None}):
        assert task_ids("subscriptions/listen", params) == ()


def test_other_methods_name_no_task() -> None:
    assert task_ids("tools/call", {"taskId": "7"}) == ()
    assert task_ids("tasks/list", None) == ()


@pytest.mark.parametrize("params", [None, [], {}, {"taskId": 7}, {"taskId": None}])
def test_a_task_without_an_id_is_refused(params: Any) -> None:
    with pytest.raises(McpRefused):
        task_ids("tasks/get", params)


@pytest.mark.parametrize("ids", ["7", [7], {}])
def test_subscribed_tasks_that_are_no_strings_are_refused(ids: Any) -> None:
    with pytest.raises(McpRefused):
        task_ids("subscriptions/listen", {"notifications": {"taskIds": ids}})


def test_a_created_task_is_told_in_both_shapes() -> None:
    assert created_task({"task": {"taskId": "7", "status": "working"}}) == "7"
    assert created_task({"resultType": "task", "taskId": "7", "status": "working"}) == "7"


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        {},
        {"content": []},
        {"resultType": "complete", "taskId": "7"},
        {"task": {"taskId": 7}},
        {"task": "7"},
    ],
)
def test_other_results_create_no_task(result: Any) -> None:
    assert created_task(result) is None
