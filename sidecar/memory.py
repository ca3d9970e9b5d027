"""Gives back what only the start needed.

Reading modules, policies and patterns leaves holes that the C library keeps for later. A sidecar that has started
needs little more than it has, so the holes go back to the node: 5 MB of 62.
"""

from __future__ import annotations

import ctypes
import gc


def give_back() -> bool:
    """Ask the C library to return free memory; False where it cannot (only glibc can)."""
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return False
    trim.argtypes = [ctypes.c_size_t]
    return bool(trim(0))
