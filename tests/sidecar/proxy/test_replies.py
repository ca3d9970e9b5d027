"""What the sidecar answers itself, for those who speak JSON-RPC and for all others."""

from __future__ import annotations

import json

import pytest

from mesh.protocol.http1.errors import HttpRefused
from mesh.reasons import Reason
from sidecar.proxy import replies
from sidecar.proxy.plan import Plan, Reply, Routed, Treatment
from sidecar.proxy.pool import Destination
from tests.support.fakes import AGENT, request_head

GET = request_head("GET http://x/", host="x")


def plan(treatment: Treatment = Treatment.MCP, *pending: int | str) -> Plan:
    routed = Routed("outbound", b"/mcp", "/mcp", b"x", Destination("h", 80), None, "github", treatment)
    return Plan(GET, AGENT, routed, treatment, None, pending)


@pytest.mark.parametrize("status", [400, 403, 405, 408, 413, 415, 417, 431, 501, 502, 503, 504, 505])
def test_problem_details_say_status_reason_and_sentence(status: int) -> None:
    reply = replies.problem(status, Reason.EGRESS_DENIED, "evil:80")
    body = json.loads(reply.body)
    assert (reply.status, reply.content_type) == (status, b"application/problem+json")
    assert (body["status"], body["reason"]) == (status, "egress_denied")
    assert body["detail"] == f"evil:80: {Reason.EGRESS_DENIED.sentence}"
    assert body["title"]


def test_a_problem_without_detail_says_the_sentence_alone() -> None:
    body = json.loads(replies.problem(400, Reason.HTTP_MALFORMED, "").body)
    assert body["detail"] == Reason.HTTP_MALFORMED.sentence


def test_an_rpc_error_carries_id_code_and_reason() -> None:
    reply = replies.rpc_error(200, "a", -31004, Reason.EGRESS_DENIED, "")
    assert json.loads(reply.body) == {
        "jsonrpc": "2.0",
        "id": "a",
        "error": {
            "code": -31004,
            "message": Reason.EGRESS_DENIED.sentence,
            "data": {"reason": "egress_denied"},
        },
    }


@pytest.mark.parametrize(("pending", "status"), [((), 403), ((7,), 200), (("a", 2), 200)])
def test_a_refused_destination_is_a_json_rpc_error_for_who_waits_for_one(
    pending: tuple[int | str, ...], status: int
) -> None:
    reply = replies.refused_destination(Reason.EGRESS_DENIED, "evil:80", pending)
    body = json.loads(reply.body)
    assert reply.status == status
    assert body.get("id") == (pending[0] if pending else None)
    if pending:
        assert body["error"]["code"] == -31004


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.UPSTREAM_UNREACHABLE, 502),
        (Reason.UPSTREAM_RESET, 502),
        (Reason.UPSTREAM_CONNECT_TIMEOUT, 504),
        (Reason.UPSTREAM_IDLE_TIMEOUT, 504),
        (Reason.TOO_MANY_CONNECTIONS, 503),
        (Reason.NO_SVID, 503),
        (Reason.SVID_EXPIRED, 503),
        (Reason.PEER_WRONG_IDENTITY, 502),
    ],
)
@pytest.mark.parametrize("pending", [(), (1,)])
def test_a_failure_of_the_backend_names_it_and_has_its_status(
    reason: Reason, status: int, pending: tuple[int, ...]
) -> None:
    reply = replies.upstream_failed(reason, "detail", plan(Treatment.MCP, *pending))
    assert reply.status == status
    assert b"github at h:80: detail" in reply.body
    body = json.loads(reply.body)
    assert (body["error"]["data"]["reason"] if pending else body["reason"]) == reason
    assert (reply.content_type == b"application/json") is bool(pending)


@pytest.mark.parametrize(("treatment", "rpc"), [(Treatment.MCP, True), (Treatment.SNIFF, False)])
def test_a_body_that_is_too_large_is_told_with_the_limit(treatment: Treatment, rpc: bool) -> None:
    reply = replies.refused_body(Reason.HTTP_BODY_TOO_LARGE, plan(treatment), 1000)
    assert reply.status == 413
    assert b"more than 1000 bytes" in reply.body
    assert ("error" in json.loads(reply.body)) is rpc


@pytest.mark.parametrize(
    ("start", "closing", "says_close", "has_body"),
    [
        ("GET http://x/ HTTP/1.1", False, False, True),
        ("GET http://x/ HTTP/1.1", True, True, True),
        ("GET http://x/ HTTP/1.0", False, True, True),
        ("HEAD http://x/ HTTP/1.1", False, False, False),
    ],
)
def test_a_reply_is_framed_for_its_request(
    start: str, closing: bool, says_close: bool, has_body: bool
) -> None:
    raw = replies.encode(Reply(200, b"{}"), request_head(start, host="x"), closing=closing)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 2" in head
    assert (b"connection: close" in head) is says_close
    assert body == (b"{}" if has_body else b"")


def test_a_reply_without_body_has_no_media_type() -> None:
    raw = replies.encode(Reply(202, b""), GET, closing=False)
    assert raw == b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


def test_a_reply_may_carry_fields_of_its_own() -> None:
    raw = replies.encode(Reply(405, b"", headers=((b"allow", b"GET"),)), GET, closing=False)
    assert b"\r\nallow: GET\r\n" in raw


@pytest.mark.parametrize("status", [400, 408, 431, 501, 505, 999])
def test_what_is_no_request_is_answered_once_with_a_close(status: int) -> None:
    raw = replies.encode_refused(HttpRefused(Reason.HTTP_MALFORMED, "no", status))
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % (400 if status == 999 else status))
    assert b"connection: close" in head
    assert json.loads(body)["reason"] == "http_malformed"


def test_a_tunnel_that_failed_is_told_with_its_reason() -> None:
    raw = replies.tunnel_failed(Reason.UPSTREAM_CONNECT_TIMEOUT, "h:80")
    assert raw.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    assert b"upstream_connect_timeout" in raw
