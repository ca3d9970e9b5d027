from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mesh.policy.decision import INBOUND
from mesh.policy.principal import Principal
from mesh.protocol.http1.heads import RequestHead
from sidecar.proxy.outgoing import outgoing
from sidecar.proxy.plan import Plan, Routed, Treatment
from sidecar.proxy.pool import Destination
from sidecar.proxy.request_context import context_as_mcp, context_of, context_of_a_call

HEADERS = [(b"x-tenant", b"a"), (b"x-role", b"r"), (b"x-tenant", b"\xe9")]
HEAD = RequestHead("GET", b"/sse", HEADERS, 0, True, False, False)
OUT = Routed(
    "outbound", b"/sse?a=1", "/sse", b"github.tools.svc:8080", Destination("github.tools.svc", 8080), None, "x",
    Treatment.MCP,
)  # fmt: skip
IN = replace(OUT, direction="inbound", destination=Destination("127.0.0.1", 9000))
NOON = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()) * 10**9


def test_at_the_agents_end_host_and_port_are_those_of_the_destination() -> None:
    context = context_of(HEAD, OUT, NOON)
    assert (context.method, context.host, context.port) == ("GET", "github.tools.svc", 8080)
    assert (context.path, context.time) == ("/sse?a=1", datetime(2026, 11, 23, 12, tzinfo=UTC))
    assert context.headers == {
        "host": "github.tools.svc:8080",
        "x-tenant": "a,é",
        "x-role": "r",
        "accept-encoding": "identity",
    }


@pytest.mark.parametrize(
    ("authority", "host"),
    [(b"GitHub.Tools.svc:8080", "github.tools.svc"), (b"[::1]:80", "::1"), (b"", None), (b"a b", None)],
)
def test_at_the_servers_end_the_host_is_the_peers_word_and_the_port_the_applications(
    authority: bytes, host: str | None
) -> None:
    context = context_of(HEAD, replace(IN, authority=authority), NOON)
    assert (context.host, context.port) == (host, 9000)


def test_a_list_on_a_stream_is_filtered_for_the_post_that_would_follow() -> None:
    plan = Plan(HEAD, Principal("agent"), OUT, Treatment.MCP, INBOUND, context=context_of(HEAD, OUT, NOON))
    follows = context_of_a_call(plan, NOON + 10**9)
    assert follows is not None
    assert (follows.method, follows.path) == ("POST", "/sse?a=1")
    assert follows.time == datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)
    plan.endpoint = b"/messages?s=1"
    announced = context_of_a_call(plan, NOON)
    assert announced is not None
    assert announced.path == "/messages?s=1"
    plan.context = None
    assert context_of_a_call(plan, NOON) is None


SENT = [
    (b"host", b"spoofed.example"),
    (b"x-dry-run", b"1"),
    (b"connection", b"x-dry-run, authorization, keep-alive"),
    (b"keep-alive", b"1"),
    (b"te", b"trailers"),
    (b"proxy-authorization", b"x"),
    (b"authorization", b"Bearer a"),
    (b"content-type", b"application/json; charset=utf-8"),
    (b"content-length", b"2"),
    (b"expect", b"100-continue"),
    (b"accept-encoding", b"gzip"),
    (b"x-forwarded-client-cert", b"By=x"),
]


def posted() -> RequestHead:
    return RequestHead("POST", b"/sse", SENT, 2, True, False, False, dict(SENT))


@pytest.mark.parametrize("routed", [OUT, IN])
@pytest.mark.parametrize("treatment", list(Treatment))
def test_fields_are_those_that_the_backend_gets(routed: Routed, treatment: Treatment) -> None:
    head, routed = posted(), replace(routed, treatment=treatment)
    told = context_of(head, routed, NOON).headers
    plan = Plan(head, Principal("agent"), routed, treatment, INBOUND)
    lines = outgoing(plan, head.headers, 2).decode().split("\r\n")[1:-2]
    assert told == dict(line.split(": ", 1) for line in lines if not line.startswith("content-length"))
    assert told is context_of(head, routed, NOON + 1).headers


def test_what_turns_out_to_be_mcp_has_the_fields_that_leave_then() -> None:
    routed = replace(IN, treatment=Treatment.SNIFF)
    plan = Plan(posted(), Principal("agent"), routed, Treatment.SNIFF, INBOUND)
    assert context_as_mcp(plan) is None
    plan.context = context_of(plan.head, routed, NOON)
    assert (plan.context.headers or {})["content-type"] == "application/json; charset=utf-8"
    mcp = context_as_mcp(plan)
    assert mcp is not None
    assert (mcp.headers or {})["content-type"] == "application/json"
    plan.routed = replace(routed, treatment=Treatment.MCP)
    assert context_as_mcp(plan) is plan.context


def test_the_path_is_in_its_one_spelling_with_the_query_as_it_came() -> None:
    routed = replace(OUT, path=b"/caf%c3%a9?a=%c3%a9?b", plain_path="/caf%C3%A9")
    assert context_of(HEAD, routed, NOON).path == "/caf%C3%A9?a=%c3%a9?b"
