"""Asking the kernel whether the peer of a connection that is not read has gone."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.proxy.hung_up import hung_up


class Holding:
    """A transport, as far as the question needs one."""

    def __init__(self, sock: socket.socket | None) -> None:
        self._sock = sock

    def get_extra_info(self, name: str) -> Any:
        return self._sock if name == "socket" else None


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        return server.accept()[0], peer


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


@pytest.mark.parametrize(
    ("what", "gone"),
    [
        pytest.param(lambda peer: None, False, id="stays"),
        pytest.param(lambda peer: peer.send(b"unread"), False, id="sends"),
        pytest.param(lambda peer: (peer.send(b"unread"), peer.close()), True, id="sends and closes"),
        pytest.param(lambda peer: peer.shutdown(socket.SHUT_WR), True, id="ends its side"),
        pytest.param(reset, True, id="resets"),
    ],
)
def test_it_is_known_whatever_lies_unread(what: Callable[[socket.socket], object], gone: bool) -> None:
    ours, peer = pair()
    with ours, peer:
        what(peer)
        assert hung_up(Holding(ours)) is gone


def test_a_connection_without_a_socket_has_gone() -> None:
    ours, peer = pair()
    ours.close()
    peer.close()
    assert hung_up(Holding(ours))
    assert hung_up(Holding(None))
