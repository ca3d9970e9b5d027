"""Programs of many ecosystems that learn from the environment alone whom to trust.

Each is a command line for a URL; nothing in it names an authority. What a program prints must hold the server's
answer, or it must fail.
"""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from e2e import environments
from e2e.environments import Unavailable

PROGRAMS = Path(__file__).parent / "clients" / "trust"
PYTHON_PACKAGES = {"requests": "2.32.5", "httpx": "0.28.1", "httplib2": "0.31.0", "botocore": "1.41.5"}
SECONDS = 60
NO_REASON = "certificate verification failed"

Command = Callable[[str, Path], list[str]]
"""From a URL and a folder of one's own to a command line; raises Unavailable."""


@dataclass(frozen=True, slots=True)
class TrustClient:
    """A program. `refuses` are words of which one stands in what it prints when it does not trust the server,
    `forbids` those for a name that the authority may not vouch for; `shows` says that it prints what it fetched.
    """

    name: str
    command: Command
    refuses: tuple[str, ...] = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed")
    forbids: str = "subtree violation"
    shows: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    status: int
    printed: str


async def run(client: TrustClient, url: str, trust: Mapping[str, str], folder: Path) -> Outcome:
    """Run a program with nothing in its environment but where programs are, and `trust`."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **trust}
    process = await asyncio.create_subprocess_exec(
        *client.command(url, folder),
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Outcome(process.returncode or 0, printed.decode(errors="replace"))


def _python(library: str, *, ours: bool) -> Command:
    def command(url: str, folder: Path) -> list[str]:
        python = sys.executable if ours else str(_python_with_libraries())
        return [python, str(PROGRAMS / "fetch.py"), library, url]

    return command


@functools.cache
def _python_with_libraries() -> Path:
    def build(folder: Path) -> None:
        environments.run([sys.executable, "-m", "venv", str(folder)])
        pip = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        environments.run([*pip, *(f"{name}=={version}" for name, version in PYTHON_PACKAGES.items())])

    name = "http-" + "-".join(PYTHON_PACKAGES.values())
    return environments.built(name, build) / "bin" / "python"


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"there is no {name} on this machine")
    return found


def _curl(url: str, folder: Path) -> list[str]:
    return [_tool("curl"), "--silent", "--show-error", "--connect-to", "::127.0.0.1:", url]


def _git(url: str, folder: Path) -> list[str]:
    parts = urlsplit(url)
    here = f"http.curloptResolve={parts.hostname}:{parts.port}:127.0.0.1"
    return [_tool("git"), "-c", here, "ls-remote", url]


def _node(url: str, folder: Path) -> list[str]:
    return [_tool("node"), str(PROGRAMS / "fetch.mjs"), url]


def _go(url: str, folder: Path) -> list[str]:
    return [str(_go_program()), url]


@functools.cache
def _go_program() -> Path:
    def build(folder: Path) -> None:
        folder.mkdir()
        environments.run([_tool("go"), "build", "-o", str(folder / "fetch"), str(PROGRAMS / "fetch.go")])

    source = (PROGRAMS / "fetch.go").read_bytes()
    return environments.built(f"go-fetch-{len(source)}", build) / "fetch"


def _java(url: str, folder: Path) -> list[str]:
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 {urlsplit(url).hostname}\n", encoding="ascii")
    return [_tool("java"), f"-Djdk.net.hosts.file={hosts}", str(PROGRAMS / "Fetch.java"), url]


CLIENTS = (
    TrustClient("urllib", _python("urllib", ours=True)),
    TrustClient("aiohttp", _python("aiohttp", ours=True)),
    TrustClient("httpx2", _python("httpx2", ours=True)),
    TrustClient("requests", _python("requests", ours=False)),
    TrustClient("httpx", _python("httpx", ours=False)),
    TrustClient("httplib2", _python("httplib2", ours=False)),
    TrustClient("botocore", _python("botocore", ours=False)),
    TrustClient("curl", _curl, ("SSL certificate problem",)),
    TrustClient("node", _node, ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER", "SELF_SIGNED")),
    TrustClient("go", _go, ("x509: ",), "not authorized to sign for this name"),
    # GnuTLS gives no reason.
    TrustClient("git with GnuTLS", _git, (NO_REASON,), NO_REASON, shows=False),
    TrustClient("java", _java, ("PKIX path",), "NameConstraints"),
)
