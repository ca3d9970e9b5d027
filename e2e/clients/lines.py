"""The loop that both Python SDK clients share: lines of JSON in, several at once, lines of JSON out.

A line is played as soon as it is there, so that whoever holds on to the process may ask again and again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

SECONDS = 4
AT_ONCE = 16
Play = Callable[[dict[str, Any], dict[str, Any]], Awaitable[None]]
"""Does what a line asks for and puts what it got, as far as it got, into the second argument."""


def serve(play: Play) -> None:
    asyncio.run(_all(play))


async def _all(play: Play) -> None:
    at_once = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        while line := await asyncio.to_thread(sys.stdin.readline):
            group.create_task(_one(play, json.loads(line), at_once))


async def _one(play: Play, asked: dict[str, Any], at_once: asyncio.Semaphore) -> None:
    found: dict[str, Any] = {"key": asked["key"], "tools": [], "calls": []}
    async with at_once:
        try:
            await play(asked, found)
        except Exception as error:  # noqa: BLE001 - a client that cannot read the answer is a result
            found["error"] = repr(error)
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
