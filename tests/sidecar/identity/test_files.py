"""The files provider over real files, swapped as Kubernetes and spiffe-helper do it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mesh.identity.ca import Authority, make_authority
from mesh.identity.errors import SvidInvalid
from mesh.identity.issue import new_svid
from mesh.identity.jwt_svid import issue_jwt_svid, make_jwt_key
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, write_pem
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from sidecar.identity import files
from sidecar.identity.files import FilesProvider
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.identity_files import FileLayout
from sidecar.identity.jwt_source import JwtSource, JwtUnavailable
from sidecar.identity.provider import Identity
from sidecar.tasks import spawn
from tests.support.ca import WallClock

HOUR = timedelta(hours=1)
WORKLOAD = SpiffeId("a.example", "/ns/x/sa/y")
START = datetime.now(UTC).replace(microsecond=0)
ROOT = make_authority("a.example", START, timedelta(days=30))
NEXT_ROOT = make_authority("a.example", START, timedelta(days=30))


def new(authority: Authority = ROOT, now: datetime = START, lifetime: timedelta = HOUR) -> X509Svid:
    return new_svid(authority, WORKLOAD, now, lifetime)


class Volume:
    """A projected volume: versions in folders of their own, `..data` points to one, and names lead through it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = 0

    def layout(self) -> FileLayout:
        return FileLayout(self.path / "credential-bundle.pem", None, self.path / "trust.pem")

    def write(self, svid: X509Svid, *roots: Authority) -> None:
        credentials = write_pem(PRIVATE_KEY, svid.key_pkcs8_der) + write_pem(CERTIFICATE, *svid.chain_der)
        trust = write_pem(CERTIFICATE, *(root.der for root in roots or (ROOT,)))
        self.swap({"credential-bundle.pem": credentials, "trust.pem": trust})

    def swap(self, contents: dict[str, str]) -> None:
        self.version += 1
        folder = self.path / f"..{self.version}"
        folder.mkdir()
        for name, text in contents.items():
            (folder / name).write_text(text)
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(Path("..data") / name)
        (self.path / "..data_tmp").symlink_to(folder.name)
        os.rename(self.path / "..data_tmp", self.path / "..data")


