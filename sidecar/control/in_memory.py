"""Is a folder one that exists in memory alone? What is secret may be written there, and nowhere else.

The kernel's table of mounts tells (proc(5)); a folder of which it says nothing is taken for a disk.
"""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
IN_MEMORY = frozenset({"tmpfs", "ramfs"})

_ESCAPED = re.compile(r"\\([0-7]{3})")


def disk_below(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the file system that `folder` is on; None where that is memory. Blocks."""
    try:
        kind = file_system(str(folder.resolve()), mounts.read_text("utf-8", "surrogateescape"))
    except (OSError, RuntimeError):  # RuntimeError: a loop of links
        kind = ""
    return None if kind in IN_MEMORY else kind or "a file system that is not known"


def file_system(path: str, table: str) -> str:
    """The type of what `path` (absolute, no links) is on, by the lines of `table`; empty where none says."""
    found, longest = "", -1
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _ESCAPED.sub(lambda escape: chr(int(escape[1], 8)), fields[1]).rstrip("/")
        # What is mounted later at the same place covers what was there.
        if (path == point or path.startswith(f"{point}/")) and len(point) >= longest:
            found, longest = fields[2], len(point)
    return found
