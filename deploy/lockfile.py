"""Reads the lock files: which distributions, at which versions, and what brought each in."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$")
_HASH = re.compile(r"\s+--hash=sha256:(?P<digest>[0-9a-f]{64})")
_VIA = re.compile(r"\s+#(?:\s+via)?(?:\s+(?P<name>\S+))?")
_PROJECT = "outrider"


@dataclass(slots=True)
class Pinned:
    """One distribution. `wanted_by` names those that need it; the project itself is among them as `outrider`."""

    name: str
    version: str
    marker: str
    hashes: list[str]
    wanted_by: list[str]


def read_lock(text: str) -> list[Pinned]:
    """Every distribution of a lock file, in its order. Raises ValueError for a line that is none of its kinds."""
    found: list[Pinned] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if match := _PIN.fullmatch(line):
            found.append(Pinned(match["name"].lower(), match["version"], match["marker"] or "", [], []))
        elif found and (match := _HASH.match(line)):
            found[-1].hashes.append(match["digest"])
        elif found and (match := _VIA.match(line)):
            if match["name"] and match["name"] != "via":
                found[-1].wanted_by.append(match["name"].lower())
        else:
            raise ValueError(f"not a line of a lock file: {line!r}")
    for pinned in found:
        pinned.wanted_by = [_PROJECT if name.startswith(_PROJECT) else name for name in pinned.wanted_by]
        if not pinned.hashes:
            raise ValueError(f"{pinned.name} has no hash, so that anything could be installed for it")
    return found
