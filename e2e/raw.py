"""HTTP as bytes: requests are sent exactly as written, and answers are read without any client's forgiveness.

A probe must not be tidied up on its way, so nothing here knows how a request ought to look. Answers are framed by
a small reader of its own, so that a bug in the product's parser cannot hide itself here.
"""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 8.0
Header = tuple[bytes, bytes]


class NoAnswer(Exception):
    """The other side closed or fell silent before a whole answer had come; carries what did come."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[Header]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)

    def messages(self) -> list[Any]:
        """Every JSON-RPC message of the body, be it JSON or an event stream."""
        if (self.header(b"content-type") or b"").startswith(b"text/event-stream"):
            events = self.body.replace(b"\r\n", b"\n").split(b"\n\n")
            return [json.loads(data) for event in events if (data := _data(event))]
        if not self.body:
            return []
        value = json.loads(self.body)
        return value if isinstance(value, list) else [value]


def _data(event: bytes) -> bytes:
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


@dataclass(frozen=True, slots=True)
class Route:
    """How a server at localhost:`port` is reached: directly, or through a forward proxy in one of its two ways."""

    port: int
    path: str
    proxy: tuple[str, int] | None = None
    tunnel: bool = False

    @property
    def authority(self) -> str:
        return f"localhost:{self.port}"

    def connect(self) -> socket.socket:
        """A connection on which the request can be written; raises NoAnswer when a tunnel is refused."""
        connection = socket.create_connection(self.proxy or ("127.0.0.1", self.port), timeout=ANSWER_SECONDS)
        if self.tunnel:
            asked = f"CONNECT {self.authority} HTTP/1.1\r\nHost: {self.authority}\r\n\r\n"
            connection.sendall(asked.encode())
            answer = read_head(connection)
            if answer[0] != 200:
                raise NoAnswer(f"CONNECT was answered with {answer[0]}")
        return connection

    @property
    def target(self) -> str:
        """The request target: absolute-form where a proxy reads it, else origin-form."""
        absolute = self.proxy is not None and not self.tunnel
        return f"http://{self.authority}{self.path}" if absolute else self.path


def request(method: str, route: Route, headers: list[Header], body: bytes) -> bytes:
    """The bytes of one request. `headers` come as they are; Host, the length and Connection: close are added."""
    first = f"{method} {route.target} HTTP/1.1\r\nHost: {route.authority}\r\nConnection: close\r\n".encode()
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    framed = any(name.lower() == b"transfer-encoding" for name, _ in headers)
    length = b"" if framed else b"Content-Length: %d\r\n" % len(body)
    return first + lines + length + b"\r\n" + body


def exchange(route: Route, data: bytes) -> Answer:
    """Send the bytes on a new connection and read the one answer. Raises NoAnswer."""
    with route.connect() as connection:
        # When it is refused early the answer is on its way, or already here.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        return read_answer(connection)


def talk(route: Route, data: bytes) -> bytes:
    """Send the bytes and return everything that comes until the other side closes, as the last request asks."""
    said = b""
    with route.connect() as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
        with contextlib.suppress(OSError):
            while more := connection.recv(65536):
                said += more
    return said


def read_answer(connection: socket.socket) -> Answer:
    """One answer, past any interim ones. Raises NoAnswer."""
    status, headers, rest = read_head(connection)
    while status < 200:
        status, headers, rest = read_head(connection, rest)
    fields = dict(headers)
    if status in (204, 304):
        return Answer(status, headers, b"")
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        return Answer(status, headers, _chunks(connection, rest))
    if b"content-length" in fields:
        return Answer(status, headers, _sized(connection, rest, int(fields[b"content-length"])))
    return Answer(status, headers, _until_close(connection, rest))


def read_head(connection: socket.socket, rest: bytes = b"") -> tuple[int, list[Header], bytes]:
    while b"\r\n\r\n" not in rest:
        rest += _more(connection, rest)
    head, _, rest = rest.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        headers.append((name.strip().lower(), value.strip()))
    return int(first.split(b" ")[1]), headers, rest


def _more(connection: socket.socket, so_far: bytes) -> bytes:
    try:
        data = connection.recv(65536)
    except (TimeoutError, ConnectionResetError) as error:
        raise NoAnswer(f"{error!r} after {so_far[-300:]!r}") from error
    if not data:
        raise NoAnswer(f"closed after {so_far[-300:]!r}")
    return data


def _at_least(connection: socket.socket, rest: bytes, length: int) -> bytes:
    while len(rest) < length:
        rest += _more(connection, rest)
    return rest


def _until_close(connection: socket.socket, rest: bytes) -> bytes:
    while data := connection.recv(65536):
        rest += data
    return rest


def _sized(connection: socket.socket, rest: bytes, length: int) -> bytes:
    return _at_least(connection, rest, length)[:length]


def _chunks(connection: socket.socket, rest: bytes) -> bytes:
    body = b""
    while True:
        while b"\r\n" not in rest:
            rest += _more(connection, rest)
        line, _, rest = rest.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        rest = _at_least(connection, rest, size + 2)
        if size == 0:
            return body
        body += rest[:size]
        rest = rest[size + 2 :]
