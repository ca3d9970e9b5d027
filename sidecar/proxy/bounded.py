"""Connecting to a destination that may not lead everywhere: resolve once, decide on what is found, dial only that.

Who owns a name chooses its addresses, and can choose others a moment later (DNS rebinding). So what was decided is
what is dialled: the socket is connected to an address, and no name is resolved after the decision.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from mesh.policy.address_space import space_of
from mesh.policy.boundary import Reach, stops
from mesh.reasons import Reason
from sidecar.proxy.lookups import Found
from sidecar.proxy.pool import ConnectFailed

ATTEMPT_SECONDS = 2.0
"""For each address but the last: one that is dead must not use up the time of those after it."""

MOST_ADDRESSES = 8

Lookup = Callable[[str, int], Awaitable[list[Found]]]
"""Every address of a host, best first. Raises OSError where there is none."""

Observed = Callable[[str, str], None]
"""Told the destination, and why it would have been refused."""


async def bounded_connection(
    host: str, port: int, reach: str, *, lookup: Lookup, observed: Observed
) -> socket.socket:
    """A socket that is connected to an address of `host` within `reach`.

    Raises ConnectFailed(EGRESS_PRIVATE_ADDRESS) where it has none, OSError where none can be reached.
    """
    found = await lookup(host, port)
    beyond = {text: space for _, text, _ in found if stops(reach, space := space_of(text))}
    if beyond:
        detail = f"{host} leads to " + ", ".join(f"{text} ({space})" for text, space in beyond.items())
        if reach == Reach.OBSERVED:
            # A host that is an address itself was decided, and recorded, before.
            if host not in beyond:
                observed(f"{host}:{port}", detail)
        else:
            found = [entry for entry in found if entry[1] not in beyond]
        if not found:
            raise ConnectFailed(Reason.EGRESS_PRIVATE_ADDRESS, detail)
    return await _first_that_answers(found[:MOST_ADDRESSES])


async def _first_that_answers(found: list[Found]) -> socket.socket:
    """One address after the other, as the resolver ranked them (RFC 6724)."""
    failure: OSError = OSError("the name has no address")
    for number, (family, _, address) in enumerate(found, 1):
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS if number < len(found) else None):
                return await _connect(family, address)
        except OSError as error:  # a TimeoutError is one too
            failure = error
    raise failure


async def _connect(family: int, address: tuple[Any, ...]) -> socket.socket:
    with ExitStack() as unless_connected:
        sock = unless_connected.enter_context(socket.socket(family, socket.SOCK_STREAM))
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        unless_connected.pop_all()
    return sock
