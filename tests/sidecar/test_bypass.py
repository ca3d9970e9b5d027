"""What a peer might try against the inbound listener: found by review, kept as tests."""

from __future__ import annotations

import json

import pytest

from tests.support.loopback import TOOLS, answering, call, json_answer, result, serving
from tests.support.meshed import GITHUB, SERVER_POLICY, TRIAGE, Published, new_mesh, server_side
from tests.support.peer import connect, request

JSON = ("content-type", "application/json")
BOTH = SERVER_POLICY.replace("    mcp:", "    http: {allow: true}\n    mcp:")
"""MCP with one tool granted, and plain HTTP."""

DROP = json.dumps(call("drop")).encode()
FOLDED = b'{"JSONRPC":"2.0","ID":1,"METHOD":"tools/call","PARAMS":{"name":"drop"}}'
UTF_7 = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"search","x":"+ACIALAAi-name+ACIAOgAi-drop"}}'
)


STREAM = ("accept", "text/event-stream")
SESSION = ("mcp-session-id", "1")
PAYING_PING = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"amount":100,"to":"me"}'
METADATA = "/.well-known/oauth-protected-resource"
SEVERAL = BOTH.replace("    mcp:", "    mcp: {path: /a}\n  - from: ['*']\n    mcp:")
HTTP_ALONE = BOTH.partition("    mcp:")[0]


async def ask(
    policy: str, spiffe_id: str, sent: bytes, answer: bytes | None = None
) -> tuple[list[bytes], bytes]:
    """What the application saw of one raw request, and the head of what came back."""
    script, seen = answering(answer or json_answer(result({"tools": TOOLS})))
    mesh = new_mesh()
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=policy) as (_, port),
    ):
        peer = await connect(mesh, spiffe_id, port)
        peer.transport.write(sent)
        received = await peer.head()
        peer.transport.close()
    return [head for head, _ in seen], received


@pytest.mark.parametrize(
    ("policy", "sent"),
    [
        pytest.param(SERVER_POLICY, request("DELETE", "/users/5"), id="DELETE without a session"),
        pytest.param(SERVER_POLICY, request("OPTIONS", "/x"), id="OPTIONS"),
        pytest.param(SERVER_POLICY, request("HEAD", "/x"), id="HEAD"),
        pytest.param(SERVER_POLICY, request("GET", "/admin/restart"), id="GET that is no stream"),
        pytest.param(SERVER_POLICY, request("POST", "/mcp", b"a=b"), id="POST of a form"),
        pytest.param(
            SERVER_POLICY, request("DELETE", "/users/5", b"", SESSION), id="DELETE of no session of MCP"
        ),
        pytest.param(
            SERVER_POLICY, request("GET", "/admin/restart", b"", STREAM), id="GET of no stream of MCP"
        ),
        pytest.param(SERVER_POLICY, request("POST", "/transfer", PAYING_PING, JSON), id="ping elsewhere"),
        pytest.param(SERVER_POLICY, request("POST", "/mcpx", PAYING_PING, JSON), id="ping at a longer name"),
        pytest.param(SERVER_POLICY, request("POST", "/MCP", PAYING_PING, JSON), id="ping in capitals"),
        pytest.param(SERVER_POLICY, request("POST", "/", PAYING_PING, JSON), id="ping at the root"),
        pytest.param(SERVER_POLICY, request("POST", "*", PAYING_PING, JSON), id="ping at the asterisk"),
        pytest.param(
            SERVER_POLICY, request("POST", METADATA, PAYING_PING, JSON), id="ping at OAuth metadata"
        ),
        pytest.param(SERVER_POLICY, request("POST", METADATA, b"a=b"), id="POST of a form at OAuth metadata"),
        pytest.param(SERVER_POLICY, request("DELETE", METADATA, b"", SESSION), id="DELETE of OAuth metadata"),
        pytest.param(BOTH, request("POST", "/other", DROP, JSON), id="a call beside MCP"),
        pytest.param(SEVERAL, request("POST", "/other", PAYING_PING, JSON), id="ping beside several"),
        pytest.param(HTTP_ALONE, request("POST", "/other", PAYING_PING, JSON), id="ping beside no MCP"),
        pytest.param(BOTH, request("POST", "/mcp", FOLDED, JSON), id="member names in capitals"),
        pytest.param(
            BOTH,
            request(
                "POST",
                "/mcp",
                DROP,
                ("content-type", 'application/x-www-form-urlencoded; x="application/json"'),
            ),
            id="JSON called a form",
        ),
        pytest.param(
            BOTH, request("POST", "/mcp", DROP, ("content-type", "text/plain")), id="JSON called text"
        ),
        pytest.param(BOTH, request("POST", "/mcp", DROP), id="JSON without a media type"),
        pytest.param(BOTH, request("PUT", "/mcp", DROP, JSON), id="PUT of a call"),
        pytest.param(
            BOTH,
            request("GET", "/mcp", DROP, JSON, ("x-http-method-override", "POST")),
            id="GET with a call as its body",
        ),
        pytest.param(
            BOTH,
            request("POST", "/mcp", DROP.decode().encode("utf-16"), JSON),
            id="UTF-16",
        ),
        pytest.param(
            SERVER_POLICY,
            request(
                "POST", "/mcp", UTF_7, ("content-type", 'application/json; charset=utf-7; x="charset=utf-8"')
            ),
            id="UTF-7",
        ),
        pytest.param(
            BOTH,
            request("POST", "/mcp", DROP, JSON, ("content-encoding", "gzip")),
            id="said to be compressed",
        ),
    ],
)
async def test_what_no_rule_grants_never_reaches_the_application(policy: str, sent: bytes) -> None:
    seen, received = await ask(policy, TRIAGE, sent)
    assert seen == []
    assert received[9:10] == b"4" or b'"error"' in received


