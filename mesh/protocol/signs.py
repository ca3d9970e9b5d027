"""By what a message can be known to belong to the same piece of work as another one.

Agents that forward nothing of a request still name it in what they send: they go on with its trace (`traceparent`
in the header, or in `params._meta` as MCP's 2026-07-28 has it), with its MCP session, with the context or the task
of an A2A conversation (0.3 and 1.0, over JSON-RPC or HTTP+JSON). These texts are found here; whose they are is
not asked here.

Only the members that the protocols give that meaning count, in both spellings of A2A's (servers on protobuf take
snake_case too), and only texts: whatever else stands there names nothing. What a list holds (ListTasks,
tasks/list) does not count either: seeing a task is not working on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from mesh.protocol.http1.heads import Headers, all_values
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.protocol.traceparent import trace_id

LONGEST: Final = 256
"""Characters of a session, context or task id; longer ones name nothing."""
MOST: Final = 64
"""Contexts and tasks that are read of one message (or batch), and traces."""
MOST_MESSAGES: Final = 1024
"""Of one batch that are read."""

_NAMES = ("contextId", "taskId", "context_id", "task_id")
_CONTEXT_NAMES = ("contextId", "context_id")
# Where params.id is a task. In 1.0 the id of Get- and DeleteTaskPushNotificationConfig is the configuration's.
_TASK_BY_ID = frozenset(
    {
        "tasks/get",
        "tasks/cancel",
        "tasks/resubscribe",
        "tasks/pushNotificationConfig/get",
        "tasks/pushNotificationConfig/list",
        "tasks/pushNotificationConfig/delete",
        "GetTask",
        "CancelTask",
        "SubscribeToTask",
    }
)
_UPDATES = ("message", "statusUpdate", "artifactUpdate", "status_update", "artifact_update")
# One of these stands in every text that holds a sign; the last one is how a letter of them could be escaped.
_MARKS = (b'"traceparent', b'"context', b'"task', b'Task"', b"\\u00")


class Signs(msgspec.Struct, frozen=True, gc=False):
    """What a message says about the work that it belongs to.

    `trace`: a trace id; `session`: an Mcp-Session-Id; `contexts`: A2A context ids and task ids, and ids of MCP's
    tasks. `other_traces`: where the header and the body, or the messages of a batch, name several. `more`: it says
    more than is read, so nobody can say to whom it belongs.
    """

    trace: str | None = None
    session: str | None = None
    contexts: tuple[str, ...] = ()
    other_traces: tuple[str, ...] = ()
    more: bool = False


NO_SIGNS: Final = Signs()


def signs_of(head_fields: Mapping[bytes, bytes], body: object | None = None) -> Signs:
    """The signs of a message with these header fields (names in lower case), and this body as it was parsed.

    `body`: one JSON-RPC message, a request or an answer, or a batch; or what A2A sends without JSON-RPC. Anything
    else holds no signs.
    """
    traceparent = head_fields.get(b"traceparent")
    trace = None if traceparent is None else trace_id(traceparent)
    session = head_fields.get(b"mcp-session-id")
    name = None if session is None else _session(session)
    found: dict[str, None] = {}
    traces: dict[str, None] = {}
    more = False
    if isinstance(body, dict):
        _message(body, found, traces)
    elif isinstance(body, list):
        more = _batch(body, found, traces)
    if not found and not traces and not more:
        return NO_SIGNS if trace is None and name is None else Signs(trace, name)
    if trace is not None:
        traces.pop(trace, None)
    elif traces:
        trace = next(iter(traces))
        del traces[trace]
    return Signs(trace, name, tuple(found)[:MOST], tuple(traces)[: MOST - 1], more)


def names_two_traces(headers: Headers, head_fields: Mapping[bytes, bytes]) -> bool:
    """Whether `traceparent` is repeated: some readers go on with the first, others with the last, or with none.

    A second Mcp-Session-Id is refused by the reader of heads.
    """
    return len(headers) != len(head_fields) and len(all_values(headers, b"traceparent")) > 1


def signs_of_raw(head_fields: Mapping[bytes, bytes], body: bytes) -> Signs:
    """The same for a body that nobody has parsed. One that is not strict JSON holds no signs.

    Costs a search for each of a few words where none of them is in the body.
    """
    if _may_hold(body):
        try:
            return signs_of(head_fields, parse(body).value)
        except JsonRefused:
            pass
    return signs_of(head_fields)


def _may_hold(body: bytes) -> bool:
    if body.lstrip(b" \t\r\n")[:1] not in (b"{", b"["):
        return False
    for mark in _MARKS:  # noqa: SIM110 - any() costs more than the searches
        if mark in body:
            return True
    return False


def _session(value: bytes) -> str | None:
    """Visible ASCII, as MCP has it (2025-03-26, Session Management)."""
    if not 0 < len(value) <= LONGEST or not value.isascii():
        return None
    text = value.decode()
    return text if text.isprintable() and " " not in text else None


def _batch(body: list[Any], found: dict[str, None], traces: dict[str, None]) -> bool:
    """Whether it says more than is read."""
    for message in body[:MOST_MESSAGES]:
        if isinstance(message, dict):
            _message(message, found, traces)
            if len(found) > MOST or len(traces) > MOST:
                return True
    return len(body) > MOST_MESSAGES


def _message(message: dict[str, Any], found: dict[str, None], traces: dict[str, None]) -> None:
    params = message.get("params")
    if isinstance(params, dict):
        _named(params, found)
        inner = params.get("message")
        if isinstance(inner, dict):
            _named(inner, found)
        method = message.get("method")
        if isinstance(method, str) and method in _TASK_BY_ID:
            _add(params.get("id"), found)
        meta = params.get("_meta")
        if isinstance(meta, dict):
            _trace(meta.get("traceparent"), traces)
    result = message.get("result")
    if isinstance(result, dict):
        _result(result, found)
    # Without JSON-RPC (A2A's HTTP+JSON binding) what is in its params or result is the body.
    _result(message, found)


def _result(result: dict[str, Any], found: dict[str, None]) -> None:
    """A task or message itself (0.3, GetTask), or what holds one of them (SendMessage and streams of 1.0)."""
    _named(result, found)
    if result.get("kind") == "task" or (
        "status" in result and any(name in result for name in _CONTEXT_NAMES)
    ):
        _add(result.get("id"), found)
    task = result.get("task")
    if isinstance(task, dict):
        _named(task, found)
        _add(task.get("id"), found)
    for name in _UPDATES:
        update = result.get(name)
        if isinstance(update, dict):
            _named(update, found)


def _named(members: dict[str, Any], found: dict[str, None]) -> None:
    for name in _NAMES:
        if name in members:
            _add(members[name], found)


def _add(value: object, found: dict[str, None]) -> None:
    if isinstance(value, str) and 0 < len(value) <= LONGEST:
        found[value] = None


def _trace(value: object, traces: dict[str, None]) -> None:
    if isinstance(value, str) and value.isascii() and len(value) <= LONGEST:
        trace = trace_id(value.encode())
        if trace is not None:
            traces[trace] = None
