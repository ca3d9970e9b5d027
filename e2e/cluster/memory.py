"""Folders in memory, for volumes that say so: a sidecar looks where it is before it writes a key down."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

SHARED: Final = Path("/dev/shm")
_PREFIX: Final = "outrider-volumes-"


def memory_folder() -> Path:
    """A new, empty one."""
    _sweep()
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=SHARED))


@functools.cache
def _sweep() -> None:
    """Remove, once for a run, those of runs that were killed."""
    for path in SHARED.glob(f"{_PREFIX}*"):
        owner = path.name.removeprefix(_PREFIX).split("-")[0]
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(path, ignore_errors=True)
