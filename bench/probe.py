"""Asking a proxy once, before it is measured: does it answer, does it decide, does it filter?

Without this a fast refusal could pass for a fast proxy.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable

from bench import payloads
from bench.load import Endpoint, Tunnel
from bench.proxies.base import AUTHORITY, Proxy, Site

TIMEOUT = 5.0
POLL_SECONDS = 0.001


class ProbeFailed(Exception):
    """The proxy does not do what it is measured for: its configuration is at fault."""


def ask(endpoint: Endpoint, request: bytes) -> tuple[int, bytes]:
    """Send one request on a new connection; returns status and body. Raises OSError or HTTPException."""
    with socket.create_connection(("127.0.0.1", endpoint.port), TIMEOUT) as plain:
        connection = _secured(endpoint, plain)
        connection.sendall(request)
        response = http.client.HTTPResponse(connection, method="POST")
        response.begin()
        return response.status, response.read()


def wait_until_answering(
    endpoint: Endpoint, request: bytes, alive: Callable[[], None], seconds: float
) -> None:
    """Ask until the answer is a 200; raises ProbeFailed when the time is up, and what `alive` raises."""
    deadline = time.monotonic() + seconds
    last: object = "nothing"
    while time.monotonic() < deadline:
        alive()
        try:
            status, body = ask(endpoint, request)
        except (OSError, http.client.HTTPException) as failure:
            last = failure
        else:
            if status == 200 and b'"result"' in body:
                return
            last = (status, body[:200])
        time.sleep(POLL_SECONDS)
    raise ProbeFailed(f"no good answer in {seconds:g} s, but {last!r}")


def check(proxy: Proxy, site: Site, endpoint: Endpoint) -> None:
    """Check a granted call, a refused one and the list through a proxy; raises ProbeFailed."""

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        return ask(endpoint, payloads.http_request(proxy.target(site, path), AUTHORITY, body))

    status, body = answer(payloads.CALL_PATH, payloads.tools_call(500))
    if status != 200 or body != payloads.call_answer():
        raise ProbeFailed(f"{proxy.name}: a granted call is answered {status} {body[:200]!r}")
    status, body = answer(payloads.CALL_PATH, payloads.tools_call(500, payloads.REFUSED))
    if proxy.decides == (b'"result"' in body):
        raise ProbeFailed(f"{proxy.name}: a call of a hidden tool is answered {status} {body[:200]!r}")
    status, body = answer(payloads.LIST_PATH, payloads.tools_list())
    expected = len(payloads.GRANTED) if proxy.filters_lists else len(payloads.GRANTED + payloads.HIDDEN)
    if status != 200 or len(json.loads(body)["result"]["tools"]) != expected:
        raise ProbeFailed(f"{proxy.name}: the list is answered {status} {body[:200]!r}")


def _secured(endpoint: Endpoint, plain: socket.socket) -> socket.socket:
    if endpoint.tunnel is not None:
        return _tunnelled(endpoint.tunnel, plain)
    return plain if endpoint.trust is None else _context(endpoint).wrap_socket(plain)


def _tunnelled(tunnel: Tunnel, plain: socket.socket) -> socket.socket:
    context = ssl.create_default_context(cafile=str(tunnel.root))
    plain.sendall(f"CONNECT {tunnel.authority} HTTP/1.1\r\nHost: {tunnel.authority}\r\n\r\n".encode("ascii"))
    answer = plain.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise http.client.HTTPException(f"CONNECT is answered {answer[:200]!r}")
    return context.wrap_socket(plain, server_hostname=tunnel.host)


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if endpoint.trust is not None:
        context.load_verify_locations(endpoint.trust.authority)
        context.load_cert_chain(endpoint.trust.peer.certificate, endpoint.trust.peer.key)
    return context
