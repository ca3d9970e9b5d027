from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import struct

import pytest
import uvloop

from sidecar.capture.original_destination import original_destination


class Accepted:
    """A socket whose kernel answers with `destination`, or with an error."""

    def __init__(self, own: tuple[str, int], destination: tuple[str, int] | int) -> None:
        self._own = own
        self._destination = destination
        self.asked: tuple[int, int, int] | None = None

    def getsockname(self) -> tuple[object, ...]:
        return (*self._own, 0, 0) if ":" in self._own[0] else self._own

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        self.asked = (level, name, size)
        if isinstance(self._destination, int):
            raise OSError(self._destination, "refused")
        host, port = self._destination
        packed = ipaddress.ip_address(host).packed
        if level == socket.SOL_IP:
            return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + packed + bytes(8)
        flow, scope = b"\1\2\3\4", b"\5\6\7\x08"
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!H", port) + flow + packed + scope


@pytest.mark.parametrize(
    ("own", "destination", "level", "size"),
    [
        (("127.0.0.1", 15001), ("192.0.2.1", 443), socket.SOL_IP, 16),
        (("10.0.0.5", 15006), ("10.0.0.5", 9000), socket.SOL_IP, 16),
        (("::1", 15001), ("2001:db8::1", 443), socket.IPPROTO_IPV6, 28),
        (("fe80::5%eth0", 15006), ("fe80::5", 9000), socket.IPPROTO_IPV6, 28),
        (("::ffff:127.0.0.1", 15001), ("192.0.2.1", 443), socket.SOL_IP, 16),
    ],
)
def test_the_kernel_is_asked_in_the_ip_version_of_the_connection(own, destination, level, size) -> None:
    accepted = Accepted(own, destination)
    assert original_destination(accepted) == destination  # type: ignore[arg-type]
    assert accepted.asked == (level, 80, size)


@pytest.mark.parametrize("own", [("10.0.0.5", 15006), ("2001:db8::5", 15006), ("::ffff:10.0.0.5", 15006)])
def test_who_dialled_us_has_no_other_destination(own) -> None:
    itself = (own[0].removeprefix("::ffff:"), own[1])
    assert original_destination(Accepted(own, itself)) is None  # type: ignore[arg-type]
    assert original_destination(Accepted(own, errno.ENOENT)) is None  # type: ignore[arg-type]


def test_any_other_error_is_the_callers() -> None:
    with pytest.raises(OSError, match="refused"):
        original_destination(Accepted(("127.0.0.1", 15001), errno.ENOTCONN))  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_that_nobody_redirected_has_none(host) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        with socket.create_connection(server.getsockname()[:2]):
            accepted, _ = server.accept()
            with accepted:
                assert original_destination(accepted) is None


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_the_sockets_of_transports_can_be_asked(new_loop) -> None:
    """Neither event loop hands out its sockets themselves, but something that answers for them."""

    async def ask() -> object:
        answer = asyncio.get_running_loop().create_future()

        class Server(asyncio.Protocol):
            def connection_made(self, transport) -> None:
                answer.set_result(original_destination(transport.get_extra_info("socket")))
                transport.close()

        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            found = await answer
            writer.close()
            await writer.wait_closed()
        return found

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(ask()) is None
