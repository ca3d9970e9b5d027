"""Tasks are bound to who made them."""

from __future__ import annotations

import json

import pytest

from sidecar.proxy.task_memory import MOST_ID_CHARACTERS, MOST_TASKS, Task, TaskMemory
from tests.support.loopback import answering, call, json_answer, result, serving
from tests.support.meshed import GITHUB, SERVER_POLICY, TRIAGE, Published, new_mesh, server_side
from tests.support.peer import connect, request

OTHER = "spiffe://test.mesh/ns/agents/sa/other"
POLICY = SERVER_POLICY.replace(f'from: ["{TRIAGE}"]', f'from: ["{TRIAGE}", "{OTHER}"]')


def test_the_first_owner_of_a_task_stays_its_owner() -> None:
    memory = TaskMemory()
    memory.remember("b", "t", Task("one", "search"))
    memory.remember("b", "t", Task("two", "search"))
    assert memory.get("b", "t") == Task("one", "search")
    assert memory.get("c", "t") is None


def test_the_memory_stays_small_and_forgets_the_oldest() -> None:
    memory = TaskMemory()
    for number in range(MOST_TASKS + 10):
        memory.remember("b", str(number), Task("one", "search"))
    memory.remember("b", "x" * (MOST_ID_CHARACTERS + 1), Task("one", "search"))
    assert memory.get("b", "9") is None
    assert memory.get("b", "10") is not None
    assert memory.get("b", "x" * (MOST_ID_CHARACTERS + 1)) is None


def post(message: object) -> bytes:
    return request("POST", "/mcp", json.dumps(message).encode(), ("content-type", "application/json"))


@pytest.mark.parametrize(
    "created",
    [
        pytest.param({"task": {"taskId": "t1", "status": "working"}}, id="2025-11-25"),
        pytest.param({"resultType": "task", "taskId": "t1", "status": "working"}, id="the extension"),
    ],
)
async def test_a_task_of_one_peer_is_not_found_by_another(created: dict[str, object]) -> None:
    script, seen = answering(json_answer(result(created)))
    fetch = {"jsonrpc": "2.0", "id": 2, "method": "tasks/get", "params": {"taskId": "t1"}}
    mesh = new_mesh()
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=POLICY) as (_, port),
    ):
        maker, other = await connect(mesh, TRIAGE, port), await connect(mesh, OTHER, port)
        maker.transport.write(post(call("search")))
        await maker.until(b"t1")
        other.transport.write(post(fetch))
        refused = await other.until(b"}}")
        maker.received = b""
        maker.transport.write(post(fetch))
        await maker.until(b"t1")
        for peer in (maker, other):
            peer.transport.close()
    assert b'"message":"Task not found"' in refused
    assert len(seen) == 2