class Helper:
    """A folder that spiffe-helper writes to, one file after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def layout(self) -> FileLayout:
        return FileLayout(self.path / "svid.pem", self.path / "svid_key.pem", self.path / "svid_bundle.pem")

    def write(self, svid: X509Svid, *roots: Authority) -> None:
        self.put("svid.pem", write_pem(CERTIFICATE, *svid.chain_der))
        self.put("svid_key.pem", write_pem(PRIVATE_KEY, svid.key_pkcs8_der))
        self.put("svid_bundle.pem", write_pem(CERTIFICATE, *(root.der for root in roots or (ROOT,))))

    def put(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)


class Watch:
    """A provider that looks when the test says so."""

    def __init__(self, layout: FileLayout, **options: Any) -> None:
        self.clock = WallClock(START)
        self.identities: list[Identity] = []
        self.problems: list[str] = []
        self.delays: list[float] = []
        self.refuse: Exception | None = None
        self.asleep = asyncio.Event()
        self._wake = asyncio.Event()
        self.provider = FilesProvider(
            layout, on_problem=self.problems.append, clock=self.clock, sleep=self._sleep, **options
        )

    async def _sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        self._wake.clear()
        self.asleep.set()
        await self._wake.wait()

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.asleep.wait()
            self.asleep.clear()
            self._wake.set()
            await self.asleep.wait()

    def publish(self, identity: Identity) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.identities.append(identity)


@asynccontextmanager
async def watching(layout: FileLayout, **options: Any) -> AsyncIterator[Watch]:
    watch = Watch(layout, **options)
    task = spawn(watch.provider.run(watch.publish), name="provider")
    try:
        async with asyncio.timeout(60):
            await watch.asleep.wait()
            yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture(params=[Volume, Helper])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return request.param(tmp_path)


async def test_what_the_files_hold_is_published_once(source: Any) -> None:
    svid = new()
    source.write(svid)
    async with watching(source.layout()) as watch:
        await watch.look(3)
        (identity,) = watch.identities
        assert identity.svid == svid
        IdentityHolder(watch.clock).publish(identity)
        assert watch.problems == []
        assert set(watch.delays) == {5.0}


async def test_a_rotation_is_noticed(source: Any) -> None:
    source.write(new())
    async with watching(source.layout()) as watch:
        for _ in range(3):
            source.write(new())
            await watch.look()
        assert len({identity.svid.key_pkcs8_der for identity in watch.identities}) == 4
        assert watch.problems == []


async def test_a_new_authority_in_the_bundle_is_noticed(source: Any) -> None:
    svid = new()
    source.write(svid)
    async with watching(source.layout()) as watch:
        source.write(svid, NEXT_ROOT, ROOT)
        await watch.look()
        assert [len(each.bundles["a.example"].authorities_der) for each in watch.identities] == [1, 2]


async def test_files_that_are_not_there_yet_are_waited_for(source: Any) -> None:
    async with watching(source.layout()) as watch:
        assert watch.problems == []
        await watch.look(4)
        (problem,) = watch.problems
        assert "No such file" in problem
        assert set(watch.delays) == {1.0}
        source.write(new())
        await watch.look()
        assert len(watch.identities) == 1
        assert watch.delays[-1] == 5.0


async def test_files_caught_halfway_are_looked_at_again_before_anything_is_told(tmp_path: Path) -> None:
    helper = Helper(tmp_path)
    helper.write(new())
    async with watching(helper.layout()) as watch:
        svid = new()
        helper.put("svid.pem", write_pem(CERTIFICATE, *svid.chain_der)[:200])
        await watch.look()
        helper.put("svid.pem", write_pem(CERTIFICATE, *svid.chain_der))
        await watch.look()
        helper.put("svid_key.pem", "")
        await watch.look()
        helper.put("svid_key.pem", write_pem(PRIVATE_KEY, svid.key_pkcs8_der))
        await watch.look()
        assert [identity.svid for identity in watch.identities][1:] == [svid]
        assert watch.problems == []


async def test_files_that_stay_broken_are_told_once_and_the_last_identity_stays(tmp_path: Path) -> None:
    helper = Helper(tmp_path)
    helper.write(new())
    async with watching(helper.layout()) as watch:
        helper.put("svid_key.pem", write_pem(PRIVATE_KEY, new().key_pkcs8_der))
        await watch.look(5)
        (problem,) = watch.problems
        assert "not that of the certificate; the one before it stays in force" in problem
        assert len(watch.identities) == 1
        helper.put("svid_key.pem", "")
        await watch.look(3)
        assert len(watch.problems) == 2
        helper.write(new())
        await watch.look()
        assert len(watch.identities) == 2
        helper.put("svid_key.pem", "")
        await watch.look(2)
        assert len(watch.problems) == 3


async def test_files_that_return_to_what_they_were_are_no_change(source: Any) -> None:
    svid = new()
    source.write(svid)
    async with watching(source.layout()) as watch:
        source.write(svid, NEXT_ROOT)
        await watch.look(2)
        assert "does not chain" in watch.problems[0]
        source.write(svid)
        await watch.look()
        assert len(watch.identities) == 1
        source.write(svid, NEXT_ROOT)
        await watch.look(2)
        assert len(watch.problems) == 2


async def test_an_expired_drop_is_refused(source: Any) -> None:
    source.write(new(now=START - 3 * HOUR))
    async with watching(source.layout()) as watch:
        await watch.look(3)
        assert watch.identities == []
        (problem,) = watch.problems
        assert "expired at" in problem


async def test_a_drop_becomes_usable_when_its_time_comes(source: Any) -> None:
    source.write(new(now=START + HOUR))
    async with watching(source.layout()) as watch:
        await watch.look(3)
        assert "is not valid before" in watch.problems[0]
        watch.clock.move(3600)
        await watch.look()
        assert len(watch.identities) == 1


async def test_an_svid_that_nobody_renews_is_told_when_it_expires(source: Any) -> None:
    source.write(new())
    async with watching(source.layout()) as watch:
        watch.clock.move(3601)
        await watch.look(3)
        (problem,) = watch.problems
        assert "has not renewed" in problem
        source.write(new(now=watch.clock()))
        await watch.look()
        assert len(watch.identities) == 2


async def test_an_identity_other_than_the_configured_one_is_not_taken(source: Any) -> None:
    source.write(new())
    async with watching(source.layout(), spiffe_id="spiffe://a.example/z") as watch:
        await watch.look()
        assert watch.identities == []
        assert "not of spiffe://a.example/z" in watch.problems[0]


async def test_an_identity_that_cannot_be_put_in_force_is_told(source: Any) -> None:
    source.write(new())
    async with watching(source.layout()) as watch:
        watch.refuse = SvidInvalid("OpenSSL does not take it")
        source.write(new())
        await watch.look(2)
        assert "OpenSSL does not take it" in watch.problems[0]


async def test_a_volume_that_hangs_is_told_and_the_loop_goes_on(
    source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.write(new())
    held, read_files = threading.Event(), files.read_files

    def slow(paths: Any) -> Any:
        held.wait(10)
        return read_files(paths)

    monkeypatch.setattr(files, "read_files", slow)
    monkeypatch.setattr(files, "SLOW_SECONDS", 0.01)
    watch = Watch(source.layout())
    task = spawn(watch.provider.run(watch.publish), name="provider")
    async with asyncio.timeout(60):
        while not watch.problems:
            await asyncio.sleep(0.005)
        held.set()
        await watch.asleep.wait()
    assert "takes more than" in watch.problems[0]
    assert len(watch.identities) == 1
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_federated_file_that_breaks_keeps_its_last_bundle_and_not_our_identity(
    tmp_path: Path,
) -> None:
    helper, foreign = Helper(tmp_path), make_authority("b.example", START, HOUR)
    helper.write(new())
    good = write_pem(CERTIFICATE, foreign.der)
    helper.put("b.pem", good)
    own = helper.layout()
    layout = FileLayout(own.certificate, own.key, own.bundle, {"b.example": tmp_path / "b.pem"})
    async with watching(layout) as watch:
        helper.put("b.pem", good[:99])
        await watch.look()
        assert watch.problems == []
        helper.write(new())
        await watch.look(4)
        (problem,) = watch.problems
        assert "b.pem: 1 PEM blocks begin and 0" in problem
        assert len(watch.identities) == 2
        assert watch.identities[1].bundles["b.example"] == foreign.bundle
        helper.put("b.pem", good)
        await watch.look(2)
        helper.put("b.pem", "")
        await watch.look(2)
        assert len(watch.problems) == 2


async def test_a_federated_file_that_never_was_does_not_hold_up_our_identity(tmp_path: Path) -> None:
    helper = Helper(tmp_path)
    helper.write(new())
    own = helper.layout()
    layout = FileLayout(own.certificate, own.key, own.bundle, {"b.example": tmp_path / "b.pem"})
    async with watching(layout) as watch:
        await watch.look()
        (identity,) = watch.identities
        assert set(identity.bundles) == {"a.example"}
        assert "b.pem cannot be read" in watch.problems[0]


# JWT-SVIDs.

JWT_KEY = make_jwt_key()


def token(identity: SpiffeId = WORKLOAD, *audience: str, minutes: int = 5) -> str:
    lifetime = timedelta(minutes=minutes)
    return issue_jwt_svid(JWT_KEY, identity, audience or ("db",), START, lifetime) + "\n"


async def test_the_file_of_an_audience_holds_its_token(source: Any, tmp_path: Path) -> None:
    source.write(new())
    path = tmp_path / "jwt_svid.token"
    async with watching(source.layout(), jwt_svids={"db": path}) as watch:
        path.write_text(token(WORKLOAD, "db", "vault"))
        assert isinstance(watch.provider, JwtSource)
        svid = await watch.provider.jwt_svid(("db", "vault"))
        assert svid.spiffe_id == WORKLOAD
        path.write_text(token(minutes=9))
        assert await watch.provider.jwt_svid(("db",)) != svid


@pytest.mark.parametrize(
    ("audience", "text", "complaint"),
    [
        (("db",), None, "No such file"),
        (("db",), "", "three parts"),
        (("db",), token(minutes=-1), "expired at"),
        (("db", "vault"), token(), "not for db, vault"),
        (("db",), token(SpiffeId("a.example", "/z")), "and we are"),
        (("vault",), token(), "no file is configured for .*there are: db"),
        ((), token(), "no file is configured"),
    ],
)
async def test_a_token_that_would_be_refused_is_not_handed_out(
    tmp_path: Path, audience: tuple[str, ...], text: str | None, complaint: str
) -> None:
    helper, path = Helper(tmp_path), tmp_path / "jwt_svid.token"
    helper.write(new())
    if text is not None:
        path.write_text(text)
    async with watching(helper.layout(), jwt_svids={"db": path}) as watch:
        with pytest.raises(JwtUnavailable, match=complaint):
            await watch.provider.jwt_svid(audience)


async def test_before_there_is_an_identity_a_token_speaks_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "jwt_svid.token"
    path.write_text(token())
    async with watching(Helper(tmp_path).layout(), jwt_svids={"db": path}) as watch:
        assert (await watch.provider.jwt_svid(("db",))).spiffe_id == WORKLOAD
