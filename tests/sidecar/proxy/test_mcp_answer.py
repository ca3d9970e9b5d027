"""MCP answers: lists filtered, questions of servers decided, everything unreadable held back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.policy.documents import Backend
from mesh.protocol.sse import SseEvent, SseReader
from sidecar.limits import Limits
from sidecar.proxy.answers import AnswerRefused
from sidecar.proxy.mcp_answer import McpAnswers
from sidecar.proxy.plan import Plan, Routed, Treatment
from sidecar.proxy.pool import Destination
from sidecar.proxy.ticker import Ticker
from sidecar.telemetry import names
from tests.support.fakes import AGENT, Clock, policy_of, recorder, request_head
from tests.support.loopback import POLICY, TOOLS, result

GRANT = '    tools: {allow: [search, "list_*"], deny: ["*delete*"]}\n'
CLOSED = POLICY.replace(GRANT, GRANT + "    serverRequests: []\n")
SOME = POLICY.replace(GRANT, GRANT + "    serverRequests: [elicitation]\n")
ALL = POLICY.replace(GRANT, '    tools: {allow: ["*"]}\n')


class Errands:
    """A pool that keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Destination, Any]] = []
        self.clock = Clock()
        self.ticker = Ticker(1.0, self.clock)

    def acquire(self, destination: Destination, waiter: Any) -> None:
        self.asked.append((destination, waiter))

    def sent(self) -> list[bytes]:
        """What each errand writes once it has a connection."""
        wires = []
        for _, waiter in self.asked:
            wire = Wire()
            waiter.upstream_ready(wire)
            wires.append(bytes(wire.written))
        return wires


