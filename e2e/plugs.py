"""Sockets inside pods: a listener and a dialler of any user, held by the test itself.

A socket stays in the namespace that it was made in, and belongs to the user that made it, so that neither needs a
process of its own.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from e2e.namespaces import Pod

SECONDS = 3.0
APPLICATION = 1000
SIDECAR = 1774


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket. What it accepts belongs to the same user, as it would in that user's process."""

    pod: Pod
    uid: int
    listener: socket.socket

    def accept(self, seconds: float = SECONDS) -> socket.socket:
        """The next connection. Raises TimeoutError."""
        self.listener.settimeout(seconds)
        connection, _ = self.pod.inside(self.listener.accept, uid=self.uid)
        connection.settimeout(SECONDS)
        return connection


def family(address: str) -> socket.AddressFamily:
    """The socket family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextlib.contextmanager
def listening(pod: Pod, address: str, port: int, *, uid: int = APPLICATION) -> Iterator[Listener]:
    """A TCP listener in the pod."""

    def make() -> socket.socket:
        listener = socket.socket(family(address))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
        return listener

    with pod.inside(make, uid=uid) as listener:
        yield Listener(pod, uid, listener)


@contextlib.contextmanager
def bound(pod: Pod, address: str, port: int, *, uid: int = APPLICATION) -> Iterator[socket.socket]:
    """A UDP socket in the pod."""

    def make() -> socket.socket:
        receiver = socket.socket(family(address), socket.SOCK_DGRAM)
        receiver.bind((address, port))
        receiver.settimeout(SECONDS)
        return receiver

    with pod.inside(make, uid=uid) as receiver:
        yield receiver


@contextlib.contextmanager
def dialled(
    pod: Pod,
    address: str,
    port: int,
    *,
    uid: int = APPLICATION,
    gid: int | None = None,
    source: tuple[str, int] | None = None,
    options: tuple[tuple[int, int, int | bytes], ...] = (),
    seconds: float = SECONDS,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    protocol: int = 0,
) -> Iterator[socket.socket]:
    """A connection from the pod. Raises what connect() raises."""

    host, _, zone = address.partition("%")
    target = (host, port, 0, int(zone)) if zone else (host, port)

    def dial() -> socket.socket:
        with contextlib.ExitStack() as stack:
            dialler = stack.enter_context(socket.socket(family(address), kind, protocol))
            dialler.settimeout(seconds)
            for level, name, value in options:
                dialler.setsockopt(level, name, value)
            if source is not None:
                dialler.bind(source)
            dialler.connect(target)
            stack.pop_all()
            return dialler

    with pod.inside(dial, uid=uid, gid=gid) as dialler:
        yield dialler
