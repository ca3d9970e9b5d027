"""SPIRE's server and agent, built from the Go module proxy with SPIRE's own pins.

Built inside the downloaded module, so `go.mod` and `go.sum` are SPIRE's: what is linked is what its maintainers
released, and every module is checked against their list. The server keeps its entries in SQLite, which needs a C
compiler. From nothing this takes about seven minutes on two busy cores and 3 GB of Go's own caches.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from e2e.environments import Unavailable, built, run

SPIRE = "1.13.3"
MODULE = f"github.com/spiffe/spire@v{SPIRE}"
BUILD_SECONDS = 1800
DOWNLOAD_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the two programs are."""

    server: Path
    agent: Path


@functools.cache
def binaries() -> Binaries:
    """Both programs, built at most once for each version. Raises Unavailable."""
    folder = built(f"spire-{SPIRE}", _build)
    return Binaries(folder / "spire-server", folder / "spire-agent")


def _build(folder: Path) -> None:
    for needed in ("go", "cc"):
        if shutil.which(needed) is None:
            raise Unavailable(f"SPIRE {SPIRE} is built here, and there is no {needed}")
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
    programs = ["./cmd/spire-server", "./cmd/spire-agent"]
    folder.mkdir()
    # Other people use this machine too: two compilers at once, at a low priority.
    env = {**os.environ, "CGO_ENABLED": "1", "GOFLAGS": "-p=2", "GOWORK": "off"}
    command = ["nice", "-n", "15", "go", "build", *flags, "-o", f"{folder}{os.sep}", *programs]
    run(command, cwd=_source(), env=env, seconds=BUILD_SECONDS)


def _source() -> Path:
    """The module's folder in Go's cache, downloaded and verified by Go."""
    with tempfile.TemporaryDirectory() as outside_any_module:
        try:
            found = subprocess.run(
                ["go", "mod", "download", "-json", MODULE],
                cwd=outside_any_module,
                capture_output=True,
                text=True,
                timeout=DOWNLOAD_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{MODULE}: {error}") from error
    try:
        said = json.loads(found.stdout)
    except json.JSONDecodeError:
        raise Unavailable(f"{MODULE}: {found.stderr.strip()}") from None
    if "Dir" not in said:
        raise Unavailable(f"{MODULE}: {said.get('Error', 'no answer')}")
    return Path(said["Dir"])


if __name__ == "__main__":
    print(binaries())