class Wire:
    """A connection that keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()

    def serve(self, sink: Any, method: str) -> None:
        assert method == "POST"

    def write(self, data: bytes) -> None:
        self.written += data


class Answered:
    """The stage with a policy, for the plan of one request."""

    def __init__(self, policy: str = POLICY, *pending: int | str, backend: str | None = "github") -> None:
        compiled = policy_of(policy)
        target: Backend | None = next((b for b in compiled.backends if b.name == backend), None)
        self.recorder, self.lines = recorder()
        self.errands = Errands()
        self.answers = McpAnswers(compiled, Limits(), self.recorder, self.errands)  # type: ignore[arg-type]
        routed = Routed(
            "outbound",
            b"/mcp",
            "/mcp",
            b"github.tools.svc:8080",
            Destination("github.tools.svc", 8080),
            target,
            "github",
            Treatment.MCP,
        )
        head = request_head(
            "GET http://github.tools.svc:8080/mcp",
            host="github.tools.svc:8080",
            authorization="Bearer t",
            mcp_session_id="s",
            cookie="c=1",
            accept="text/event-stream",
        )
        self.plan = Plan(head, AGENT, routed, Treatment.MCP, target, pending)

    def document(self, value: Any, status: int = 200) -> Any:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return json.loads(self.answers.document(self.plan, body, status))

    def event(self, value: Any, event: str | None = None) -> str | None:
        data = value if isinstance(value, str) else json.dumps(value)
        return self.answers.event(self.plan, sse(data, event))


def sse(data: str, event: str | None = None) -> SseEvent:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    kind = f"event: {event}\n" if event else ""
    return SseReader(2**20).feed(f"{kind}{lines}\n".encode())[0]


def listed(value: dict[str, Any], kind: str = "tools", member: str = "name") -> list[str]:
    return [item[member] for item in value["result"][kind]]


@pytest.mark.parametrize(
    ("kind", "member", "sent", "left"),
    [
        ("tools", "name", ["search", "drop", "list_all", "list_delete"], ["search", "list_all"]),
        ("prompts", "name", ["greet", "secret"], ["greet"]),
        ("resources", "uri", ["repo://acme/a", "repo://other/a"], ["repo://acme/a"]),
        ("resources", "uri", ["repo://acme/../other/a"], []),
        ("tools", "name", [], []),
    ],
)
def test_lists_hold_what_may_be_used(kind: str, member: str, sent: list[str], left: list[str]) -> None:
    value = result({kind: [{member: name} for name in sent], "nextCursor": "n", "other": 1})
    answered = Answered().document(value)
    assert listed(answered, kind, member) == left
    assert (answered["result"]["nextCursor"], answered["result"]["other"]) == ("n", 1)


def test_a_list_of_which_all_is_granted_passes_as_it_is() -> None:
    value = result({"tools": TOOLS, "ttlMs": 10**9, "cacheScope": "public"})
    assert Answered(ALL).document(value) == value


def test_a_filtered_list_may_not_be_shared_or_kept_for_long() -> None:
    value = result({"tools": TOOLS, "ttlMs": 10**9, "cacheScope": "public"})
    answered = Answered().document(value)["result"]
    assert (answered["cacheScope"], answered["ttlMs"]) == ("private", 60_000)


def test_a_list_is_filtered_whatever_was_asked_and_whatever_the_id() -> None:
    for ident in (1, "1", "no such request"):
        assert listed(Answered().document(result({"tools": TOOLS}, ident))) == ["search", "list_all"]


def test_hidden_items_are_counted_by_kind() -> None:
    answered = Answered()
    answered.document(result({"tools": TOOLS, "prompts": [{"name": "x"}]}))
    metrics = answered.recorder.metrics
    assert metrics.value(names.HIDDEN_ITEMS, ("outbound", "github", "tool")) == 2
    assert metrics.value(names.HIDDEN_ITEMS, ("outbound", "github", "prompt")) == 1


@pytest.mark.parametrize(
    "value",
    [
        result({"content": [{"type": "text", "text": "x"}]}),
        result(None),
        result([1]),
        result("x"),
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no"}},
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}},
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        [result({}), result({}, 2)],
        result({"resultType": "task", "taskId": "t", "status": "working"}),
        result({"taskId": "t", "status": "completed", "result": {"content": []}}),
    ],
)
def test_what_lists_and_asks_nothing_passes_unchanged(value: Any) -> None:
    assert Answered(CLOSED).document(value) == value


def test_a_batch_of_answers_is_filtered_each_by_itself() -> None:
    first, second = Answered().document([result({"tools": TOOLS}), result({"content": []}, 2)])
    assert listed(first) == ["search", "list_all"]
    assert second == result({"content": []}, 2)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "json_malformed"),
        (b"\xff", "json_not_utf8"),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"result":{}}', "json_duplicate_key"),
        (b'{"result":{"tools":[]}}', "jsonrpc_invalid"),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"method":"x"}', "jsonrpc_hybrid"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"tools":{}}}', "mcp_malformed"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"Tools":[{"name":"drop"}]}}', "mcp_malformed"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"inputRequests":[]}}', "mcp_malformed"),
        (b"[]", "batch_too_large"),
    ],
)
def test_a_document_that_cannot_be_read_in_one_way_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(AnswerRefused) as refused:
        Answered().answers.document(Answered().plan, body, 200)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("status", "value", "passes"),
    [
        (404, {"message": "not found"}, True),
        (500, "oops", True),
        (400, {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "m"}}, True),
        (200, {"message": "not found"}, False),
        (400, {"result": {"tools": TOOLS}}, False),
        (400, [{"result": {}}], False),
    ],
)
def test_an_error_body_may_be_any_json_that_is_no_result(status: int, value: Any, passes: bool) -> None:
    answered = Answered()
    if passes:
        assert answered.document(value, status) == value
        return
    with pytest.raises(AnswerRefused):
        answered.document(value, status)


def test_an_empty_document_stays_empty() -> None:
    assert Answered().answers.document(Answered().plan, b"", 202) == b""


def test_a_document_leaves_as_it_was_parsed() -> None:
    answered = Answered()
    raw = b' {"jsonrpc": "2.0", "id": 1, "result": {"a": "\\u0061"}} '
    assert (
        answered.answers.document(answered.plan, raw, 200) == b'{"jsonrpc":"2.0","id":1,"result":{"a":"a"}}'
    )


def test_a_destination_without_a_policy_of_its_own_is_not_filtered() -> None:
    value = result({"tools": TOOLS})
    assert Answered(backend=None).document(value) == value


@pytest.mark.parametrize(
    ("policy", "method", "passes"),
    [
        (POLICY, "sampling/createMessage", True),
        (CLOSED, "sampling/createMessage", False),
        (CLOSED, "elicitation/create", False),
        (CLOSED, "roots/list", False),
        (CLOSED, "unheard/of", False),
        (CLOSED, "ping", True),
        (SOME, "elicitation/create", True),
        (SOME, "sampling/createMessage", False),
    ],
)
def test_what_a_server_may_ask_is_decided(policy: str, method: str, passes: bool) -> None:
    answered = Answered(policy)
    asked = {"jsonrpc": "2.0", "id": "s1", "method": method, "params": {}}
    passed = answered.event(asked)
    assert (passed is not None and json.loads(passed) == asked) is passes
    assert len(answered.errands.asked) == (0 if passes else 1)


def test_a_question_that_is_held_back_is_answered_to_the_server_in_its_session() -> None:
    answered = Answered(CLOSED)
    answered.event({"jsonrpc": "2.0", "id": "s1", "method": "roots/list"})
    (sent,) = answered.errands.sent()
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /mcp HTTP/1.1\r\nhost: github.tools.svc:8080\r\n")
    assert b"authorization: Bearer t" in head
    assert b"mcp-session-id: s" in head
    assert b"content-type: application/json" in head
    assert b"cookie" not in head
    assert b"content-length: %d" % len(body) in head
    error = json.loads(body)
    assert error["id"] == "s1"
    assert "error" in error


@pytest.mark.parametrize(
    ("policy", "methods", "passes"),
    [
        (POLICY, ["sampling/createMessage"], True),
        (CLOSED, ["sampling/createMessage"], False),
        (SOME, ["elicitation/create"], True),
        (SOME, ["elicitation/create", "roots/list"], False),
        (CLOSED, [], True),
    ],
)
def test_questions_inside_a_result_are_decided(policy: str, methods: list[str], passes: bool) -> None:
    requests = {f"k{i}": {"method": method, "params": {}} for i, method in enumerate(methods)}
    value = result({"resultType": "input_required", "inputRequests": requests, "requestState": "x"})
    answered = Answered(policy).document(value)
    assert (answered == value) is passes
    if not passes:
        assert answered["id"] == 1
        assert "inputRequests" not in json.dumps(answered)
        assert "error" in answered


def test_questions_in_the_state_of_a_task_are_decided() -> None:
    requests = {"k": {"method": "sampling/createMessage", "params": {}}}
    value = result({"taskId": "t", "status": "input_required", "inputRequests": requests})
    assert "error" in Answered(CLOSED).document(value)


@pytest.mark.parametrize(
    "data",
    [
        '{"half',
        '{"jsonrpc":"2.0","id":1,"result":{"tools":{}}}',
        '{"jsonrpc":"2.0","id":1,"result":{},"method":"x"}',
        '{"tools":[]}',
        "plain text",
    ],
)
@pytest.mark.parametrize("pending", [(), (7,), ("a", "b")])
def test_an_event_that_cannot_be_read_becomes_an_error_for_who_waits(
    data: str, pending: tuple[int | str, ...]
) -> None:
    answered = Answered(POLICY, *pending)
    passed = answered.event(data)
    assert answered.lines.events() == ["upstream_failure"]
    if not pending:
        assert passed is None
        return
    error = json.loads(passed or "")
    assert (error["id"], error["error"]["code"]) == (pending[0], -32603)
    assert data not in (passed or "")


def test_a_list_in_an_event_is_filtered() -> None:
    passed = Answered().event(result({"tools": TOOLS}))
    assert listed(json.loads(passed or "")) == ["search", "list_all"]


def test_events_are_read_whatever_their_name() -> None:
    for name in ("message", "other", "Endpoint"):
        passed = Answered().event(result({"tools": TOOLS}), name)
        assert listed(json.loads(passed or "")) == ["search", "list_all"]


def test_data_over_several_lines_is_one_message() -> None:
    passed = Answered().event(json.dumps(result({"tools": TOOLS}), indent=1))
    assert listed(json.loads(passed or "")) == ["search", "list_all"]


def test_an_endpoint_is_passed_as_it_is() -> None:
    assert Answered().event("/messages?session=1", "endpoint") == "/messages?session=1"


def test_the_messages_of_a_batch_that_may_pass_do_so_without_the_others() -> None:
    asked = {"jsonrpc": "2.0", "id": "s1", "method": "roots/list"}
    passed = Answered(CLOSED).event([asked, result({})])
    assert json.loads(passed or "") == [result({})]


def test_no_contents_of_an_answer_are_written_down() -> None:
    answered = Answered(POLICY, 1)
    answered.document(result({"tools": [{"name": "drop", "description": "hunter2"}]}))
    answered.event('{"jsonrpc":"2.0","id":1,"result":{"tools":"hunter2"}}')
    assert answered.lines.lines
    assert "hunter2" not in repr(answered.lines.lines)


@pytest.mark.parametrize(("policy", "passes"), [(POLICY, True), (CLOSED, False)])
def test_questions_in_a_notification_about_a_task_are_decided(policy: str, passes: bool) -> None:
    requests = {"k": {"method": "sampling/createMessage", "params": {}}}
    state = {"taskId": "t", "status": "input_required", "inputRequests": requests}
    passed = Answered(policy).event({"jsonrpc": "2.0", "method": "notifications/tasks", "params": state})
    assert ("inputRequests" in (passed or "")) is passes


def test_the_state_of_a_task_that_cannot_be_read_is_held_back() -> None:
    state = {"taskId": "t", "inputRequests": [1]}
    passed = Answered(POLICY).event({"jsonrpc": "2.0", "method": "notifications/tasks", "params": state})
    assert passed is None


@pytest.mark.parametrize(
    ("data", "passes"),
    [
        ("2026-11-23", True),
        ("hello {", True),
        ('{"progress": 1}', True),
        ("[1, 2]", True),
        ('{"half', False),
        (' {"jsonrpc":"2.0","id":1,"result":{},"method":"x"}', False),
        ('[{"a":1,"a":2}]', False),
    ],
)
def test_an_event_of_another_type_passes_unless_it_could_be_a_message(data: str, passes: bool) -> None:
    passed = Answered().event(data, "other")
    assert (passed == data) is passes
    assert (passed is None) is not passes
