"""A provider of identity that goes on whatever happens to it.

A fault that nobody foresaw must not end renewal without a word: hours later the SVID would expire, and nothing in
the log would say why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from sidecar.identity.backoff import Backoff
from sidecar.tasks import spawn


async def endless(
    run: Callable[[], Coroutine[Any, Any, None]],
    problem: Callable[[str], None],
    backoff: Backoff,
    sleep: Callable[[float], Awaitable[None]],
    what: str = "the identity provider",
) -> None:
    """Run `run` until cancelled, again after each end of it; `problem` is told how it ended.

    Its failure goes to the loop's exception handler too, which shows where it came from.
    """
    while True:
        (ended,) = await asyncio.gather(spawn(run(), name=f"run of {what}"), return_exceptions=True)
        how = "ended" if ended is None else f"failed ({type(ended).__name__}: {ended})"
        problem(f"{what} {how} and is begun again")
        await sleep(backoff.next())
