"""File descriptors: as many as the system grants, since each connection takes one and each call upstream another.

Soft limits are low for programs that use select(2), which this one does not. Where accepting fails for lack of a
descriptor, every listener refuses everybody, whichever of them used them up; so that is said at start.
"""

from __future__ import annotations

import resource
from typing import Final

# Log, policies, resolver, libraries being loaded, identity.
SPARE: Final = 128


def raise_limit() -> int:
    """Raise the soft limit to the hard one; returns what holds then, -1 for no limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return soft  # a hard limit above what the kernel has room for
    return hard


def shortage(limit: int, connections: int, listeners: int) -> str | None:
    """A sentence where `limit` descriptors are too few for `listeners` with `connections` each."""
    needed = 2 * connections * listeners + SPARE
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return None
    return (
        f"{limit} file descriptors are too few for limits.connections: {connections} on {listeners} listeners, "
        f"which may need {needed}; raise the hard limit (RLIMIT_NOFILE), or lower limits.connections"
    )
