"""The head of a request as it leaves for the backend."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.heads import CHUNKED, RequestHead
from sidecar.proxy.outgoing import outgoing
from sidecar.proxy.plan import Plan, Routed, Treatment
from sidecar.proxy.pool import Destination
from tests.support.fakes import AGENT, request_head


def plan(head: RequestHead, treatment: Treatment = Treatment.MCP, direction: str = "outbound") -> Plan:
    routed = Routed(
        direction,
        b"/mcp?x=1",
        "/mcp",
        b"github.tools.svc:8080",
        Destination("github.tools.svc", 8080),
        None,
        "github",
        treatment,
    )
    return Plan(head, AGENT, routed, treatment, None)


def sent(head: RequestHead, length: int = 2, **how: object) -> list[bytes]:
    raw = outgoing(plan(head, **how), head.headers, length)  # type: ignore[arg-type]
    assert raw.endswith(b"\r\n\r\n")
    return raw[:-4].split(b"\r\n")


def test_the_line_and_host_are_ours_and_the_other_fields_keep_their_order() -> None:
    head = request_head(
        "POST http://github.tools.svc:8080/mcp?x=1",
        host="github.tools.svc:8080",
        b="1",
        a="2",
        content_length="99",
        authorization="Bearer t",
        mcp_session_id="s",
    )
    assert sent(head) == [
        b"POST /mcp?x=1 HTTP/1.1",
        b"host: github.tools.svc:8080",
        b"b: 1",
        b"a: 2",
        b"authorization: Bearer t",
        b"mcp-session-id: s",
        b"accept-encoding: identity",
        b"content-type: application/json",
        b"content-length: 2",
    ]


@pytest.mark.parametrize(
    ("method", "length", "framing"),
    [
        ("POST", 2, b"content-length: 2"),
        ("POST", 0, b"content-length: 0"),
        ("PUT", 0, b"content-length: 0"),
        ("POST", CHUNKED, b"transfer-encoding: chunked"),
        ("GET", 0, None),
        ("DELETE", 0, None),
        ("GET", 3, b"content-length: 3"),
    ],
)
def test_the_framing_is_made_here(method: str, length: int, framing: bytes | None) -> None:
    head = request_head(f"{method} http://x/", host="x", transfer_encoding="chunked")
    lines = sent(head, length, treatment=Treatment.HTTP)
    found = [line for line in lines if line.startswith((b"content-length", b"transfer-encoding"))]
    assert found == ([] if framing is None else [framing])


def test_hop_by_hop_fields_and_what_connection_names_stay_behind() -> None:
    head = request_head(
        "POST http://x/",
        host="x",
        connection="close, x-secret",
        x_secret="1",
        proxy_authorization="Basic abc",
        proxy_connection="keep-alive",
        keep_alive="5",
        te="trailers",
        expect="100-continue",
    )
    assert sent(head, treatment=Treatment.HTTP) == [
        b"POST /mcp?x=1 HTTP/1.1",
        b"host: github.tools.svc:8080",
        b"content-length: 2",
    ]


@pytest.mark.parametrize("name", ["authorization", "mcp-session-id", "mcp-name", "content-type"])
def test_connection_cannot_take_away_what_the_server_decides_by(name: str) -> None:
    head = request_head("POST http://x/", host="x", connection=name, **{name: "v"})
    if name == "content-type":
        return
    assert f"{name}: v".encode() in sent(head)


@pytest.mark.parametrize("treatment", [Treatment.MCP, Treatment.SNIFF])
def test_no_compressed_answer_is_asked_for_where_it_is_inspected(treatment: Treatment) -> None:
    head = request_head("POST http://x/", host="x", accept_encoding="gzip, br")
    lines = sent(head, treatment=treatment)
    assert [line for line in lines if line.startswith(b"accept-encoding")] == [b"accept-encoding: identity"]


def test_plain_http_keeps_its_accept_encoding() -> None:
    head = request_head("GET http://x/", host="x", accept_encoding="gzip")
    lines = sent(head, 0, treatment=Treatment.HTTP)
    assert [line for line in lines if line.startswith(b"accept-encoding")] == [b"accept-encoding: gzip"]


@pytest.mark.parametrize("treatment", [Treatment.MCP, Treatment.HTTP])
@pytest.mark.parametrize(("direction", "kept"), [("inbound", False), ("outbound", True)])
def test_a_peer_cannot_tell_the_application_who_it_is(
    direction: str, kept: bool, treatment: Treatment
) -> None:
    head = request_head("POST http://x/", host="x", x_forwarded_client_cert="URI=spiffe://a/b")
    lines = sent(head, direction=direction, treatment=treatment)
    assert any(line.startswith(b"x-forwarded-client-cert") for line in lines) is kept
