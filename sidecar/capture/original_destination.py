"""Where a redirected connection was meant to go: the kernel remembers it for as long as the connection lives.

Whoever dials a redirect port directly has no other destination. The kernel then answers ENOENT where it tracks
nothing, and otherwise the very address that was dialled; both mean that there is nothing to proxy to, and that
dialling it would come back to us for ever.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from typing import Final

SO_ORIGINAL_DST: Final = 80  # linux/netfilter_ipv4.h; IP6T_SO_ORIGINAL_DST has the same number
_IPV4 = struct.Struct("!2xH4s8x")  # struct sockaddr_in
_IPV6 = struct.Struct("!2xH4x16s4x")  # struct sockaddr_in6


def original_destination(sock: socket.socket) -> tuple[str, int] | None:
    """Address and port that the peer of this accepted connection dialled; None when it dialled us.

    IPv6 addresses come without brackets and zone; a peer that reached an IPv6 listener over IPv4 has an IPv4
    destination. Raises OSError for anything but an answer, such as a connection that is gone.
    """
    host, port = sock.getsockname()[:2]
    own = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(own, ipaddress.IPv6Address):
        own = own.ipv4_mapped or own
    try:
        if own.version == 4:
            found_port, packed = _IPV4.unpack(sock.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, _IPV4.size))
        else:
            found_port, packed = _IPV6.unpack(
                sock.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, _IPV6.size)
            )
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    found = ipaddress.ip_address(packed)
    return None if (found, found_port) == (own, port) else (str(found), found_port)
