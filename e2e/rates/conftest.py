"""A real store of shared rate limits: redis-server or valkey-server, on loopback and a free port."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e.conftest import skip

PASSWORD = "not-in-the-url"


@dataclass
class Server:
    """A store that can be stopped and started again where it was."""

    binary: str
    folder: Path
    port: int
    arguments: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Begin; it is up when it takes connections."""
        command = [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "no", "--dir", str(self.folder), "--daemonize", "no", *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        """End at once, as when its node goes."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def up(self) -> None:
        """Wait until it takes connections."""
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                return


def _binary() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        skip("a store of shared rates", "no redis-server and no valkey-server (apt-get install redis-server)")
        raise AssertionError
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A store that is not started yet."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(_binary(), tmp_path, port)
    yield server
    server.stop()


@pytest.fixture
async def store(server: Server) -> Server:
    """A store that is up."""
    server.start()
    await server.up()
    return server
