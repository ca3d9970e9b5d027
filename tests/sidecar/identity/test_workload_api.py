"""The provider against the embedded Workload API server, over real Unix sockets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mesh.identity.ca import make_authority
from mesh.identity.errors import IdentityInvalid, SvidInvalid
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.workload_api import read_identity
from sidecar.tasks import spawn
from tests.support.watching import Watch, watching
from webhook.identity.registry import ForeignDomain, Registry
from webhook.identity.workload_api_server import WorkloadApiServer

HOUR = timedelta(hours=1)
FIRST, SECOND = SpiffeId("a.example", "/first"), SpiffeId("a.example", "/second")


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "agent.sock"


@pytest.fixture
def registry() -> Registry:
    return Registry("a.example", lambda: datetime.now(UTC))


@pytest.fixture
async def server(registry: Registry, socket: Path) -> AsyncIterator[WorkloadApiServer]:
    server = WorkloadApiServer(registry)
    await server.serve(socket)
    yield server
    await server.stop()


async def test_the_svid_and_each_rotation_are_published(
    registry: Registry, server: WorkloadApiServer, socket: Path
) -> None:
    registry.register(socket, FIRST)
    async with watching(socket) as watch:
        first = await watch.identities.get()
        assert first.svid.spiffe_id == FIRST
        assert set(first.bundles) == {"a.example"}
        registry.rotate()
        second = await watch.identities.get()
        assert second.svid.chain_der != first.svid.chain_der
        assert second.bundles == first.bundles
        registry.rotate_authority()
        third = await watch.identities.get()
        assert third.bundles["a.example"].authorities_der == registry.bundle.authorities_der
        holder = IdentityHolder()
        holder.publish(third)
        assert holder.verify(third.svid.chain_der).spiffe_id == FIRST


async def test_federated_bundles_come_and_go(
    registry: Registry, server: WorkloadApiServer, socket: Path
) -> None:
    foreign = make_authority("b.example", datetime.now(UTC), HOUR)
    registry.register(socket, FIRST)
    registry.federate(ForeignDomain(foreign.bundle))
    async with watching(socket) as watch:
        assert (await watch.identities.get()).bundles["b.example"] == foreign.bundle
        registry.end_federation("b.example")
        assert set((await watch.identities.get()).bundles) == {"a.example"}


async def test_a_missing_socket_is_tried_again_until_it_is_there(registry: Registry, socket: Path) -> None:
    async with watching(socket) as watch:
        await watch.problem("does not exist")
        await watch.slept(2)
        assert watch.problems.empty()  # the same again is no news
        registry.register(socket, FIRST)
        server = WorkloadApiServer(registry)
        await server.serve(socket)
        assert (await watch.identities.get()).svid.spiffe_id == FIRST
        assert watch.delays[:2] == [1, 2]
        await server.stop()


async def test_an_identity_may_be_given_later_than_asked_for(
    registry: Registry, server: WorkloadApiServer, socket: Path
) -> None:
    async with watching(socket) as watch:
        await watch.problem("PERMISSION_DENIED")
        registry.register(socket, FIRST)
        assert (await watch.identities.get()).svid.spiffe_id == FIRST


async def test_a_server_that_is_not_ready_is_waited_for(
    registry: Registry, server: WorkloadApiServer, socket: Path
) -> None:
    registry.register(socket, FIRST)
    registry.set_ready(False)
    async with watching(socket) as watch:
        await watch.problem("UNAVAILABLE")
        registry.set_ready(True)
        assert (await watch.identities.get()).svid.spiffe_id == FIRST


async def test_a_restart_of_the_server_is_survived(registry: Registry, socket: Path) -> None:
    registry.register(socket, FIRST)
    server = WorkloadApiServer(registry)
    await server.serve(socket)
    async with watching(socket) as watch:
        first = await watch.identities.get()
        await server.stop()
        await watch.problem("gives no identity")
        registry.rotate()
        again = WorkloadApiServer(registry)
        await again.serve(socket)
        assert (await watch.identities.get()).svid != first.svid
        # The success before the restart began the delays anew.
        assert watch.delays[0] == 1
        await again.stop()


@pytest.mark.parametrize("choose", [str(SECOND), "the second"])
async def test_one_of_several_svids_is_chosen_by_id_or_hint(
    registry: Registry, server: WorkloadApiServer, socket: Path, choose: str
) -> None:
    registry.register(socket, FIRST, "the first")
    registry.register(socket, SECOND, "the second")
    async with watching(socket, choose) as watch:
        assert (await watch.identities.get()).svid.spiffe_id == SECOND


async def test_a_choice_that_is_not_there_is_a_problem_until_it_is(
    registry: Registry, server: WorkloadApiServer, socket: Path
) -> None:
    registry.register(socket, FIRST)
    async with watching(socket, str(SECOND)) as watch:
        await watch.problem(f"there are: {FIRST}")
        registry.register(socket, SECOND)
        assert (await watch.identities.get()).svid.spiffe_id == SECOND


async def test_an_identity_that_the_holder_refuses_is_reported(
    registry: Registry, server: WorkloadApiServer, socket: Path
) -> None:
    registry.register(socket, FIRST)
    watch_refusing = Watch(socket)
    watch_refusing.refuse = SvidInvalid("not this one")
    task = spawn(watch_refusing.provider.run(watch_refusing.publish), name="provider")
    await watch_refusing.problem("not this one")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_cancelling_while_nobody_answers_leaves_no_thread(tmp_path: Path) -> None:
    silent = await asyncio.start_unix_server(lambda reader, writer: None, tmp_path / "silent.sock")
    async with watching(tmp_path / "silent.sock") as watch:
        assert watch.identities.empty()
    silent.close()


async def test_cancelling_before_the_channel_is_open_leaves_no_thread(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def slow_client(path: str) -> Any:
        opening.set()
        go_on.wait(10)
        return SimpleNamespace(close=closed.set)

    monkeypatch.setattr("spiffe.WorkloadApiClient", slow_client)
    watch = Watch(socket)
    task = spawn(watch.provider.run(watch.publish), name="provider")
    await asyncio.to_thread(opening.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with suppress(asyncio.CancelledError):
        await task
    assert closed.is_set()
    assert "workload-api" not in [thread.name for thread in threading.enumerate()]


def message(change: Callable[[Any], None] = lambda made: None) -> Any:
    now = datetime.now(UTC)
    authority = make_authority("a.example", now, HOUR)
    svid = new_svid(authority, FIRST, now, HOUR)
    made = SimpleNamespace(
        svids=[
            SimpleNamespace(
                spiffe_id=str(FIRST),
                hint="",
                x509_svid=b"".join(svid.chain_der),
                x509_svid_key=svid.key_pkcs8_der,
                bundle=authority.der,
            )
        ],
        federated_bundles={},
    )
    change(made)
    return made


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda made: made.svids.clear(), "there are: none"),
        (lambda made: setattr(made.svids[0], "spiffe_id", str(SECOND)), "announced as"),
        (lambda made: setattr(made.svids[0], "x509_svid", b"junk"), "cannot be read"),
        (lambda made: setattr(made.svids[0], "x509_svid_key", b"junk"), "cannot be read"),
        (lambda made: setattr(made.svids[0], "bundle", b"junk"), "bundle of a.example"),
    ],
)
def test_a_message_without_usable_svid_is_refused(change: Callable[[Any], None], complaint: str) -> None:
    with pytest.raises(IdentityInvalid, match=complaint):
        read_identity(message(change), None, lambda problem: None)


@pytest.mark.parametrize("name", ["spiffe://b.example", "not a trust domain"])
def test_a_malformed_federated_bundle_is_left_out_and_reported(name: str) -> None:
    problems: list[str] = []
    made = message(lambda made: made.federated_bundles.update({name: b"junk"}))
    assert set(read_identity(made, None, problems.append).bundles) == {"a.example"}
    assert "is left out" in problems[0]


def test_a_federated_bundle_cannot_replace_our_own() -> None:
    foreign = make_authority("b.example", datetime.now(UTC), HOUR).der
    made = message(lambda made: made.federated_bundles.update({"spiffe://a.example": foreign}))
    identity = read_identity(made, None, lambda problem: None)
    assert identity.bundles["a.example"].authorities_der == (made.svids[0].bundle,)


def test_nothing_heavy_is_imported_before_the_provider_runs() -> None:
    heavy = "import sidecar.identity.workload_api, sys; sys.exit(bool({'spiffe', 'grpc'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0
