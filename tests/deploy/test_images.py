"""What the Containerfiles say, as far as it can be told without building one."""

from __future__ import annotations

import fnmatch
import importlib.util
import re
from pathlib import Path

import pytest

from deploy.lockfile import read_lock
from mesh.settings.table import SIDECAR_UID

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "deploy").glob("Containerfile.*"))
PACKAGES = {"sidecar": {"mesh", "sidecar"}, "webhook": {"mesh", "webhook"}}


def instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, rest), with continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines]


def final_stage(path: Path) -> list[tuple[str, str]]:
    found = instructions(path)
    last = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix[1:])
def test_images_run_as_the_sidecars_user_and_start_a_module_of_ours(path) -> None:
    stage = dict(final_stage(path))
    assert stage["USER"] == f"{SIDECAR_UID}:{SIDECAR_UID}"
    name = path.suffix[1:]
    assert stage["ENTRYPOINT"] == f'["python", "-m", "{name}"]'
    assert importlib.util.find_spec(f"{name}.__main__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix[1:])
def test_nothing_is_built_or_fetched_in_the_last_stage(path) -> None:
    assert not [name for name, _ in final_stage(path) if name in ("RUN", "ADD")]
    assert "gcc" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix[1:])
def test_bases_have_plain_names_and_can_be_pinned(path) -> None:
    for name, rest in instructions(path):
        if name == "ARG" and rest.startswith("BASE="):
            assert re.fullmatch(r"BASE=python:3\.11-slim-bookworm", rest)
        if name == "FROM":
            assert rest.split()[0] in ("${BASE}", "system")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix[1:])
def test_what_is_copied_exists_and_reaches_the_engine(path) -> None:
    let_through = [
        line[1:]
        for line in (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    for name, rest in instructions(path):
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert list(ROOT.glob(source)), source
                assert any(fnmatch.fnmatch(source.split("/")[0], each) for each in let_through)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix[1:])
def test_the_packages_of_an_image_are_those_that_its_program_may_import(path) -> None:
    (run,) = [rest for name, rest in instructions(path) if name == "RUN" and "deploy.assemble" in rest]
    assert set(run.split("/opt/outrider")[1].split()) == PACKAGES[path.suffix[1:]]


def test_the_lock_of_the_control_plane_pins_what_the_other_locks_pin() -> None:
    own = {
        one.name: one.version
        for one in read_lock((ROOT / "requirements" / "webhook.lock").read_text("utf-8"))
    }
    cli = {
        one.name: one.version for one in read_lock((ROOT / "requirements" / "cli.lock").read_text("utf-8"))
    }
    assert own.items() <= cli.items(), "run make lock"
    assert {"aiohttp", "spiffe", "grpcio", "cryptography"} <= own.keys()
