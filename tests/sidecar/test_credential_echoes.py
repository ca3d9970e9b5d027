"""A server that shows what it was sent: nothing of a credential reaches the agent or the log, wherever it is."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.support.fakes import Lines
from tests.support.loopback import Script, answering, call, client_of, json_answer, read_request, result
from tests.support.slow import until
from tests.support.user_pod import POLICY, UserPod, user_pod

OK = json_answer(result({"content": []}))
TOKEN = "exchanged-token-1"
HTTP = POLICY.replace("protocol: MCP", "protocol: HTTP").replace(', tools: {allow: ["*"]}', "")


def raw(head: str, body: str = "{}") -> bytes:
    return f"HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


ECHOES = {
    "reason phrase": raw(f"200 {TOKEN}"),
    "Content-Encoding": raw(f"200 OK\r\ncontent-encoding: {TOKEN}"),
    "Content-Type": raw(f"200 OK\r\ncontent-type: {TOKEN}"),
    "Transfer-Encoding": f"HTTP/1.1 200 OK\r\ntransfer-encoding: {TOKEN}\r\n\r\n{{}}".encode(),
    "Content-Length": f"HTTP/1.1 200 OK\r\ncontent-length: {TOKEN}\r\n\r\n{{}}".encode(),
    "no field": raw(f"200 OK\r\n{TOKEN} x"),
    "no status": raw(f"{TOKEN} OK"),
    "a name": raw(f"200 OK\r\n{TOKEN}: x"),
    "a zero byte": raw(f"200 OK\r\nx: \0{TOKEN}"),
    "Location": raw(f"302 Found\r\nlocation: https://x.example/?t={TOKEN}"),
    "ETag": raw(f"200 OK\r\netag: {TOKEN}"),
    "a method": raw(
        "200 OK\r\ncontent-type: application/json", json.dumps({"jsonrpc": "2.0", "method": TOKEN, "id": 1})
    ),
    "escapes": raw(
        "200 OK\r\ncontent-type: application/json",
        json.dumps(result({"content": [{"type": "text", "text": TOKEN}]})).replace("exch", "\\u0065xch"),
    ),
    "escapes in an event": raw(
        "200 OK\r\ncontent-type: text/event-stream",
        "data: " + json.dumps(result({"text": TOKEN})).replace("exch", "\\u0065x\\u0063h") + "\n\n",
    ),
    "escapes in what is no JSON-RPC": raw(
        "200 OK\r\ncontent-type: application/json",
        json.dumps({"jsonrpc": "2.0", "id": 1, TOKEN: 1, "method": 7}).replace("exch", "\\u0065xch"),
    ),
    "escapes in a repeated name": raw(
        "200 OK\r\ncontent-type: application/json", f'{{"\\u0065{TOKEN[1:]}":1,"\\u0065{TOKEN[1:]}":2}}'
    ),
}


@dataclass
class World:
    """An agent with a user's handle; `sent` is what the server saw."""

    pod: UserPod
    sent: list[tuple[bytes, bytes]]
    lines: Lines


@asynccontextmanager
async def world(*answers: bytes, policy: str = POLICY, script: Script | None = None) -> AsyncIterator[World]:
    scripted, sent = answering(*answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.user_pod.POLICY", policy)
        async with user_pod(script or scripted) as pod:
            lines = Lines()
            pod.sidecar.recorder.log = lines  # type: ignore[assignment]
            await pod.ask("alice")
            yield World(pod, sent, lines)


async def seen_by_agent(w: World, method: str = "POST", user: str = "alice", **fields: str) -> bytes:
    """All that the agent gets for one request, on a connection of its own."""
    body = json.dumps(call("search")).encode() if method == "POST" else b""
    host = f"127.0.0.1:{w.pod.server}"
    sent = {
        "host": host,
        "authorization": f"Bearer {w.pod.handles[user]}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **fields,
    }
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items())
    async with client_of(w.pod.forward) as client, asyncio.timeout(5):
        await client.send(f"{method} http://{host}/mcp HTTP/1.1\r\n{lines}\r\n".encode() + body)
        return await client.reader.read(-1)


@pytest.mark.parametrize("policy", [POLICY, HTTP], ids=["MCP", "HTTP"])
@pytest.mark.parametrize("where", [name for name in ECHOES if not name.startswith("escapes")])
async def test_an_echo_reaches_neither_the_agent_nor_the_log(where: str, policy: str) -> None:
    async with world(ECHOES[where], policy=policy) as w:
        answer = await seen_by_agent(w)
        assert answer.startswith(b"HTTP/1.1 ")
        assert TOKEN.encode() not in answer
        assert TOKEN not in repr(w.lines.lines)
        assert f"authorization: Bearer {TOKEN}".encode() in w.sent[0][0]


