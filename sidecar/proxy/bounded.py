"""Connecting to a destination that may not lead everywhere: resolve once, decide on what is found, dial only that.

Who owns a name chooses its addresses, and can choose others a moment later (DNS rebinding). So what was decided is
what is dialled: the socket is connected to an address, and no name is resolved after the decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mesh.policy.address_space import space_of
from mesh.policy.boundary import Reach, stops
from mesh.reasons import Reason
from sidecar.proxy.lookups import Found
from sidecar.proxy.pool import ConnectFailed

ATTEMPT_SECONDS = 2.0
"""For each address but the last: one that is dead must not use up the time of those after it."""

MOST_ADDRESSES = 8

Connected = TypeVar("Connected")

Lookup = Callable[[str, int], Awaitable[list[Found]]]
"""Every address of a host, best first. Raises OSError where there is none."""

Observed = Callable[[str, str], None]
"""Told the destination, and why it would have been refused."""


async def bounded_connection(
    host: str,
    port: int,
    reach: str,
    *,
    lookup: Lookup,
    observed: Observed,
    connect: Callable[[str], Awaitable[Connected]],
) -> Connected:
    """What `connect` gives for the first address of `host` within `reach` that answers.

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
    return await _first_that_answers([text for _, text, _ in found[:MOST_ADDRESSES]], connect)


async def _first_that_answers(
    addresses: list[str], connect: Callable[[str], Awaitable[Connected]]
) -> Connected:
    """One address after the other, as the resolver ranked them (RFC 6724)."""
    failure: OSError = OSError("the name has no address")
    for number, address in enumerate(addresses, 1):
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS if number < len(addresses) else None):
                return await connect(address)
        except OSError as error:  # a TimeoutError is one too
            failure = error
    raise failure
