"""What streams need of a proxy: nothing held back, and whoever goes away is noticed on the other side at once.

The server is a raw socket in the test itself, so that each side's next step waits for what the other has seen.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e import sidecars
from e2e.conftest import Sidecars
from e2e.loopholes import ACCEPT
from e2e.probing import JSON_TYPE
from e2e.raw import Route, read_head, request

SECONDS = 5.0
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{}}}'
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"Mcp-Session-Id: s\r\n\r\n"
)
EVENTS = [
    b": still there\n\n",
    b"id: 1\nretry: 100\ndata: \n\n",
    b'id: 2\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress",'
    b'"params":{"progressToken":1,"progress":1}}\n\n',
]


@dataclass(slots=True)
class Middle:
    """The sidecar with this test's own server behind it."""

    listener: socket.socket
    route: Route

    def accepted(self) -> socket.socket:
        connection, _ = self.listener.accept()
        connection.settimeout(SECONDS)
        return connection


@pytest.fixture(scope="module")
def middle(sidecar: Sidecars) -> Iterator[Middle]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        port = listener.getsockname()[1]
        documents = [
            sidecars.backend("streams", port),
            sidecars.policy({"backend": "streams", "tools": {"allow": ["slow"]}}),
        ]
        yield Middle(listener, Route(port, "/mcp", sidecar("streams", documents).forward))


def _asked(middle: Middle) -> tuple[socket.socket, socket.socket]:
    """A client whose call has arrived at the server: (client side, server side)."""
    client = middle.route.connect()
    client.sendall(request("POST", middle.route, [JSON_TYPE, ACCEPT], CALL))
    server = middle.accepted()
    _read_until(server, CALL[-20:])
    return client, server


def _read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        more = connection.recv(65536)
        assert more, data
        data += more
    return data


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _gone(connection: socket.socket) -> bool:
    """Whether the other side has closed; waits for it for at most SECONDS."""
    try:
        return connection.recv(65536) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_each_event_arrives_before_the_next_one_is_sent(middle: Middle) -> None:
    client, server = _asked(middle)
    with client, server:
        server.sendall(STREAM)
        status, headers, rest = read_head(client)
        assert status == 200
        assert (b"mcp-session-id", b"s") in headers
        for event in EVENTS:
            server.sendall(_chunk(event))
            while event not in rest:
                more = client.recv(65536)
                assert more, rest
                rest += more


def test_a_client_that_leaves_before_the_answer_is_noticed_upstream(middle: Middle) -> None:
    client, server = _asked(middle)
    with server:
        client.close()
        assert _gone(server)


def test_a_client_that_leaves_during_the_answer_is_noticed_upstream(middle: Middle) -> None:
    client, server = _asked(middle)
    with server:
        server.sendall(STREAM + _chunk(EVENTS[0]))
        _, _, rest = read_head(client)
        while EVENTS[0] not in rest:
            rest += client.recv(65536)
        client.close()
        assert _gone(server)


def test_a_server_that_breaks_off_its_stream_is_noticed_by_the_client(middle: Middle) -> None:
    client, server = _asked(middle)
    with client:
        server.sendall(STREAM + _chunk(EVENTS[0]))
        _, _, rest = read_head(client)
        server.close()
        while more := client.recv(65536):
            rest += more
        assert not rest.endswith(b"0\r\n\r\n"), "a broken stream must not look like a finished one"


def test_a_server_that_closes_without_an_answer_becomes_a_502(middle: Middle) -> None:
    client, server = _asked(middle)
    with client:
        server.close()
        status, _, _ = read_head(client)
        assert status == 502