async def test_a_message_without_a_method_needs_a_grant_too() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"result":{},"amount":100}'
    neighbour = "spiffe://test.mesh/ns/agents/sa/neighbour"
    elsewhere = f'  - from: ["{neighbour}"]\n    mcp: {{path: /other, tools: {{allow: []}}}}\n'
    seen, received = await ask(SERVER_POLICY + elsewhere, neighbour, request("POST", "/mcp", body, JSON))
    assert seen == []
    assert received.startswith(b"HTTP/1.1 202 ")


@pytest.mark.parametrize(
    "sent",
    [
        request("POST", "/upload", b"--b\r\n\r\nhello", ("content-type", "multipart/form-data; boundary=b")),
        request("POST", "/pay", b'{"method":"card","amount":3}', JSON),
        request("POST", "/form", b"a=b&c=%20", ("content-type", "application/x-www-form-urlencoded")),
        request("GET", "/page", b"", ("accept", "text/html")),
        request("DELETE", "/users/5"),
    ],
)
async def test_plain_http_passes_where_it_is_granted(sent: bytes) -> None:
    seen, received = await ask(BOTH, TRIAGE, sent)
    assert len(seen) == 1
    assert received.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "accept",
    [
        (("accept", "text/event-stream"), ("accept", "text/html")),
        (("accept", "*/*"),),
        (("accept", "Text/Event-Stream"),),
        (),
    ],
)
async def test_an_event_stream_is_filtered_whatever_was_accepted(accept: tuple[tuple[str, str], ...]) -> None:
    data = b"data: " + json.dumps(result({"tools": TOOLS})).encode() + b"\n\n"
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(data)
    script, _ = answering(answer + data)
    mesh = new_mesh()
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=BOTH) as (_, port),
    ):
        peer = await connect(mesh, TRIAGE, port)
        peer.transport.write(request("GET", "/sse", b"", *accept))
        received = await peer.until(b"0\r\n\r\n")
        peer.transport.close()
    assert b'"search"' in received
    assert b'"drop"' not in received


async def test_events_that_are_no_json_rpc_pass_beside_mcp() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 13\r\n\r\ndata: hello\n\n"
    )
    script, _ = answering(answer)
    mesh = new_mesh()
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=BOTH) as (_, port),
    ):
        peer = await connect(mesh, TRIAGE, port)
        peer.transport.write(request("GET", "/news"))
        received = await peer.until(b"hello\n\n")
        peer.transport.close()
    assert b"data: hello\n\n" in received
