"""A program of an agent that never stops calling a tool, with the SDK's client and no knowledge of a sidecar.

Calls until its stdin ends, then prints one JSON line: how many calls there were, and every failure.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import Any

from mcp import Client

from e2e.servers.serve import announce

AT_ONCE = 4
CALL_SECONDS = 10


async def main(url: str) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(over.set)

    # A daemon: where no session comes to be, nobody waits for stdin.
    threading.Thread(target=watch, daemon=True).start()
    found: dict[str, Any] = {"calls": 0, "failures": [], "slowest": 0.0}
    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(_call_until(over, url, found, number))
    print(json.dumps(found), flush=True)


async def _call_until(over: asyncio.Event, url: str, found: dict[str, Any], number: int) -> None:
    async with Client(url, mode="legacy" if number % 2 else "auto") as client:
        if number == 0:
            announce(0)
        while not over.is_set():
            begun = time.monotonic()
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    result = await client.call_tool("read_note", {"id": "1"})
            except Exception as error:  # noqa: BLE001 - whatever goes wrong is a failed call
                found["failures"].append(repr(error))
                await asyncio.sleep(0.2)
            else:
                if getattr(result.content[0], "text", "") != "note 1":
                    found["failures"].append(repr(result))
            found["calls"] += 1
            found["slowest"] = max(found["slowest"], time.monotonic() - begun)
            await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