@pytest.mark.parametrize("where", [name for name in ECHOES if name.startswith("escapes")])
async def test_an_echo_in_escapes_of_json_is_read_before_it_is_searched(where: str) -> None:
    async with world(ECHOES[where]) as w:
        answer = await seen_by_agent(w)
        assert TOKEN.encode() not in answer
        assert b"\\u0065" not in answer
        assert TOKEN not in repr(w.lines.lines)


@pytest.mark.parametrize(("status", "phrase"), [(200, b"OK"), (404, b"Not Found"), (299, b""), (599, b"")])
async def test_the_reason_phrase_is_the_one_of_the_status(status: int, phrase: bytes) -> None:
    async with world(raw(f"{status} Of its own"), policy=HTTP) as w:
        answer = await seen_by_agent(w, "GET")
        assert answer.startswith(b"HTTP/1.1 %d %b\r\n" % (status, phrase))


@pytest.mark.parametrize("policy", [POLICY, HTTP], ids=["MCP", "HTTP"])
async def test_the_agent_cannot_ask_for_a_part_or_for_another_charset(policy: str) -> None:
    async with world(OK, policy=policy) as w:
        await seen_by_agent(
            w, range="bytes=0-5", if_range='"a"', accept_charset="utf-16", accept_encoding="gzip"
        )
        names = re.findall(rb"\r\n([a-z-]+):", w.sent[0][0])
        assert {b"range", b"if-range", b"accept-charset"}.isdisjoint(names)
        assert b"\r\naccept-encoding: identity\r\n" in w.sent[0][0]


@pytest.mark.parametrize(
    "charset", ["utf-16", "UTF-16LE", '"utf-32be"', "utf-7", "cp037", "iso-2022-jp", "x"]
)
async def test_text_in_which_nothing_would_be_found_is_refused(charset: str) -> None:
    echo = TOKEN.encode("utf-16-le")
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain; Charset={charset}\r\ncontent-length: {len(echo)}\r\n\r\n"
    async with world(head.encode() + echo, policy=HTTP) as w:
        answer = await seen_by_agent(w, "GET")
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"upstream_content_type" in answer
        assert echo not in answer


@pytest.mark.parametrize(
    "charset", ["utf-8", "UTF8", '"us-ascii"', "iso-8859-1", "windows-1252", "Shift_JIS"]
)
async def test_text_that_holds_ascii_as_it_is_passes(charset: str) -> None:
    async with world(raw(f"200 OK\r\ncontent-type: text/plain; charset={charset}", TOKEN), policy=HTTP) as w:
        answer = await seen_by_agent(w, "GET")
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"[outrider:credential]" in answer


async def test_another_users_token_is_blotted_out_as_well() -> None:
    leak = json_answer(result({"content": [{"type": "text", "text": f"log: {TOKEN} exchanged-token-2"}]}))
    async with world(OK, leak) as w:
        await seen_by_agent(w)
        await w.pod.ask("bob")
        answer = await seen_by_agent(w, user="bob")
        assert b"authorization: Bearer exchanged-token-2" in w.sent[1][0]
        assert b"log: [outrider:credential] [outrider:credential]" in answer


async def test_a_stream_does_not_tell_a_token_that_was_issued_meanwhile() -> None:
    issued = asyncio.Event()
    both = {"data": f"{TOKEN} exchanged-token-2"}
    note = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": both})

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await read_request(reader)
            if not head.startswith(b"GET"):
                writer.write(OK)
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: begun\n\n")
            await issued.wait()
            writer.write(b"data: %b\n\n" % note.replace("token-2", "token\\u002d2").encode())
            writer.write(b": %b\n\n" % note.encode())
            return

    async with world(script=script) as w:
        async with asyncio.TaskGroup() as group:
            stream = group.create_task(seen_by_agent(w, "GET"))
            await until(lambda: len(w.pod.idp.tokens) == 1)
            await w.pod.ask("bob")
            assert b"HTTP/1.1 200" in await seen_by_agent(w, user="bob")
            issued.set()
        passed = await stream
        assert passed.count(b"[outrider:credential] [outrider:credential]") == 2
        assert len(w.pod.idp.tokens) == 2


@pytest.mark.parametrize(
    ("method", "status"), [("DELETE", "200 OK"), ("POST", "202 Accepted"), ("POST", "404 Not Found")]
)
async def test_an_answer_that_is_no_result_is_framed_as_it_is_shown(method: str, status: str) -> None:
    echo = f"{TOKEN} in the text of an answer"
    async with world(raw(f"{status}\r\ncontent-type: text/plain", echo)) as w:
        answer = await seen_by_agent(w, method)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert b"content-length" not in head
        assert b"[outrider:credential] in the text of an answer" in body
        assert body.endswith(b"\r\n0\r\n\r\n")
