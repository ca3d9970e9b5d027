"""What the kernel knows of a connection and no event tells.

While reading is paused an event loop does not look at a socket at all, so that the end of a connection goes
unnoticed however long the pause lasts; and of a connection that takes data slowly it hears again only when a third
of the buffer is free. The kernel can be asked without taking anything from the connection: POLLRDHUP is set as
soon as a FIN or a reset has arrived, whatever lies unread before it (poll(2)), and TIOCOUTQ counts what the other
side has not confirmed (tcp(7)).
"""

from __future__ import annotations

import fcntl
import select
import struct
import termios
from typing import Any

_BROKEN = select.POLLHUP | select.POLLERR | select.POLLNVAL
_GONE = select.POLLRDHUP | _BROKEN
_INT = struct.Struct("i")


def hung_up(transport: Any) -> bool:
    """Whether the peer of an asyncio transport will send no more than has arrived. Never blocks."""
    return bool(_state(transport) & _GONE)


def broken(transport: Any) -> bool:
    """Whether the connection is over in both directions, as after a reset."""
    return bool(_state(transport) & _BROKEN)


def unsent(transport: Any) -> int:
    """Bytes written to an asyncio transport that its peer has not confirmed."""
    descriptor = _descriptor(transport)
    queued = 0
    if descriptor >= 0:
        (queued,) = _INT.unpack(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(_INT.size)))
    return int(transport.get_write_buffer_size()) + queued


def _state(transport: Any) -> int:
    descriptor = _descriptor(transport)
    if descriptor < 0:
        return select.POLLNVAL
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    return sum(events for _, events in poll.poll(0))


def _descriptor(transport: Any) -> int:
    sock = transport.get_extra_info("socket")
    return -1 if sock is None else int(sock.fileno())
