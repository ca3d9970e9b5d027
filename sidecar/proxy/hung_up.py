"""Has the other side gone? Asked of a connection that is not being read.

While reading is paused an event loop does not look at a socket at all, so that the end of a connection goes
unnoticed however long the pause lasts. The kernel knows, and can be asked without taking anything from the
connection: POLLRDHUP is set as soon as a FIN or a reset has arrived, whatever lies unread before it (poll(2)).
"""

from __future__ import annotations

import select
from typing import Any

_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL


def hung_up(transport: Any) -> bool:
    """Whether the peer of an asyncio transport will send no more than has arrived. Never blocks."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP)
    return any(events & _GONE for _, events in poll.poll(0))
