"""Tools of running servers: of both eras, in JSON and in event streams, and of servers that are none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cli.policy.live_tools import ServerFailed, list_tools
from tests.cli.policy.test_testing import rows

Answer = tuple[int, str, str]
Serve = Callable[[dict[str, Any], dict[str, str]], Answer]


@contextmanager
def serving(answer: Serve) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, kind, text = answer(body, {key.lower(): value for key, value in self.headers.items()})
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if body["method"] == "initialize":
                self.send_header("Mcp-Session-Id", "s1")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def result(body: dict[str, Any], value: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": value})


def page(body: dict[str, Any]) -> dict[str, Any]:
    if body["params"].get("cursor") == "2":
        return {"tools": [{"name": "list_issues"}]}
    return {"tools": [{"name": "get_issue"}], "nextCursor": "2"}


def modern(body: dict[str, Any], headers: dict[str, str]) -> Answer:
    meta = body["params"]["_meta"]
    assert headers["mcp-protocol-version"] == meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert headers["mcp-method"] == body["method"] == "tools/list"
    return 200, "application/json", result(body, page(body))


def legacy(body: dict[str, Any], headers: dict[str, str]) -> Answer:
    if body["method"] == "initialize":
        answer = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "serverInfo": {"name": "s", "version": "1"},
        }
        return 200, "text/event-stream", f"event: message\ndata: {result(body, answer)}\n\n"
    if headers.get("mcp-session-id") != "s1":
        return (
            400,
            "application/json",
            '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no session"}}',
        )
    assert headers["mcp-protocol-version"] == "2025-06-18"
    if "id" not in body:
        return 202, "application/json", ""
    note = '{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
    return 200, "text/event-stream", f": hello\n\ndata: {note}\n\ndata: {result(body, page(body))}\n\n"


def plain_text_to_modern(body: dict[str, Any], headers: dict[str, str]) -> Answer:
    return (
        legacy(body, headers) if "_meta" not in body.get("params", {}) else (400, "text/plain", "Bad Request")
    )


@pytest.mark.parametrize("server", [modern, legacy, plain_text_to_modern])
def test_every_page_is_read_in_either_era(server) -> None:
    with serving(server) as url:
        assert list_tools(url) == ("get_issue", "list_issues")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda body, _: (401, "text/plain", ""), "refuses who asks (401)"),
        (lambda body, _: (200, "text/html", "<html>"), "with no JSON"),
        (lambda body, _: (200, "text/event-stream", "data: {\n\n"), "broken event stream"),
        (
            lambda body, _: (200, "application/json", '{"jsonrpc":"2.0","id":99,"result":{}}'),
            "no answer in what",
        ),
        (
            lambda body, _: (200, "application/json", result(body, {"tools": [], "nextCursor": "x"})),
            "more than 100 pages",
        ),
    ],
)
def test_what_is_no_server_is_told(answer, words) -> None:
    with (
        serving(answer) as url,
        pytest.raises(ServerFailed, match=words.replace("(", r"\(").replace(")", r"\)")),
    ):
        list_tools(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/mcp", "ftp://x/", "nothing"])
def test_what_cannot_be_reached_is_told(url) -> None:
    with pytest.raises(ServerFailed):
        list_tools(url)


def test_headers_are_sent() -> None:
    def answer(body: dict[str, Any], headers: dict[str, str]) -> Answer:
        if headers.get("authorization") != "Bearer t":
            return 401, "text/plain", ""
        return modern(body, headers)

    with serving(answer) as url:
        assert list_tools(url, {"Authorization": "Bearer t"})


def test_the_command_asks_servers(outrider, manifests, write) -> None:
    with serving(modern) as url:
        for where in (url, f"github={url}"):
            code, out, _ = outrider("test", manifests, "--live", where, "-o", "json")
            assert code == 0
            assert {tool: one[0] for tool, one in rows(out).items()} == {
                "get_issue": "allowed",
                "list_issues": "allowed",
            }
        host, port = url.removeprefix("http://").removesuffix("/mcp").split(":")
        own = write(
            "own.yaml", open_text(manifests).replace("mcp-github.tools.svc", host).replace("8080", port)
        )
        _, out, _ = outrider("test", own, "--live", "backends", "-o", "json")
        assert set(rows(out)) == {"get_issue", "list_issues"}


def open_text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_backends_that_only_the_mesh_can_ask_are_told(outrider, manifests, write) -> None:
    text = open_text(manifests).replace("{mode: None}", "{mode: Mesh, identity: spiffe://td/ns/a/sa/b}")
    code, out, err = outrider("test", write("mesh.yaml", text), "--live", "backends", "-o", "json")
    assert code == 0
    assert "only the mesh can ask it" in err
    assert "list_*" in rows(out)


def test_a_server_that_cannot_be_asked_ends_with_2(outrider, manifests) -> None:
    code, _, err = outrider("test", manifests, "--live", "http://127.0.0.1:1/mcp")
    assert code == 2
    assert "cannot be asked" in err
