"""Starts the program that never stops calling, and takes its account when the test has seen enough."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from e2e.processes import DidNotStart, end, environment

END_SECONDS = 30


@dataclass
class Account:
    """What the program did; complete once the block is over."""

    calls: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


@contextlib.contextmanager
def calling(url: str, proxy: str) -> Iterator[Account]:
    """Calls from the beginning to the end of the block; the first connection is made before it begins."""
    account = Account()
    command = [sys.executable, "-m", "e2e.spire.steady_calls", url]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(HTTP_PROXY=proxy, http_proxy=proxy),
    )
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            raise DidNotStart(f"no session at {url} through {proxy}; why is on stderr")
        yield account
        said, _ = process.communicate(timeout=END_SECONDS)
        vars(account).update(json.loads(said))
    finally:
        end(process)
        process.stdout.close()
