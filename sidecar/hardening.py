"""Keys, tokens and secrets are in this process's memory: no core dump shows it, and no other process reads it.

A process that is not dumpable leaves no core file, whatever `core_pattern` says, and its /proc/PID/mem, environ
and file descriptors belong to root: one of the same user in the pod, with shared processes, is kept out like any
other (prctl(2), PR_SET_DUMPABLE; ptrace(2)). Its own ways to them stay open. Root of the node, with
CAP_SYS_PTRACE, is above all of this.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def harden(report: Callable[[str], None]) -> None:
    """Keep this process's memory to itself, for good; `report` is told in a sentence of each thing that failed."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        report(f"core files cannot be switched off (RLIMIT_CORE): {error}")
    fault = _not_dumpable()
    if fault is not None:
        report(f"other processes of this user may read this one's memory (PR_SET_DUMPABLE): {fault}")


def _not_dumpable() -> str | None:
    """Why the process cannot be made so, or None."""
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (AttributeError, OSError):
        return "only Linux has this"
    nothing = ctypes.c_ulong(0)
    if prctl(_PR_SET_DUMPABLE, nothing, nothing, nothing, nothing) != 0:
        return os.strerror(ctypes.get_errno())
    return None
