"""The kubelet's own server, as far as the API server asks it for logs."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from e2e.cluster.certificates import Pair
from e2e.cluster.container import Container

FOLLOW_SECONDS = 0.1
FindContainer = Callable[[str, str, str], Container | None]


class KubeletServer(ThreadingHTTPServer):
    """HTTPS for whoever the cluster's authority knows, which is the API server."""

    daemon_threads = True

    def __init__(self, address: str, pair: Pair, authority: Path, find: FindContainer) -> None:
        super().__init__((address, 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
        # The handshake is done by the thread of the request, so that nobody holds up the others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.find = find
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="kubelet", daemon=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join(10)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no error of anybody's."""


class _Handler(BaseHTTPRequestHandler):
    server: KubeletServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = parts.path.strip("/").split("/"), parse_qs(parts.query)
        if len(path) != 4 or path[0] != "containerLogs":
            self.send_error(404)
            return
        container = self.server.find(path[1], path[2], path[3])
        if container is None:
            self.send_error(404, f"container {path[3]} not found in pod {path[2]}")
            return
        asked = {name: values[0] for name, values in query.items()}
        log = container.before if asked.get("previous") == "true" else container.log
        if log is None or not log.exists():
            self.send_error(400, f"previous terminated container {path[3]} not found")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self._send(container, log, asked)

    def _send(self, container: Container, log: Path, asked: dict[str, str]) -> None:
        data = log.read_bytes()
        sent = len(data)
        if (tail := asked.get("tailLines")) is not None:
            lines = data.splitlines(keepends=True)
            data = b"".join(lines[-int(tail) :] if int(tail) else [])
        if (limit := asked.get("limitBytes")) is not None:
            data = data[: int(limit)]
        self.wfile.write(data)
        while asked.get("follow") == "true" and not self.server.closing.is_set():
            running = container.running
            with log.open("rb") as file:
                file.seek(sent)
                more = file.read()
            self.wfile.write(more)
            sent += len(more)
            if not running:
                return
            time.sleep(FOLLOW_SECONDS)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written for a request."""
