"""Two programs without a secret, each in a thread: an agent that calls on with what it was given, and a server."""

from __future__ import annotations

import contextlib
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECONDS = 30


class Seen(list[str]):
    """The Authorization of each request that arrived, empty where there was none; `port` is where."""

    port: int = 0


@contextlib.contextmanager
def server(
    answer: Callable[[str], tuple[int, bytes]] = lambda _authorization: (200, b"done"),
    tls: ssl.SSLContext | None = None,
) -> Iterator[Seen]:
    """Answers every POST with what `answer` makes of its Authorization."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            seen.append(self.headers.get("Authorization", ""))
            status, body = answer(seen[-1])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        if tls is not None:
            listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        seen.port = listening.server_port
        thread = threading.Thread(target=listening.serve_forever, name="server", daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            listening.shutdown()
            thread.join()


def calls_on(url: str, proxy: Callable[[], str]) -> Callable[[str], tuple[int, bytes]]:
    """The agent: posts to `url` through its sidecar, with the Authorization that it was given."""

    def answer(authorization: str) -> tuple[int, bytes]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy()}))
        request = urllib.request.Request(url, b"{}", {"Authorization": authorization})  # noqa: S310 - ours
        try:
            with opener.open(request, timeout=SECONDS) as said:
                return said.status, said.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read()

    return answer
