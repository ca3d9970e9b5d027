"""Which core does what: the proxy alone on one, what loads it and what answers it on others."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of the cores for the proxy, the load generator and the upstream (the last two may be one)."""

    proxy: int
    load: int
    upstream: int


def choose(available: list[int]) -> Cores:
    """Assign the cores that this process may use; with only one, all share it and times mean little.

    The proxy gets the last core, because the first one usually serves the machine's interrupts.
    """
    if not available:
        raise ValueError("no core to run on")
    return Cores(proxy=available[-1], load=available[0], upstream=available[1 % max(1, len(available) - 1)])


def available() -> list[int]:
    """The cores that this process may run on, in order."""
    return sorted(os.sched_getaffinity(0))
