"""MCP inbound has a path: what peers with a grant of MCP reach of the application, and what not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.principal import Principal
from mesh.protocol.http1.errors import HttpRefused
from mesh.reasons import Reason
from sidecar.capture.inbound import Application
from sidecar.limits import Limits
from sidecar.proxy.channel import Channel
from sidecar.proxy.pipeline import Pipeline
from sidecar.proxy.plan import Plan, Treatment
from sidecar.telemetry import names
from tests.support.fakes import Clock, policy_of, recorder, request_head
from tests.support.loopback import TOOLS, Script, answering, call, json_answer, read_request, result, serving
from tests.support.meshed import GITHUB, SERVER_POLICY, TRIAGE, Published, new_mesh, server_side
from tests.support.peer import Peer, connect, request

OTHER = "spiffe://test.mesh/ns/agents/sa/other"
JSON = ("content-type", "application/json")
STREAM = ("accept", "text/event-stream")
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
SSE = SERVER_POLICY.replace("mcp:", "mcp:\n      path: /sse")
TWO = f"""
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: github}}
spec:
  inbound:
  - from: ["{TRIAGE}"]
    mcp: {{path: /a, tools: {{allow: [search]}}}}
  - from: ["{OTHER}"]
    mcp: {{path: /b, tools: {{allow: [drop]}}}}
  - from: ["*"]
    mcp: {{path: /b/common, tools: {{allow: ["list_*"]}}}}
