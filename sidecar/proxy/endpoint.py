"""The `endpoint` event of HTTP+SSE: where a client shall POST its messages (MCP 2024-11-05)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar
from urllib.parse import urljoin

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import absolute_form, plain_path
from sidecar.proxy.plan import Plan

Owner = TypeVar("Owner")

MAX_ENDPOINTS = 4096
"""Endpoints that are remembered; the oldest are forgotten first."""

MAX_OF_ONE = 512
"""Of those, how many one server may announce: its own oldest go first, and not those of another."""

MAX_ENDPOINT_CHARACTERS = 512


class Endpoints(Generic[Owner]):
    """The endpoints that servers announced. `owners`: endpoint -> who announced it, None where two did: it would
    be decided by the rules of either, so it belongs to none."""

    __slots__ = ("_of_one", "owners")

    def __init__(self) -> None:
        self.owners: dict[str, Owner | None] = {}
        self._of_one: dict[Owner, deque[str]] = {}

    def learn(self, key: str, owner: Owner) -> bool:
        """Remember an endpoint; False if nothing changed by it."""
        owners = self.owners
        if len(key) > MAX_ENDPOINT_CHARACTERS:
            return False
        if key not in owners:
            own = self._of_one.setdefault(owner, deque())
            if len(own) >= MAX_OF_ONE:
                oldest = own.popleft()
                if owners.get(oldest) == owner:
                    del owners[oldest]
            if len(owners) >= MAX_ENDPOINTS:
                del owners[next(iter(owners))]
            own.append(key)
            owners[key] = owner
            return True
        known = owners[key]
        if known is None or known == owner:
            return False
        owners[key] = None
        return True

    def keep(self, owners: Collection[Owner]) -> None:
        """Forget what was announced by others than these."""
        kept = set(owners)
        for owner in [owner for owner in self._of_one if owner not in kept]:
            for key in self._of_one.pop(owner):
                if self.owners.get(key) == owner:
                    del self.owners[key]


def announced_path(data: str, plan: Plan) -> str | None:
    """The path of an endpoint on the same origin as the stream; None for any other.

    The specification wants the same origin; an endpoint elsewhere is a new destination and is decided as one.
    """
    origin = _origin(plan)
    try:
        here = absolute_form(origin.encode() + b"/")
        target = absolute_form(urljoin(origin + plan.routed.path.decode("latin-1"), data).encode())
        path = plain_path(target.path)
    except (HttpRefused, ValueError):
        return None
    return path if (target.host, target.port) == (here.host, here.port) else None


def _origin(plan: Plan) -> str:
    """Where the client took the stream from: a peer knows the application by the name in Host."""
    routed = plan.routed
    if routed.direction == "inbound" and routed.authority:
        return f"http://{routed.authority.decode('latin-1')}"
    host, port = routed.destination[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
