"""Puts together the files of an image, in a folder: its dependencies by their hashes, and our packages.

    python -m deploy.assemble --lock requirements/sidecar-spire.lock --into /opt/outrider mesh sidecar

Run twice, the same bytes come out, whoever runs it and wherever: no file holds a time or a path of the machine.
Compiled files are checked against nothing (unchecked hashes), since nothing in an image changes. `digest` is what
that is tested by.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What pip leaves that tells of the machine, or that nobody needs in an image.
_LEFT_OVER = (
    "bin",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
)


def assemble(
    lock: Path,
    packages: list[str],
    into: Path,
    *,
    source: Path = ROOT,
    pip: tuple[str, ...] = (),
    epoch: int = 0,
) -> None:
    """Fill `into`, which must not exist. `packages` are folders of `source`; `pip` are more options
    of pip, such as where to find wheels."""
    into.mkdir(parents=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    install += ["--no-cache-dir", "--no-compile", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    subprocess.run([*install, *pip, "--target", str(into), "-r", str(lock)], check=True)  # noqa: S603
    for pattern in _LEFT_OVER:
        for path in into.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in packages:
        shutil.copytree(source / name, into / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    compile_all(into)
    settle(into, epoch)


def compile_all(folder: Path) -> None:
    """Compile every module in a process whose hashing is not random: constant sets keep their order."""
    program = "import sys; from deploy.assemble import compile_here; sys.exit(not compile_here(sys.argv[1]))"
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, env=environment)  # noqa: S603


def compile_here(folder: str) -> bool:
    """Compile one file after the other, in order; the path that tracebacks show is that inside the folder."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    result = compileall.compile_dir(folder, quiet=2, stripdir=folder, invalidation_mode=mode, workers=1)
    return bool(result)


def settle(folder: Path, epoch: int) -> None:
    """The same times and permissions on every file and folder."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        os.utime(path, (epoch, epoch))


def digest(folder: Path) -> str:
    """The SHA-256 of every path below `folder`, its permissions, its time and its content."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        whole.update(f"{path.relative_to(folder)}\0{status.st_mode:o}\0{int(status.st_mtime)}\0".encode())
        if path.is_file():
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Fill the folder and print its digest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("packages", nargs="+")
    given = parser.parse_args(arguments)
    assemble(given.lock, given.packages, given.into, epoch=int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    print(digest(given.into))
    return 0


if __name__ == "__main__":
    sys.exit(main())
