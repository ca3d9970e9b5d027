"""Looks for tokens in the processes that must not have them: command line, environment, and all of their memory.

`python -m e2e.oauth.memory_scan PID... < TOKENS` (one per line) prints where they were found, and exits 1 then.
Needs root, or the same user and no protection from being traced.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ *(.*)")
KERNELS = ("[vvar]", "[vvar_vclock]", "[vsyscall]")
CHUNK = 4 * 1024 * 1024
LEAST = 16
"""Characters of a needle: what is shorter is found by chance."""


@dataclass(frozen=True, slots=True)
class Found:
    """`what` of which token (by its place in the list) was found `where`. Holds nothing of the token itself."""

    pid: int
    token: int
    what: str
    where: str


def needles(token: str) -> dict[str, bytes]:
    """What gives a token away, by what it is.

    The header of a JWT is left out: it is the same for every token of a key, and says nothing.
    """
    raw = token.encode()
    found = {"token": raw, "token in UTF-16": token.encode("utf-16-le"), "token reversed": raw[::-1]}
    for shift in range(3):
        found[f"token in base64, shifted by {shift}"] = _inner_base64(raw, shift)
    parts = token.split(".")
    if len(parts) == 3:
        _, payload, signature = parts
        found["payload"], found["signature"] = payload.encode(), signature.encode()
        found["signature in bytes"] = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        for shift in range(3):
            found[f"signature in base64, shifted by {shift}"] = _inner_base64(signature.encode(), shift)
    return {what: needle for what, needle in found.items() if len(needle) >= LEAST}


def _inner_base64(raw: bytes, shift: int) -> bytes:
    """What of `raw` in base64 does not depend on its neighbours, when it begins at `shift` modulo 3."""
    encoded = base64.b64encode(b"\0" * shift + raw)
    first = 4 if shift else 0
    return encoded[first : len(encoded) // 4 * 4 - 4]


def scan(pid: int, tokens: Iterable[str]) -> list[Found]:
    """Search one process; raises OSError if it may not be read or is gone."""
    wanted = [
        (index, what, needle) for index, token in enumerate(tokens) for what, needle in needles(token).items()
    ]
    longest = max((len(needle) for _, _, needle in wanted), default=0)
    found: dict[tuple[int, str, str], None] = {}
    for where, data in _contents(pid, longest):
        for index, what, needle in wanted:
            if needle in data:
                found[index, what, where] = None
    return [Found(pid, *place) for place in found]


def _contents(pid: int, overlap: int) -> Iterator[tuple[str, bytes]]:
    process = Path(f"/proc/{pid}")
    for name in ("cmdline", "environ"):
        yield name, (process / name).read_bytes()
    mappings = (process / "maps").read_text(encoding="utf-8", errors="replace").splitlines()
    with (process / "mem").open("rb", buffering=0) as memory:
        for line in mappings:
            match = MAPPING.match(line)
            if match is None or "r" not in match[3] or match[4] in KERNELS:
                continue
            yield from _region(memory, int(match[1], 16), int(match[2], 16), match[4] or "memory", overlap)


def _region(memory: object, start: int, end: int, name: str, overlap: int) -> Iterator[tuple[str, bytes]]:
    """One mapping in chunks that overlap; what cannot be read (files cut short, guard pages) is passed over."""
    before = b""
    for at in range(start, end, CHUNK):
        try:
            memory.seek(at)  # type: ignore[attr-defined]
            data = memory.read(min(CHUNK, end - at))  # type: ignore[attr-defined]
        except OSError:
            before = b""
            continue
        yield name, before + data
        before = data[-overlap:]


def main() -> int:
    tokens = sys.stdin.read().split()
    found = [place for pid in sys.argv[1:] for place in scan(int(pid), tokens)]
    for place in found:
        print(f"process {place.pid}: the {place.what} of token {place.token} in {place.where}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
