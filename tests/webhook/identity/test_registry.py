import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import make_authority
from mesh.identity.errors import PeerRefused, SpiffeIdInvalid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.verify import verify_peer
from webhook.identity.registry import ForeignDomain, Registry, rotate_for_ever

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
WORKLOAD = SpiffeId("a.example", "/x")
SOCKET = Path("/run/x.sock")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Registry:
    return Registry("a.example", clock)


def chain(registry: Registry) -> tuple[bytes, ...]:
    return registry.workloads(SOCKET)[0].svid.chain_der


def trusts(registry: Registry, shown: tuple[bytes, ...]) -> bool:
    try:
        return verify_peer(shown, {"a.example": registry.bundle}, START) == WORKLOAD
    except PeerRefused:
        return False


def test_nobody_has_an_identity_before_registration(registry: Registry) -> None:
    assert registry.workloads(SOCKET) == ()
    assert registry.next_rotation is None


def test_a_registered_workload_has_an_svid_that_verifies(registry: Registry) -> None:
    registry.register(SOCKET, WORKLOAD, "main")
    (workload,) = registry.workloads(SOCKET)
    assert (workload.spiffe_id, workload.hint) == (WORKLOAD, "main")
    assert trusts(registry, chain(registry))


def test_a_workload_may_have_several_identities(registry: Registry) -> None:
    registry.register(SOCKET, WORKLOAD)
    registry.register(SOCKET, SpiffeId("a.example", "/y"))
    assert [each.spiffe_id.path for each in registry.workloads(SOCKET)] == ["/x", "/y"]
    registry.unregister(SOCKET)
    registry.unregister(SOCKET)
    assert registry.workloads(SOCKET) == ()


def test_identities_of_other_domains_are_not_ours_to_issue(registry: Registry) -> None:
    with pytest.raises(SpiffeIdInvalid):
        registry.register(SOCKET, SpiffeId("b.example", "/x"))


def test_a_rotation_keeps_the_authority(registry: Registry) -> None:
    registry.register(SOCKET, WORKLOAD)
    before, bundle = chain(registry), registry.bundle
    registry.rotate()
    assert chain(registry) != before
    assert registry.bundle == bundle


def test_a_new_authority_that_retires_the_old_ends_all_trust_in_it(registry: Registry) -> None:
    registry.register(SOCKET, WORKLOAD)
    before, key = chain(registry), registry.jwt_keys[0]
    registry.rotate_authority()
    assert not trusts(registry, before)
    assert trusts(registry, chain(registry))
    assert key not in registry.jwt_keys


def test_a_gentle_change_of_authority_trusts_both_until_the_old_retires(registry: Registry) -> None:
    registry.register(SOCKET, WORKLOAD)
    before = chain(registry)
    registry.rotate_authority(retire=False)
    assert trusts(registry, before)
    assert trusts(registry, chain(registry))
    registry.retire_authorities()
    assert not trusts(registry, before)


def test_each_change_is_told_once(registry: Registry) -> None:
    foreign = ForeignDomain(TrustBundle("b.example", ()))
    for change in (
        lambda: registry.register(SOCKET, WORKLOAD),
        registry.rotate,
        registry.rotate_authority,
        registry.retire_authorities,
        lambda: registry.federate(foreign),
        lambda: registry.end_federation("b.example"),
        lambda: registry.set_ready(False),
        lambda: registry.unregister(SOCKET),
    ):
        before = registry.changed
        change()
        assert before.is_set()
        assert not registry.changed.is_set()


async def test_svids_are_renewed_at_half_of_their_life_and_authorities_in_time(clock: Clock) -> None:
    registry = Registry("a.example", clock, authority_lifetime=timedelta(hours=4))
    slept: list[float] = []
    done = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += timedelta(seconds=seconds)
        if len(slept) == 7:
            done.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        rotation = tasks.create_task(rotate_for_ever(registry, sleep))
        registry.register(SOCKET, WORKLOAD)
        await done.wait()
        rotation.cancel()
    assert slept == [1800.0] * 7
    assert len(registry.authorities) == 2
    assert registry.workloads(SOCKET)[0].svid.not_after == clock.now + timedelta(minutes=30)


async def test_rotation_waits_for_the_first_registration_and_never_spins(clock: Clock) -> None:
    registry = Registry("a.example", clock, svid_lifetime=timedelta(milliseconds=1))
    slept: asyncio.Queue[float] = asyncio.Queue()

    async def sleep(seconds: float) -> None:
        slept.put_nowait(seconds)
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        rotation = tasks.create_task(rotate_for_ever(registry, sleep))
        await asyncio.sleep(0)  # the task has begun
        assert slept.empty()
        registry.register(SOCKET, WORKLOAD)
        assert await slept.get() == 1.0
        rotation.cancel()


async def test_a_foreign_domain_replaces_what_was_known_of_it(registry: Registry) -> None:
    first = make_authority("b.example", START, timedelta(hours=1)).bundle
    second = make_authority("b.example", START, timedelta(hours=1)).bundle
    registry.federate(ForeignDomain(first))
    registry.federate(ForeignDomain(second))
    assert registry.foreign["b.example"].x509 == second
