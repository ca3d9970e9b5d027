"""What is kept on disk is whole, ours, and worth nothing when it is not."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.identity.ca import make_authority
from mesh.pins.book import Kept, KeptBook, Pinned
from sidecar.control import saved
from sidecar.control.saved import CONFIGURATION_FILE, ROOTS_FILE, SavedState, SavedUnusable
from tests.support.control_plane import configuration, granting

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OURS = "agents/triage-1/uid"


@pytest.fixture
def state(tmp_path: Path) -> SavedState:
    return SavedState(tmp_path, OURS)


def test_what_was_saved_is_read_again_and_only_we_may_read_it(state: SavedState) -> None:
    assert state.configuration() is None
    state.save_configuration(configuration("v1", granting("a")), NOW)
    state.save_configuration(configuration("v2", granting("b")), NOW)
    kept = state.configuration()
    assert kept is not None
    assert (kept.configuration, kept.at) == (configuration("v2", granting("b")), NOW)
    (file,) = state.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_roots_are_kept_too(state: SavedState) -> None:
    assert state.roots() == ()
    roots = make_authority("a.example", NOW, timedelta(days=1)).bundle.authorities_der
    state.save_roots(tuple(roots), NOW)
    assert state.roots() == tuple(roots)
    state.save_roots((b"no certificate",), NOW)
    with pytest.raises(SavedUnusable, match="holds no certificates"):
        state.roots()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"github", b"gitlab"))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_cut, "is damaged"),
        (_flip, "is damaged"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: (path.unlink(), path.mkdir()), "is no plain file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is no plain file"),
        (lambda path: path.write_bytes(b"x" * 20_000_000 + b"x" * 2_000_000), "more than"),
    ],
)
def test_a_file_that_is_damaged_is_told(
    state: SavedState, spoil: Callable[[Path], object], sentence: str
) -> None:
    state.save_configuration(configuration("v1"), NOW)
    spoil(state.folder / CONFIGURATION_FILE)
    with pytest.raises(SavedUnusable, match=sentence):
        state.configuration()


def test_the_file_of_another_pod_is_told(state: SavedState) -> None:
    SavedState(state.folder, "agents/other/uid").save_configuration(configuration("v1"), NOW)
    with pytest.raises(SavedUnusable, match="is that of agents/other/uid"):
        state.configuration()


def test_a_file_of_another_version_is_told(state: SavedState) -> None:
    state.save_roots((), NOW)
    (state.folder / ROOTS_FILE).rename(state.folder / CONFIGURATION_FILE)
    with pytest.raises(SavedUnusable, match="of another version"):
        state.configuration()


def test_a_full_disk_leaves_what_was_there(state: SavedState, monkeypatch: pytest.MonkeyPatch) -> None:
    state.save_configuration(configuration("v1"), NOW)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(saved.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            state.save_configuration(configuration("v2"), NOW)
    kept = state.configuration()
    assert kept is not None
    assert kept.configuration.version == "v1"
    assert [path.name for path in state.folder.iterdir()] == [CONFIGURATION_FILE]


def test_pins_are_kept_too_unless_they_are_too_many(
    state: SavedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state.pins() == {}
    books = {"agents/github": KeptBook("owner", Kept({"a": Pinned("sha256:1", "sha256:2", b"x")}, 1.0, True))}
    state.save_pins(books, NOW)
    assert state.pins() == books
    monkeypatch.setattr(saved, "MAX_FILE_BYTES", 150)
    with pytest.raises(OSError, match="would have more than 150 bytes"):
        state.save_pins(books, NOW)
