"""What the guard does that a whole sidecar hardly shows: late notifications, and headers that repeat arguments."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from mesh.policy.decision import RequestContext
from mesh.policy.guardrails import Direction
from mesh.protocol.jsonrpc import classify
from mesh.protocol.sse import SseReader
from sidecar.proxy.guard import Guard
from sidecar.proxy.held import HeldNotifications
from sidecar.proxy.plan import Plan, Routed, Treatment
from sidecar.proxy.pool import Destination
from tests.support.fakes import AGENT, Clock, policy_of, recorder, request_head
from tests.support.loopback import POLICY, call

MAIL = "jane.doe@example.com"


def nobody() -> Any:
    raise AssertionError("nobody is asked over HTTP")


def guard_and_plan(guardrails: str, **headers: str) -> tuple[Guard, Plan]:
    marker = "  - backend: github\n"
    policy = policy_of(POLICY.replace(marker, f"{marker}    guardrails: {guardrails}\n", 1))
    target = next(one for one in policy.backends if one.name == "github")
    at = Destination("github.tools.svc", 8080)
    authority = b"github.tools.svc:8080"
    routed = Routed("outbound", b"/mcp", "/mcp", authority, at, target, "github", Treatment.MCP)
    head = request_head("POST http://github.tools.svc:8080/mcp", host="github.tools.svc:8080", **headers)
    guard = Guard(policy, recorder()[0], Clock(), nobody)
    return guard, Plan(head, AGENT, routed, Treatment.MCP, target)


def fed(held: HeldNotifications, text: str) -> list[str]:
    """The texts that go on, when there is nothing to wait for any more."""
    params = {"progressToken": "t", "progress": 1, "message": text}
    data = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    (event,) = SseReader().feed(f"data: {data}\n\n".encode())
    return [
        json.loads(shown or "")["params"]["message"] for _, shown in (*held.feed(event, data), *held.flush())
    ]


def test_what_notifications_say_together_does_not_pass_unread() -> None:
    guard, plan = guard_and_plan("{pii: mask}")
    held = guard.held(plan)
    assert held is not None
    plan.looked_until = -1.0
    assert fed(held, "asking jane") == ["<UNREAD_1>"]
    assert fed(held, " and bob") == [" and bob"]


def test_what_notifications_say_together_passes_unread_where_the_policy_lets_it() -> None:
    guard, plan = guard_and_plan("{pii: {action: mask, failureMode: open}}")
    held = guard.held(plan)
    assert held is not None
    plan.looked_until = -1.0
    assert fed(held, "asking jane") == ["asking jane"]


def test_what_is_held_gets_the_agents_own_values_when_it_goes_on() -> None:
    guard, plan = guard_and_plan("{pii: mask, reversible: true}")
    held = guard.held(plan)
    assert held is not None
    guard._shared.vault(plan).token("EMAIL", MAIL, Direction.RESPONSE)
    (text,) = fed(held, "note <EMAIL_1> end")
    assert text == f"note {MAIL} end"
    assert guard._shared.vault(plan).token("EMAIL", MAIL, Direction.RESPONSE) == "<EMAIL_1>"
    assert len(guard.vaults) == 1


def test_rules_about_headers_are_asked_about_what_leaves() -> None:
    guard, plan = guard_and_plan(
        "{pii: mask, reversible: true}", mcp_param_to="<EMAIL_1>", x_other="<EMAIL_1>"
    )
    guard._shared.vault(plan).token("EMAIL", MAIL, Direction.REQUEST)
    fields = {"mcp-param-to": "<EMAIL_1>", "x-other": "<EMAIL_1>"}
    plan.context = RequestContext("POST", "h", 1, "/mcp", fields, datetime(2026, 1, 1, tzinfo=UTC))
    message = classify(call("search", to="<EMAIL_1>"))
    (meant,) = guard.meant(plan, (message,))
    assert meant.params == {"name": "search", "arguments": {"to": MAIL}}
    assert plan.context.headers == {"mcp-param-to": MAIL, "x-other": "<EMAIL_1>"}
    checked = guard.request(plan, (message,), plan.head.headers, 100)
    assert dict(checked.headers)[b"mcp-param-to"] == MAIL.encode()
    assert message.params == meant.params


def test_nothing_is_put_back_where_the_policy_does_not_say_so() -> None:
    guard, plan = guard_and_plan("{pii: mask}")
    guard._shared.vault(plan).token("EMAIL", MAIL, Direction.REQUEST)
    found = (classify(call("search", to="<EMAIL_1>")),)
    assert guard.meant(plan, found) is found
