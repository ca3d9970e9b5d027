"""Secrets as the kubelet mounts them: found through symbolic links that are swapped, and read only where due."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh.policy.credentials import SecretKey
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.secret_files import MAX_BYTES, SecretFiles
from tests.support.credentials import Clock

KEY = SecretKey("idp", "client-secret")


class Mounted:
    """A Secret as the kubelet mounts it: keys are links into `..data`, which is a link to the newest folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "idp"
        self.folder.mkdir()
        self.number = 0
        (self.folder / "client-secret").symlink_to("..data/client-secret")

    def write(self, value: bytes) -> None:
        self.number += 1
        new = self.folder / f"..{self.number}"
        new.mkdir()
        (new / "client-secret").write_bytes(value)
        (self.folder / "..data_tmp").symlink_to(new.name)
        (self.folder / "..data_tmp").rename(self.folder / "..data")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path: Path, clock: Clock) -> SecretFiles:
    return SecretFiles(tmp_path, clock=clock)


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    return Mounted(tmp_path)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"s3cret", b"s3cret"),
        (b"s3cret\n", b"s3cret"),
        (b"s3cret\r\n", b"s3cret"),
        (b"s3cret\n\n", b"s3cret\n"),
        (b" s3cret ", b" s3cret "),
        (b"-----BEGIN\nKEY\n-----END\n", b"-----BEGIN\nKEY\n-----END"),
        (b"x" * MAX_BYTES + b"\n", b"x" * MAX_BYTES),
    ],
)
def test_a_value_is_read_without_the_newline_that_ends_it(
    files: SecretFiles, mounted: Mounted, written: bytes, read: bytes
) -> None:
    mounted.write(written)
    assert files.read(KEY) == read


def test_a_swapped_folder_counts_after_a_second(files: SecretFiles, mounted: Mounted, clock: Clock) -> None:
    mounted.write(b"one")
    assert files.read(KEY) == b"one"
    mounted.write(b"two")
    clock.now += 0.9
    assert files.read(KEY) == b"one"
    clock.now += 0.2
    assert files.read(KEY) == b"two"


def test_an_unchanged_value_stays_the_same_object(files: SecretFiles, mounted: Mounted, clock: Clock) -> None:
    mounted.write(b"one")
    value = files.read(KEY)
    mounted.write(b"one")
    clock.now += 2
    assert files.read(KEY) is value


def test_a_file_written_in_place_counts_too(files: SecretFiles, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "idp").mkdir()
    file = tmp_path / "idp" / "client-secret"
    file.write_bytes(b"one")
    assert files.read(KEY) == b"one"
    file.write_bytes(b"other")
    clock.now += 1
    assert files.read(KEY) == b"other"


def test_one_that_comes_later_is_found_at_once(files: SecretFiles, mounted: Mounted) -> None:
    with pytest.raises(CredentialRefused):
        files.read(KEY)
    mounted.write(b"one")
    assert files.read(KEY) == b"one"


def refusal(files: SecretFiles, key: SecretKey = KEY) -> str:
    with pytest.raises(CredentialRefused) as refused:
        files.read_field(key)
    assert refused.value.reason is Reason.CREDENTIAL_SECRET_MISSING
    return refused.value.detail


def test_a_missing_one_names_secret_key_and_what_to_do(files: SecretFiles) -> None:
    detail = refusal(files)
    assert detail.startswith("Secret idp, key client-secret: it is not mounted")
    assert "outrider.dev/credential-secrets" in detail


def test_without_a_folder_there_is_no_secret() -> None:
    assert "no folder of credentials" in refusal(SecretFiles(None))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"x" * (MAX_BYTES + 1), "longer than"),
        (b"a\nb", "line breaks or control characters"),
        (b"a\r\nX-Evil: 1", "line breaks or control characters"),
        (b"a\0b", "line breaks or control characters"),
        (b" a", "line breaks or control characters"),
        (b"\x7f", "line breaks or control characters"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_unseen(
    files: SecretFiles, mounted: Mounted, value: bytes, why: str
) -> None:
    mounted.write(value)
    detail = refusal(files)
    assert why in detail
    assert "Evil" not in detail


def test_a_value_that_becomes_unusable_is_not_used_any_more(
    files: SecretFiles, mounted: Mounted, clock: Clock
) -> None:
    mounted.write(b"one")
    files.read(KEY)
    mounted.write(b"")
    clock.now += 1
    assert "it is empty" in refusal(files)


@pytest.mark.parametrize(
    "key",
    [
        SecretKey("..", "passwd"),
        SecretKey(".", "passwd"),
        SecretKey("idp", ".."),
        SecretKey("idp", "../../etc/passwd"),
        SecretKey("/etc", "passwd"),
        SecretKey("idp/x", "y"),
        SecretKey("idp", "a\0b"),
        SecretKey("", "a"),
        SecretKey("idp", ""),
        SecretKey("idp", "a\n"),
    ],
)
def test_no_other_file_can_be_named(files: SecretFiles, mounted: Mounted, key: SecretKey) -> None:
    mounted.write(b"one")
    assert "its name is none of a Secret" in refusal(files, key)


def test_a_pipe_holds_nothing_up(files: SecretFiles, tmp_path: Path) -> None:
    (tmp_path / "idp").mkdir()
    os.mkfifo(tmp_path / "idp" / "client-secret")
    assert "it is no file" in refusal(files)


def test_a_folder_in_the_place_of_a_file_is_refused(files: SecretFiles, tmp_path: Path) -> None:
    (tmp_path / "idp" / "client-secret").mkdir(parents=True)
    assert "it is no file" in refusal(files)


def test_a_file_that_may_not_be_read_says_so(
    files: SecretFiles, mounted: Mounted, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted.write(b"one")

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert "it cannot be read (Permission denied)" in refusal(files)


def test_a_file_that_breaks_while_it_is_read_says_so(
    files: SecretFiles, mounted: Mounted, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted.write(b"one")

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", broken)
    assert "it cannot be read (Input/output error)" in refusal(files)


def test_no_value_is_in_any_text(files: SecretFiles, mounted: Mounted) -> None:
    mounted.write(b"s3cret")
    files.read(KEY)
    assert "s3cret" not in repr(files) + repr(files.file(KEY)) + repr(files.__dict__)
