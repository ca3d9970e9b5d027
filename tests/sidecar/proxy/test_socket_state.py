"""Asking the kernel about a connection: has its peer gone, and what has it not taken yet?"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.proxy.socket_state import broken, hung_up, unsent


class Holding:
    """A transport, as far as the question needs one."""

    def __init__(self, sock: socket.socket | None) -> None:
        self._sock = sock

    def get_extra_info(self, name: str) -> Any:
        return self._sock if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        return 7


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        return server.accept()[0], peer


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


@pytest.mark.parametrize(
    ("what", "gone", "over"),
    [
        pytest.param(lambda peer: None, False, False, id="stays"),
        pytest.param(lambda peer: peer.send(b"unread"), False, False, id="sends"),
        pytest.param(lambda peer: (peer.send(b"unread"), peer.close()), True, False, id="sends and closes"),
        pytest.param(lambda peer: peer.shutdown(socket.SHUT_WR), True, False, id="ends its side"),
        pytest.param(reset, True, True, id="resets"),
    ],
)
def test_it_is_known_whatever_lies_unread(
    what: Callable[[socket.socket], object], gone: bool, over: bool
) -> None:
    ours, peer = pair()
    with ours, peer:
        what(peer)
        assert (hung_up(Holding(ours)), broken(Holding(ours))) == (gone, over)


def test_a_connection_without_a_socket_has_gone() -> None:
    ours, peer = pair()
    ours.close()
    peer.close()
    for transport in (Holding(ours), Holding(None)):
        assert hung_up(transport)
        assert broken(transport)
        assert unsent(transport) == 7


def test_what_the_peer_has_not_taken_is_counted_with_what_waits_here() -> None:
    ours, peer = pair()
    with ours, peer:
        ours.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += ours.send(b"x" * 65536)
        before = unsent(Holding(ours))
        while peer.recv(1 << 20, socket.MSG_DONTWAIT) and unsent(Holding(ours)) == before:
            pass
        assert 7 < unsent(Holding(ours)) < before <= sent + 7
