"""MCP requests: what is read, what is decided, what leaves, what is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.policy import compile_policy, load_objects
from mesh.policy.compile import Policy
from mesh.protocol.http1.heads import Headers
from sidecar.limits import Limits
from sidecar.proxy.mcp_request import inspect_post
from sidecar.proxy.plan import Plan, Reply, Routed, Treatment
from sidecar.proxy.pool import Destination
from sidecar.proxy.task_memory import TaskMemory
from sidecar.telemetry import names
from tests.support.access_policies import allow, backend
from tests.support.fakes import AGENT, Lines, policy_of, recorder, request_head
from tests.support.loopback import POLICY

GRANTED = policy_of()
OBSERVING = policy_of(POLICY.replace("spec:\n  outbound:", "spec:\n  mode: observe\n  outbound:"))
VERSION = "io.modelcontextprotocol/protocolVersion"


class Posted:
    """One POST, put to the stage: what leaves, or the reply; and what was recorded."""

    def __init__(self, body: Any, policy: Policy = GRANTED, **fields: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        fields = {"content_type": "application/json", **fields}
        self.head = request_head(
            "POST http://github.tools.svc:8080/mcp", host="github.tools.svc:8080", **fields
        )
        target = policy.backends_at("github.tools.svc", 8080)[0]
        target = next(b for b in policy.backends if b.name == "github") or target
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
        self.plan = Plan(self.head, AGENT, routed, Treatment.MCP, target)
        self.recorder, lines = recorder()
        self.lines: Lines = lines
        self.step = inspect_post(
            self.plan, raw, policy=policy, limits=Limits(), recorder=self.recorder, tasks=TaskMemory()
        )

    @property
    def leaves(self) -> tuple[bytes, Headers]:
        assert not isinstance(self.step, Reply), self.step
        return self.step

    @property
    def reply(self) -> Reply:
        assert isinstance(self.step, Reply), self.step
        return self.step

    @property
    def answer(self) -> Any:
        return json.loads(self.reply.body)

    def decided(self, method: str, reason: str) -> int:
        return self.recorder.metrics.value(names.REQUESTS, ("outbound", "github", method, reason))


def rpc(method: str, ident: Any = 1, **params: Any) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
    if ident is None:
        del message["id"]
    return message


def modern(method: str, **params: Any) -> dict[str, Any]:
    return rpc(method, **params, _meta={VERSION: "2026-07-28"})


MODERN = {"mcp_protocol_version": "2026-07-28"}


@pytest.mark.parametrize(
    "message",
    [
        rpc("initialize", protocolVersion="2025-06-18"),
        rpc("ping"),
        rpc("tools/list"),
        rpc("tools/call", name="search"),
        rpc("tools/call", name="list_all", arguments={"a": 1}),
        rpc("prompts/get", name="greet"),
        rpc("resources/read", uri="repo://acme/x"),
        rpc("resources/subscribe", uri="repo://acme/x"),
        rpc("completion/complete", ref={"type": "ref/prompt", "name": "greet"}),
        rpc("notifications/initialized", None),
        rpc("notifications/cancelled", None, requestId=1),
        rpc("tasks/get", taskId="t"),
        rpc("tasks/result", taskId="t"),
        {"jsonrpc": "2.0", "id": "s1", "result": {"role": "assistant"}},
        {"jsonrpc": "2.0", "id": "s1", "error": {"code": 1, "message": "no"}},
    ],
)
def test_what_is_granted_leaves_as_it_was_parsed(message: dict[str, Any]) -> None:
    body, _ = Posted(message).leaves
    assert json.loads(body) == message
    assert b": " not in body


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (rpc("tools/call", name="drop"), -32602, "Unknown tool: drop"),
        (rpc("tools/call", name="list_delete"), -32602, "Unknown tool: list_delete"),
        (rpc("prompts/get", name="secret"), -32602, "Unknown prompt: secret"),
        (rpc("resources/read", uri="repo://other/x"), -32002, "Resource not found"),
        (rpc("resources/read", uri="repo://acme/../other"), -32002, "Resource not found"),
        (rpc("resources/subscribe", uri="file:///etc/passwd"), -32002, "Resource not found"),
        (
            rpc("completion/complete", ref={"type": "ref/prompt", "name": "secret"}),
            -32602,
            "Unknown prompt: secret",
        ),
        (rpc("secret/method"), -32601, "Method not found: secret/method"),
        (rpc("Tools/call", name="search"), -32601, "Method not found: Tools/call"),
    ],
)
def test_what_is_not_granted_is_answered_as_if_it_were_not_there(
    message: dict[str, Any], code: int, text: str
) -> None:
    posted = Posted(message)
    assert posted.reply.status == 200
    assert posted.answer["id"] == 1
    assert (posted.answer["error"]["code"], posted.answer["error"]["message"]) == (code, text)
    assert posted.plan.pending == ()


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        (modern("tools/call", name="drop"), 200, -32602),
        (modern("resources/read", uri="repo://x/y"), 200, -32602),
        (modern("secret/method"), 404, -32601),
        (
            modern("subscriptions/listen", notifications={"resourceSubscriptions": ["repo://x/y"]}),
            200,
            -32602,
        ),
    ],
)
def test_the_modern_era_has_its_own_statuses_and_codes(
    message: dict[str, Any], status: int, code: int
) -> None:
    params = message["params"]
    fields = {**MODERN, "mcp_method": message["method"]}
    if "name" in params or "uri" in params:
        fields["mcp_name"] = params.get("name") or params["uri"]
    posted = Posted(message, **fields)
    assert (posted.reply.status, posted.answer["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "message",
    [
        rpc("tools/call", None, name="drop"),
        rpc("prompts/get", None, name="secret"),
        rpc("secret/notification", None),
        [rpc("tools/call", None, name="drop"), rpc("notifications/initialized", None)],
        [rpc("tools/call", None, name="drop"), {"jsonrpc": "2.0", "id": 1, "result": {}}],
    ],
)
def test_a_denied_notification_is_accepted_and_goes_nowhere(message: Any) -> None:
    posted = Posted(message)
    assert (posted.reply.status, posted.reply.body) == (202, b"")


@pytest.mark.parametrize(
    ("batch", "outcome"),
    [
        ([rpc("tools/call", 1, name="search"), rpc("tools/list", 2)], None),
        ([rpc("tools/call", 1, name="search"), rpc("tools/call", 2, name="drop")], {1: -32600, 2: -32602}),
        ([rpc("tools/call", 1, name="drop"), rpc("tools/call", 2, name="drop")], {1: -32602, 2: -32602}),
        ([rpc("tools/call", None, name="drop"), rpc("tools/call", 2, name="search")], {2: -32600}),
        ([rpc("tools/call", 1, name="drop")], {1: -32602}),
        ([rpc("tools/call", 1, name="drop"), {"jsonrpc": "2.0", "id": 2, "result": {}}], {1: -32602}),
    ],
)
def test_a_batch_passes_whole_or_not_at_all(batch: list[Any], outcome: dict[int, int] | None) -> None:
    posted = Posted(batch)
    if outcome is None:
        assert json.loads(posted.leaves[0]) == batch
        assert posted.plan.pending == (1, 2)
        return
    assert posted.reply.status == 200
    assert {item["id"]: item["error"]["code"] for item in posted.answer} == outcome


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"[1]",
        b'"tools/call"',
        b"{}",
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
        b'{"id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
        b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":1}',
        b'{"jsonrpc":"2.0","id":1,"Method":"tools/call","method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":1,"method":"tools/call"}',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":NaN}}',
        json.dumps([rpc("ping", i) for i in range(51)]).encode(),
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * 70 + b"]" * 70 + b"}",
    ],
)
def test_what_cannot_be_read_in_one_way_is_a_400_and_is_counted(body: bytes) -> None:
    posted = Posted(body)
    assert posted.reply.status == 400
    assert posted.answer["error"]["code"] in (-32700, -32600)
    assert posted.lines.events() == ["refused_message"]


@pytest.mark.parametrize(
    "message",
    [
        rpc("tools/call"),
        rpc("tools/call", name=1),
        rpc("tools/call", name=["search"]),
        rpc("tools/call", name="search", Name="drop"),
        rpc("tools/call", name="search", arguments=[]),
        rpc("resources/read", url="repo://acme/x"),
        rpc("completion/complete", ref={"type": "ref/other", "name": "greet"}),
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["search"]},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call"},
    ],
)
def test_a_known_method_that_does_not_name_its_subject_is_refused_with_its_id(message: Any) -> None:
    posted = Posted(message)
    assert (posted.answer["id"], posted.answer["error"]["code"]) == (1, -32602)


@pytest.mark.parametrize(
    ("media", "status"),
    [
        ("application/json", None),
        ("application/json; charset=utf-8", None),
        ('Application/JSON;charset="UTF-8"', None),
        ("application/json; charset=utf-16", 415),
        ("application/jsonp", 415),
        ("text/plain", 415),
        ("application/vnd.api+json", 415),
        ("", 415),
    ],
)
def test_only_plain_json_is_read(media: str, status: int | None) -> None:
    posted = Posted(rpc("ping"), content_type=media)
    assert (posted.step.status if isinstance(posted.step, Reply) else None) == status


@pytest.mark.parametrize(
    ("encoding", "passes"),
    [("identity", True), ("Identity", True), ("gzip", False), ("identity, gzip", False)],
)
def test_a_compressed_body_is_refused(encoding: str, passes: bool) -> None:
    posted = Posted(rpc("ping"), content_encoding=encoding)
    assert isinstance(posted.step, Reply) is not passes
    if not passes:
        assert posted.reply.status == 415


def test_the_ids_that_wait_are_kept_with_their_types() -> None:
    assert Posted(
        [rpc("ping", 1), rpc("ping", "1"), rpc("notifications/initialized", None)]
    ).plan.pending == (
        1,
        "1",
    )


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({**MODERN, "mcp_method": "tools/list", "mcp_name": "search"}, -32020),
        ({**MODERN, "mcp_method": "tools/call", "mcp_name": "list_all"}, -32020),
        ({**MODERN, "mcp_name": "search"}, -32020),
        ({**MODERN, "mcp_method": "tools/call"}, -32020),
        ({"mcp_method": "tools/call", "mcp_name": "search"}, -32020),
        ({"mcp_protocol_version": "2025-06-18", "mcp_method": "tools/call", "mcp_name": "search"}, -32020),
    ],
)
def test_headers_that_contradict_the_body_are_refused(fields: dict[str, str], code: int) -> None:
    posted = Posted(modern("tools/call", name="search"), **fields)
    assert (posted.reply.status, posted.answer["error"]["code"], posted.answer["id"]) == (400, code, 1)


def test_an_unknown_version_is_refused_with_those_that_are_known() -> None:
    posted = Posted(rpc("tools/list"), mcp_protocol_version="2099-01-01")
    assert posted.reply.status == 400
    assert posted.answer["error"]["data"]["requested"] == "2099-01-01"


def test_modern_requests_leave_with_headers_that_agree_with_the_body() -> None:
    fields = {**MODERN, "mcp_method": "tools/call", "mcp_name": "=?base64?c2VhcmNo?="}
    posted = Posted(modern("tools/call", name="search"), **fields)
    _, headers = posted.leaves
    assert posted.plan.modern
    assert dict(headers)[b"mcp-method"] == b"tools/call"
    assert dict(headers)[b"mcp-name"] in (b"search", b"=?base64?c2VhcmNo?=")


def test_legacy_requests_keep_their_headers() -> None:
    posted = Posted(rpc("ping"), mcp_session_id="s")
    assert posted.leaves[1] is posted.head.headers
    assert not posted.plan.modern


def test_each_decision_is_counted_with_its_method_and_reason() -> None:
    posted = Posted([rpc("tools/call", 1, name="search"), rpc("tools/call", 2, name="drop"), rpc("ping", 3)])
    assert posted.decided("tools/call", "allowed") == 1
    assert posted.decided("tools/call", "tool_not_granted") == 1
    assert posted.decided("ping", "allowed_base_protocol") == 1


def test_the_first_of_several_refused_subjects_is_told() -> None:
    wanted = ["repo://acme/x", "repo://one/x", "repo://two/x"]
    message = modern("subscriptions/listen", notifications={"resourceSubscriptions": wanted})
    posted = Posted(message, **MODERN, mcp_method="subscriptions/listen")
    assert posted.answer["error"]["data"] == {"uri": "repo://one/x"}


def test_observing_lets_pass_and_says_what_it_would_have_refused() -> None:
    posted = Posted(rpc("tools/call", name="drop"), OBSERVING)
    assert json.loads(posted.leaves[0])["params"]["name"] == "drop"
    observed = posted.recorder.metrics.value(names.OBSERVED, ("outbound", "github", "tool_not_granted"))
    assert observed == 1


def test_no_arguments_and_no_credentials_are_written_down() -> None:
    posted = Posted(
        [
            rpc("tools/call", 1, name="search", arguments={"q": "hunter2"}),
            rpc("tools/call", 2, name="drop", arguments={"q": "hunter2"}),
        ],
        authorization="Bearer hunter2",
        mcp_session_id="hunter2",
    )
    assert posted.lines.lines
    assert "hunter2" not in repr(posted.lines.lines)


@pytest.mark.parametrize(
    ("base", "prompts", "passes"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_completion_is_asked_about_as_itself_and_as_what_it_completes(
    base: bool, prompts: bool, passes: bool
) -> None:
    method = {"name": "prompts/get" if prompts else "tools/call"}
    option = "MATCH_BASE_PROTOCOL_METHODS" if base else "SKIP_BASE_PROTOCOL_METHODS"
    authorization = {"type": "Inline", "mcp": {"methods": [method], "mcpBaseProtocolMethodsOption": option}}
    policy = allow("a", authorization)
    policy["metadata"]["namespace"] = "agents"
    documents = load_objects([policy, backend(namespace="agents", host="github.tools.svc")])
    posted = Posted(
        rpc("completion/complete", ref={"type": "ref/prompt", "name": "greet"}),
        compile_policy(documents, labels={}, namespace="agents"),
    )
    assert isinstance(posted.step, Reply) is not passes