"""


def post(path: str, message: Any) -> bytes:
    return request("POST", path, json.dumps(message).encode(), JSON)


class Mesh:
    """A sidecar before a scripted application, and peers of it."""

    def __init__(self, mesh: Any, sidecar: Any, port: int) -> None:
        self.sidecar = sidecar
        self._mesh = mesh
        self._port = port
        self.peers: list[Peer] = []

    async def peer(self, spiffe_id: str = TRIAGE) -> Peer:
        peer = await connect(self._mesh, spiffe_id, self._port)
        self.peers.append(peer)
        return peer

    async def ask(self, sent: bytes, spiffe_id: str = TRIAGE) -> tuple[int, Any]:
        """Status and body of one answer on a connection of its own."""
        peer = await self.peer(spiffe_id)
        peer.transport.write(sent.replace(b"\r\nhost:", b"\r\nconnection: close\r\nhost:"))
        received = await peer.until(b"never")
        head, _, body = received.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), json.loads(body) if body else None


@asynccontextmanager
async def meshed(script: Script, policy: str) -> AsyncIterator[Mesh]:
    mesh = new_mesh()
    async with (
        serving(script) as backend,
        server_side(Published(mesh.identity(GITHUB)), backend.port, policy=policy) as (sidecar, port),
    ):
        found = Mesh(mesh, sidecar, port)
        yield found
        for peer in found.peers:
            peer.transport.abort()


async def test_a_refusal_for_the_path_says_what_to_write() -> None:
    script, seen = answering(json_answer(result({})))
    async with meshed(script, SERVER_POLICY) as mesh:
        asked = await mesh.ask(post("/transfer", call("search", 7)))
        told = await mesh.ask(post("/transfer", {"jsonrpc": "2.0", "method": "notifications/initialized"}))
        fetched = await mesh.ask(request("GET", "/admin", b"", STREAM))
        stranger = await mesh.ask(post("/transfer", call("search", 7)), OTHER)
    reason = Reason.INBOUND_PATH_NOT_DECLARED
    assert asked[0] == 200
    assert asked[1]["id"] == 7
    assert asked[1]["error"]["data"] == {"reason": reason}
    assert "mcp.path" in asked[1]["error"]["message"]
    assert (told[0], told[1]["reason"]) == (403, reason)
    assert (fetched[0], fetched[1]["reason"]) == (403, reason)
    assert (stranger[0], stranger[1]["reason"]) == (403, Reason.PEER_NOT_ALLOWED)
    assert seen == []


async def test_oauth_metadata_is_there_for_who_is_granted_mcp() -> None:
    script, seen = answering(json_answer({"resource": "http://app:9000/b"}))
    metadata = request("GET", "/.well-known/oauth-protected-resource/b")
    policy = TWO.replace('from: ["*"]', f'from: ["{OTHER}"]')
    async with meshed(script, policy) as mesh:
        granted = [await mesh.ask(metadata, spiffe_id) for spiffe_id in (TRIAGE, OTHER)]
        stranger = await mesh.ask(metadata, "spiffe://test.mesh/ns/agents/sa/stranger")
    assert [status for status, _ in granted] == [200, 200]
    assert (stranger[0], stranger[1]["reason"]) == (403, Reason.PEER_NOT_ALLOWED)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("spiffe_id", "path", "visible"),
    [
        (TRIAGE, "/a", ["search"]),
        (TRIAGE, "/b/common", ["list_all", "list_delete"]),
        (OTHER, "/b", ["drop"]),
        (OTHER, "/b/common/x", ["drop", "list_all", "list_delete"]),
    ],
)
async def test_each_server_of_a_workload_shows_what_its_path_grants(
    spiffe_id: str, path: str, visible: list[str]
) -> None:
    script, _ = answering(json_answer(result({"tools": TOOLS})))
    async with meshed(script, TWO) as mesh:
        _, listed = await mesh.ask(post(path, LIST), spiffe_id)
        called = {tool["name"]: await mesh.ask(post(path, call(tool["name"])), spiffe_id) for tool in TOOLS}
    assert [tool["name"] for tool in listed["result"]["tools"]] == visible
    assert [name for name, (_, answer) in called.items() if "result" in answer] == visible


@pytest.mark.parametrize(("spiffe_id", "path"), [(TRIAGE, "/b"), (OTHER, "/a"), (OTHER, "/a/x")])
async def test_who_is_granted_one_server_does_not_reach_another(spiffe_id: str, path: str) -> None:
    script, seen = answering(json_answer(result({})))
    async with meshed(script, TWO) as mesh:
        refused = [
            await mesh.ask(post(path, LIST), spiffe_id),
            await mesh.ask(request("GET", path, b"", STREAM), spiffe_id),
            await mesh.ask(request("DELETE", path, b"", ("mcp-session-id", "1")), spiffe_id),
        ]
    assert seen == []
    assert [status for status, _ in refused] == [200, 403, 403]


@pytest.mark.parametrize(
    "sent",
    [
        post("/transfer", {"jsonrpc": "2.0", "id": 1, "method": "ping"}),
        post("/transfer", call("drop")),
        request("DELETE", "/users/5"),
        request("POST", "/form", b"a=b"),
        request("PUT", "/mcp"),
    ],
)
async def test_a_policy_that_only_observes_lets_pass_and_records(sent: bytes) -> None:
    script, seen = answering(json_answer(result({})))
    policy = SERVER_POLICY.replace("spec:", "spec:\n  mode: observe")
    async with meshed(script, policy) as mesh:
        status, _ = await mesh.ask(sent)
        metrics = mesh.sidecar.metrics
        reasons = (Reason.INBOUND_PATH_NOT_DECLARED, Reason.PROTOCOL_NOT_ALLOWED)
        observed = [metrics.value(names.OBSERVED, ("inbound", "application", reason)) for reason in reasons]
    assert (status, len(seen)) == (200, 1)
    assert sum(count or 0 for count in observed) == 1


@pytest.mark.parametrize(
    "sent",
    [
        post("/mcp", call("search")),
        request("GET", "/mcp", b"", STREAM),
        request("DELETE", "/mcp", b"", ("mcp-session-id", "1")),
        request("GET", "/.well-known/oauth-protected-resource/mcp"),
    ],
)
async def test_what_is_granted_is_no_refusal_to_observe(sent: bytes) -> None:
    script, seen = answering(json_answer(result({})))
    policy = SERVER_POLICY.replace("spec:", "spec:\n  mode: observe")
    async with meshed(script, policy) as mesh:
        await mesh.ask(sent)
        metrics = mesh.sidecar.metrics
        observed = [metrics.value(names.OBSERVED, ("inbound", "application", reason)) for reason in Reason]
    assert len(seen) == 1
    assert not any(observed)


def announcing(*streams: bytes) -> tuple[Script, list[bytes]]:
    """An application that announces an endpoint on each stream in turn, and takes everything else."""
    taken: list[bytes] = []
    waiting = list(streams)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await read_request(reader)
            if b"text/event-stream" in head:
                writer.write(STREAM_HEAD + b"event: endpoint\ndata: " + waiting.pop(0) + b"\n\n")
                await reader.read()
                return
            taken.append(head.split(b" HTTP")[0])
            writer.write(ACCEPTED)
            await writer.drain()

    return script, taken


async def open_stream(mesh: Mesh, path: str, *headers: tuple[str, str], spiffe_id: str = TRIAGE) -> bytes:
    peer = await mesh.peer(spiffe_id)
    peer.transport.write(request("GET", path, b"", STREAM, *headers))
    return await peer.until(b"\n\n")


@pytest.mark.parametrize("announced", [b"/messages?session=1", b"http://app:9000/messages?session=1"])
async def test_messages_to_the_endpoint_of_a_stream_are_decided_as_its_path(announced: bytes) -> None:
    script, taken = announcing(announced)
    message = post("/messages?session=1", call("search"))
    async with meshed(script, SSE) as mesh:
        early = await mesh.ask(message)
        assert b"event: endpoint\ndata: " + announced in await open_stream(mesh, "/sse")
        passed = await mesh.ask(message)
        denied = await mesh.ask(post("/messages?session=1", call("drop")))
        stranger = await mesh.ask(message, OTHER)
        others = [
            await mesh.ask(request("DELETE", "/messages", b"", ("mcp-session-id", "1"))),
            await mesh.ask(request("GET", "/messages", b"", STREAM)),
            await mesh.ask(post("/messages/1", call("search"))),
            await mesh.ask(post("/", call("search"))),
        ]
    assert early[1]["error"]["data"] == {"reason": Reason.INBOUND_PATH_NOT_DECLARED}
    assert passed == (202, None)
    assert denied[1]["error"]["message"] == "Unknown tool: drop"
    assert (stranger[0], stranger[1]["reason"]) == (403, Reason.PEER_NOT_ALLOWED)
    assert [status for status, _ in others] == [403, 403, 200, 200]
    assert taken == [b"POST /messages?session=1"]


async def test_an_endpoint_at_a_declared_path_stays_that_of_its_path() -> None:
    script, taken = announcing(b"/b/messages")
    async with meshed(script, TWO) as mesh:
        await open_stream(mesh, "/a")
        refused = await mesh.ask(post("/b/messages", call("search")))
        passed = await mesh.ask(post("/b/messages", call("drop")), OTHER)
    assert refused[1]["error"]["data"] == {"reason": Reason.INBOUND_PATH_NOT_DECLARED}
    assert passed == (202, None)
    assert taken == [b"POST /b/messages"]


async def test_an_endpoint_that_two_servers_announce_is_of_neither() -> None:
    script, taken = announcing(b"/messages", b"/messages", b"/messages")
    message = post("/messages", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
    async with meshed(script, TWO) as mesh:
        await open_stream(mesh, "/a")
        alone = await mesh.ask(message)
        await open_stream(mesh, "/b", spiffe_id=OTHER)
        await open_stream(mesh, "/a")
        both = [await mesh.ask(message, spiffe_id) for spiffe_id in (TRIAGE, OTHER)]
    assert alone == (202, None)
    for _, refused in both:
        assert refused["error"]["data"] == {"reason": Reason.INBOUND_PATH_NOT_DECLARED}
    assert taken == [b"POST /messages"]


async def test_a_stream_off_every_declared_path_announces_nothing() -> None:
    script, taken = announcing(b"/messages")
    both = f"  - from: ['{OTHER}']\n    http: {{allow: true}}\n"
    async with meshed(script, SERVER_POLICY + both) as mesh:
        assert b"/messages" in await open_stream(mesh, "/news", spiffe_id=OTHER)
        refused = await mesh.ask(post("/messages", call("search")))
    assert refused[1]["error"]["data"] == {"reason": Reason.INBOUND_PATH_NOT_DECLARED}
    assert taken == []


async def test_the_answer_to_a_message_announces_nothing() -> None:
    stream = b"event: endpoint\ndata: /messages\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(stream)
    script, seen = answering(head + stream)
    async with meshed(script, SERVER_POLICY) as mesh:
        peer = await mesh.peer()
        peer.transport.write(post("/mcp", call("search")))
        assert b"/messages" in await peer.until(b"0\r\n\r\n")
        refused = await mesh.ask(post("/messages", call("search")))
    assert refused[1]["error"]["data"] == {"reason": Reason.INBOUND_PATH_NOT_DECLARED}
    assert len(seen) == 1


async def test_a_task_of_one_server_is_not_that_of_another_with_the_same_id() -> None:
    created = json_answer(result({"task": {"taskId": "t1", "status": "working"}}))
    script, seen = answering(created, created, json_answer(result({"taskId": "t1", "status": "working"})))
    fetch = {"jsonrpc": "2.0", "id": 2, "method": "tasks/get", "params": {"taskId": "t1"}}
    async with meshed(script, TWO) as mesh:
        await mesh.ask(post("/a", call("search")))
        await mesh.ask(post("/b", call("drop")), OTHER)
        own = [await mesh.ask(post("/a", fetch)), await mesh.ask(post("/b", fetch), OTHER)]
    assert all("result" in answer for _, answer in own)
    assert len(seen) == 4


PATHS = [
    "/mcp",
    "/mcp/x",
    "/mcpx",
    "/MCP",
    "/mcp;x",
    "/",
    "/admin",
    "*",
    "//mcp",
    "/mcp/../admin",
    "/mcp%2fx",
    "mcp",
]
PREFIXES = ["", "http://app:9000", "http://app"]
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping","amount":1}'
BODIES = [
    b"",
    PING,
    b"[" + PING + b"]",
    b'{"METHOD":"ping","ID":1}',
    b"a=b",
    b'{"a":1}',
    PING.decode().encode("utf-16"),
]
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "accept": st.sampled_from(["text/event-stream", "application/json, text/event-stream", "*/*"]),
        "mcp-session-id": st.just("1"),
        "content-type": st.sampled_from(
            ["application/json", "text/plain", "application/x-www-form-urlencoded"]
        ),
        "x-http-method-override": st.just("DELETE"),
    },
)


def pipeline() -> Pipeline:
    """An inbound pipeline that connects to nothing."""
    nowhere: Any = None
    return Pipeline(
        policy_of(SERVER_POLICY),
        limits=Limits(),
        pool=nowhere,
        dialer=nowhere,
        recorder=recorder()[0],
        clock=Clock(),
        application=Application("127.0.0.1", (9000,)),
    )


PIPELINE = pipeline()


def leaves_as(method: str, target: str, fields: dict[str, str], body: bytes) -> bytes | None:
    """The request as the application would get it, None if it gets none."""
    try:
        head = request_head(f"{method} {target}", host="app:9000", **fields, content_length=str(len(body)))
    except HttpRefused:
        return None
    channel = Channel("inbound", Principal(TRIAGE), TRIAGE)
    step = PIPELINE.admit(head, channel)
    if not isinstance(step, Plan):
        return None
    if step.treatment is Treatment.HTTP:
        return PIPELINE.stream(step)
    sent = PIPELINE.inspect(step, body)
    return sent if isinstance(sent, bytes) else None


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"]),
    st.sampled_from(PREFIXES),
    st.sampled_from(PATHS) | st.text("/mcpx.%2;?", max_size=10),
    FIELDS,
    st.sampled_from(BODIES),
)
def test_with_a_grant_of_mcp_alone_nothing_outside_its_path_reaches_the_application(
    method: str, prefix: str, path: str, fields: dict[str, str], body: bytes
) -> None:
    sent = leaves_as(method, prefix + path, fields, body)
    if sent is not None:
        reached = sent.split(b" ")[1].partition(b"?")[0]
        assert reached == b"/mcp" or reached.startswith(b"/mcp/")
        assert sent.split(b" ")[0] in (b"GET", b"POST", b"DELETE")


def test_the_property_is_not_empty() -> None:
    fields = {"content-type": "application/json"}
    assert leaves_as("POST", "/mcp", fields, PING) is not None
    assert leaves_as("GET", "/mcp/x", {"accept": "text/event-stream"}, b"") is not None
    assert leaves_as("POST", "/admin", fields, PING) is None


async def test_metadata_is_asked_for_without_a_body() -> None:
    script, seen = answering(json_answer({}))
    async with meshed(script, SERVER_POLICY) as mesh:
        asked = request("GET", "/.well-known/oauth-protected-resource", b"amount=100")
        status, answer = await mesh.ask(asked)
    assert (status, answer["reason"]) == (403, Reason.PROTOCOL_NOT_ALLOWED)
    assert seen == []
