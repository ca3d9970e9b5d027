"""Servers in the demo's own process end with it, however far their start has come."""

from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path

import pytest

from cli.demo.certificates import make_public
from cli.demo.outside import Witness, serve


class Cleanups:
    """In the place of Parts: what is to be done at the end."""

    def __init__(self) -> None:
        self.all: list = []

    def clean_up(self, cleanup) -> None:
        self.all.append(cleanup)


@pytest.mark.parametrize("turns", range(12))
async def test_a_start_that_is_cancelled_leaves_no_socket(tmp_path: Path, turns: int) -> None:
    make_public(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cleanups = Cleanups()
    serving = serve(cleanups, Witness().application(), tmp_path, port)
    starting = asyncio.get_running_loop().create_task(serving)
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    for _ in range(10):
        await asyncio.sleep(0)
    for cleanup in cleanups.all:
        await cleanup()
    gc.collect()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
