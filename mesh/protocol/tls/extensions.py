"""What the extensions of a ClientHello say that decide where a connection goes, and how it is spoken.

All functions raise NotClientHello for data that does not fit its grammar exactly.
"""

from __future__ import annotations

import re

from mesh.protocol.tls.cursor import Cursor, NotClientHello, malformed
from mesh.reasons import Reason

_HOST_NAME = 0
_TWO_BYTES = 2**16 - 1
_MOST_NAME_BYTES = 253

# The same grammar as for the hosts of requests: underscores occur in service names.
_LABEL = rb"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rb"%s(?:\.%s)*" % (_LABEL, _LABEL))
_NUMERIC = re.compile(rb"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.DOTALL)


def server_name(data: bytes) -> str:
    """The name of the server, in lower case and without trailing dot (RFC 6066, section 3).

    Exactly one name of type host_name: others are not defined, and two of one type are forbidden.
    """
    extension = Cursor(data, "server_name")
    names = Cursor(extension.vector(2, 1, _TWO_BYTES), "the list of server_name")
    extension.end()
    kind = names.number(1)
    if kind != _HOST_NAME:
        raise _no_name(f"a name of type {kind}, which is none")
    name = names.vector(2, 1, _TWO_BYTES)
    if not names.at_end:
        raise _no_name("more than one name")
    return _normal(name)


def _normal(name: bytes) -> str:
    plain = name.lower().removesuffix(b".")
    if not plain.isascii():
        raise _no_name("a name that is not ASCII; international names have an xn-- form")
    if b":" in plain or _NUMERIC.fullmatch(plain):
        raise _no_name("an IP address, or what some take for one, and not the name of a host")
    if len(plain) > _MOST_NAME_BYTES or _NAME.fullmatch(plain) is None:
        raise _no_name("what is no name of a host")
    return plain.decode("ascii")


def alpn(data: bytes) -> tuple[bytes, ...]:
    """The protocols that the client offers, as they stand, the preferred first (RFC 7301, 3.1)."""
    extension = Cursor(data, "application_layer_protocol_negotiation")
    names = Cursor(extension.vector(2, 2, _TWO_BYTES), "the list of protocols")
    extension.end()
    found: list[bytes] = []
    while not names.at_end:
        found.append(names.vector(1, 1, 255))
    return tuple(found)


def supported_versions(data: bytes) -> tuple[int, ...]:
    """The versions that the client offers, without GREASE (RFC 8446, 4.2.1)."""
    extension = Cursor(data, "supported_versions")
    raw = extension.vector(1, 2, 254)
    extension.end()
    if len(raw) % 2:
        raise malformed("half a version in supported_versions")
    found = (int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2))
    return tuple(version for version in found if not _is_grease(version))


def _is_grease(value: int) -> bool:
    """0x0a0a, 0x1a1a, ... 0xfafa (RFC 8701, section 2)."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def _no_name(what: str) -> NotClientHello:
    return NotClientHello(Reason.SERVER_NAME_INVALID, f"server_name holds {what}")
