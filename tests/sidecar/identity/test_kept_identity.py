"""An identity outlives its process in memory alone, and comes back only where peers would accept it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import Authority, make_authority
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from sidecar.control.saved import IDENTITY_FILE, SavedState
from sidecar.identity.kept_identity import KeptIdentity
from sidecar.identity.provider import Identity
from sidecar.settings import AgentSettings
from tests.support.ca import WallClock

TRIAGE = SpiffeId("a.example", "/ns/agents/sa/triage")
AGENT = AgentSettings("agents", "triage-1", service_account="triage", uid="2")


@dataclass
class Shelf:
    """A process's view of the folder, and what it was told."""

    folder: Path
    disk: str | None = None
    agent: AgentSettings = AGENT
    owner: str = "agents/triage-1/2"
    unusable: list[str] = field(default_factory=list)
    not_kept: list[str] = field(default_factory=list)

    def kept(self) -> KeptIdentity:
        return KeptIdentity(
            SavedState(self.folder, self.owner),
            self.agent,
            unusable=self.unusable.append,
            not_kept=self.not_kept.append,
            disk=lambda _folder: self.disk,
        )

    @property
    def file(self) -> Path:
        return self.folder / IDENTITY_FILE


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def authority(clock: WallClock) -> Authority:
    return make_authority("a.example", clock(), timedelta(days=1))


@pytest.fixture
def identity(clock: WallClock, authority: Authority) -> Identity:
    svid = new_svid(authority, TRIAGE, clock(), timedelta(hours=1))
    return Identity(svid, {"a.example": authority.bundle})


async def keep(shelf: Shelf, identity: Identity, clock: WallClock) -> KeptIdentity:
    kept = shelf.kept()
    assert await kept.restore(clock()) is None
    await kept.keep(identity, clock())
    return kept


async def test_what_was_kept_is_had_again_and_nobody_else_may_read_it(
    shelf: Shelf, identity: Identity, clock: WallClock
) -> None:
    await keep(shelf, identity, clock)
    assert shelf.file.stat().st_mode & 0o777 == 0o600
    assert await shelf.kept().restore(clock(), str(TRIAGE)) == identity
    assert (shelf.unusable, shelf.not_kept) == ([], [])


async def test_a_key_never_touches_a_disk_and_that_is_said_once(
    shelf: Shelf, identity: Identity, clock: WallClock
) -> None:
    await keep(shelf, identity, clock)
    before = shelf.file.read_bytes()
    shelf.disk = "ext4"
    kept = shelf.kept()
    assert await kept.restore(clock()) is None
    await kept.keep(replace(identity, bundles={}), clock())
    assert shelf.file.read_bytes() == before
    (sentence,) = shelf.not_kept
    assert "is on ext4, not in memory" in sentence


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [_cut, _flip, lambda path: path.write_bytes(b"")])
async def test_what_is_damaged_is_passed_over_with_a_sentence(
    shelf: Shelf, identity: Identity, clock: WallClock, spoil: object
) -> None:
    await keep(shelf, identity, clock)
    spoil(shelf.file)  # type: ignore[operator]
    assert await shelf.kept().restore(clock()) is None
    assert "is damaged" in shelf.unusable[0]


async def test_a_key_of_another_certificate_is_passed_over(
    shelf: Shelf, identity: Identity, clock: WallClock, authority: Authority
) -> None:
    other = new_svid(authority, TRIAGE, clock(), timedelta(hours=1))
    svid = identity.svid
    mixed = X509Svid(svid.spiffe_id, svid.chain_der, other.key_pkcs8_der, svid.not_after)
    await keep(shelf, replace(identity, svid=mixed), clock)
    assert await shelf.kept().restore(clock()) is None
    assert "the private key is not that of the certificate" in shelf.unusable[0]


async def test_that_of_another_pod_is_passed_over(shelf: Shelf, identity: Identity, clock: WallClock) -> None:
    await keep(shelf, identity, clock)
    shelf.owner = "agents/triage-1/3"
    assert await shelf.kept().restore(clock()) is None
    assert "not of agents/triage-1/3" in shelf.unusable[0]


async def test_that_of_another_service_account_is_passed_over(
    shelf: Shelf, identity: Identity, clock: WallClock
) -> None:
    await keep(shelf, identity, clock)
    shelf.agent = replace(AGENT, service_account="other")
    assert await shelf.kept().restore(clock()) is None
    assert "not of ServiceAccount agents/other" in shelf.unusable[0]
    shelf.agent = replace(AGENT, service_account=None)
    assert await shelf.kept().restore(clock()) == identity
    assert await shelf.kept().restore(clock(), "spiffe://a.example/x") is None


async def test_one_that_its_own_bundle_does_not_vouch_for_is_passed_over(
    shelf: Shelf, identity: Identity, clock: WallClock
) -> None:
    other = make_authority("a.example", clock(), timedelta(days=1))
    stranger = TrustBundle("a.example", tuple(other.bundle.authorities_der))
    await keep(shelf, replace(identity, bundles={"a.example": stranger}), clock)
    assert await shelf.kept().restore(clock()) is None
    assert len(shelf.unusable) == 1


async def test_one_that_has_expired_is_removed(shelf: Shelf, identity: Identity, clock: WallClock) -> None:
    await keep(shelf, identity, clock)
    clock.move(3601)
    assert await shelf.kept().restore(clock()) is None
    assert "out of date" in shelf.unusable[0]
    assert not shelf.file.exists()


async def test_one_that_is_not_valid_yet_stays_where_it_is(
    shelf: Shelf, identity: Identity, clock: WallClock
) -> None:
    await keep(shelf, identity, clock)
    clock.move(-3600 * 5)
    assert await shelf.kept().restore(clock()) is None
    assert shelf.file.exists()


async def test_forgetting_removes_it_and_twice_does_no_harm(
    shelf: Shelf, identity: Identity, clock: WallClock
) -> None:
    kept = await keep(shelf, identity, clock)
    await kept.forget()
    await kept.forget()
    assert not shelf.file.exists()
    await kept.keep(identity, clock())
    assert shelf.file.exists()


async def test_a_folder_that_takes_nothing_is_told_once_and_tried_again(
    shelf: Shelf, identity: Identity, clock: WallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        kept = await keep(shelf, identity, clock)
        await kept.keep(identity, clock())
    assert len(shelf.not_kept) == 1
    assert "No space" in shelf.not_kept[0]
    await kept.keep(identity, clock())
    assert shelf.file.exists()
