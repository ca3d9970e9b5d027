"""A cluster that is only read, over HTTP from a thread: lists in pages, single objects, logs, access reviews.

For the command line, whose client is synchronous; `api_server.FakeApiServer` is the one that is written to.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Obj = dict[str, Any]
PAGE = 2
TOKEN = "sesame"


@dataclass
class Cluster:
    """`lists` and `objects` by path, `texts` too; `status` answers a path with an error, `answers` with anything.
    `token` is asked for."""

    lists: dict[str, list[Obj]] = field(default_factory=dict)
    objects: dict[str, Obj] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    answers: dict[str, tuple[int, Obj | str]] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    token: str = TOKEN
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    reviews: list[Obj] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Obj | str]:
        if path in self.status:
            code = self.status[path]
            return code, {"kind": "Status", "message": f"{path} is answered with {code}", "code": code}
        if path in self.answers:
            return self.answers[path]
        if path in self.texts:
            return 200, self.texts[path]
        if path in self.lists:
            return 200, self._page(path, query)
        if path in self.objects:
            return 200, self.objects[path]
        return 404, {"kind": "Status", "message": f"{path} not found", "code": 404}

    def _page(self, path: str, query: dict[str, list[str]]) -> Obj:
        items = self.lists[path]
        if "labelSelector" in query:
            wanted = dict(one.split("=") for one in query["labelSelector"][0].split(","))
            items = [one for one in items if wanted.items() <= (one["metadata"].get("labels") or {}).items()]
        if "fieldSelector" in query:
            key, _, value = query["fieldSelector"][0].partition("=")
            items = [one for one in items if one.get(key) == value]
        start = int(query.get("continue", ["0"])[0])
        rest = {"continue": str(start + PAGE)} if start + PAGE < len(items) else {}
        return {
            "kind": "ThingList",
            "apiVersion": "v1",
            "metadata": rest,
            "items": items[start : start + PAGE],
        }

    def review(self, document: Obj) -> Obj:
        self.reviews.append(document)
        allowed = document["spec"]["resourceAttributes"]["resource"] not in self.denied
        return {**document, "status": {"allowed": allowed}}


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: else each answer waits for an acknowledgement

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            cluster.headers.append(dict(self.headers))
            cluster.requests.append(self.path)
            self._send(*cluster.answer(url.path, parse_qs(url.query)))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = urlsplit(self.path).path
            if path in cluster.status:
                self._send(*cluster.answer(path, {}))
            else:
                self._send(201, cluster.review(body))

        def _send(self, code: int, answer: Obj | str) -> None:
            if self.headers.get("Authorization") != f"Bearer {cluster.token}":
                code, answer = 401, {"message": "Unauthorized"}
            data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def serving(cluster: Cluster, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve it; gives the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cluster))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(folder: Path, server: str, token: str = TOKEN, **cluster: str | bool) -> Path:
    """A kubeconfig with the contexts `one` (namespace agents) and `other`."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "agents"}},
            {"name": "other", "context": {"cluster": "c", "user": "u"}},
        ],
        "current-context": "one",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path
