"""The files of an image: twice put together, in two places, the same bytes. Needs the package index; where
that cannot be reached the test is skipped, and says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import assemble
from deploy.lockfile import read_lock

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "sidecar.lock"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--retries", "1", "--timeout", "5", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    done = subprocess.run(
        [*command, "--dest", str(folder), "-r", str(LOCK)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no wheels: {done.stderr.strip().splitlines()[-1]}")
    return folder


def test_twice_assembled_in_two_places_the_bytes_are_the_same(wheels, tmp_path, monkeypatch) -> None:
    sources = (tmp_path / "source", tmp_path / "other" / "source")
    for name in ("mesh", "sidecar"):
        shutil.copytree(ROOT / name, sources[0] / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(sources[0], sources[1])
    digests = []
    for number, into in enumerate((tmp_path / "one", tmp_path / "elsewhere" / "two")):
        # Neither umask nor hashing nor the clock may show.
        monkeypatch.setenv("PYTHONHASHSEED", str(number + 1))
        mask = os.umask((0o022, 0o077)[number])
        try:
            options = ("--no-index", "--find-links", str(wheels))
            assemble.assemble(
                LOCK, ["mesh", "sidecar"], into, source=sources[number], pip=options, epoch=1700000000
            )
        finally:
            os.umask(mask)
        digests.append(assemble.digest(into))
    assert digests[0] == digests[1]
    _works_alone(tmp_path / "one")


def _works_alone(folder: Path) -> None:
    """With that folder and nothing else the sidecar starts, and writes nothing there."""
    before = assemble.digest(folder)
    assert not list(folder.rglob("RECORD"))
    assert not (folder / "bin").exists()
    environment = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    base = getattr(sys, "_base_executable", sys.executable)
    command = [base, "-S", "-m", "sidecar", "--help"]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=True)
    assert "usage: python -m sidecar" in done.stdout
    assert assemble.digest(folder) == before


def test_a_file_that_differs_in_anything_shows_in_the_digest(tmp_path) -> None:
    (tmp_path / "a").write_text("x", encoding="utf-8")
    assemble.settle(tmp_path, 1)
    seen = {assemble.digest(tmp_path)}
    os.utime(tmp_path / "a", (2, 2))
    seen.add(assemble.digest(tmp_path))
    (tmp_path / "a").chmod(0o755)
    seen.add(assemble.digest(tmp_path))
    (tmp_path / "b").mkdir()
    seen.add(assemble.digest(tmp_path))
    assert len(seen) == 4


def test_the_sidecars_image_has_what_is_locked_for_it_and_spire() -> None:
    names = {one.name for one in read_lock((ROOT / "requirements" / "sidecar-spire.lock").read_text("utf-8"))}
    assert {one.name for one in read_lock(LOCK.read_text("utf-8"))} <= names
    assert "spiffe" in names
    assert not names & {"aiohttp", "kubernetes", "mcp", "rich"}
