"""What a name leads to is decided once, and only that is dialled."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.policy.address_space import space_of
from mesh.policy.boundary import Reach
from mesh.reasons import Reason
from sidecar.proxy import bounded
from sidecar.proxy.bounded import bounded_connection
from sidecar.proxy.lookups import Found, Lookups
from sidecar.proxy.pool import ConnectFailed

LOOPS = ("asyncio", "uvloop")
PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:2800:220:1::1", "64:ff9b::101:101"]
NEAR = ["169.254.169.254", "fd00:ec2::254", "fe80::1", "::ffff:169.254.169.254", "168.63.129.16"]
PRIVATE = ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "100.64.0.1", "64:ff9b::a00:1", "224.0.0.1", "0.0.0.0"]


class Names:
    """A resolver whose answers are told, and a network that only remembers who was dialled."""

    def __init__(self, *answers: Iterable[str], dead: Iterable[str] = ()) -> None:
        self._answers = [list(answer) for answer in answers]
        self._dead = set(dead)
        self.asked: list[tuple[str, int]] = []
        self.dialled: list[str] = []
        self.observed: list[tuple[str, str]] = []

    async def look_up(self, host: str, port: int) -> list[Found]:
        self.asked.append((host, port))
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        return [(socket.AF_INET6 if ":" in text else socket.AF_INET, text, (text, port)) for text in answer]

    async def connect(self, address: str) -> str:
        self.dialled.append(address)
        if address in self._dead:
            raise ConnectionRefusedError(111, "refused")
        return address

    def observe(self, destination: str, detail: str) -> None:
        self.observed.append((destination, detail))

    async def dial(self, host: str = "a.example.com", reach: str = Reach.PUBLIC) -> None:
        await bounded_connection(
            host, 80, reach, lookup=self.look_up, observed=self.observe, connect=self.connect
        )


@pytest.mark.parametrize("address", NEAR + PRIVATE)
async def test_a_name_that_leads_to_no_public_address_is_refused_and_says_where_it_leads(
    address: str,
) -> None:
    names = Names([address])
    with pytest.raises(ConnectFailed) as caught:
        await names.dial()
    assert caught.value.reason is Reason.EGRESS_PRIVATE_ADDRESS
    assert caught.value.detail == f"a.example.com leads to {address} ({space_of(address)})"
    assert names.dialled == []


@given(st.lists(st.sampled_from(PUBLIC + NEAR + PRIVATE), max_size=8, unique=True), st.data())
def test_whatever_the_resolver_says_only_addresses_within_reach_are_dialled_in_its_order(
    answer: list[str], data: st.DataObject
) -> None:
    reach = data.draw(st.sampled_from([Reach.PUBLIC, Reach.ROUTED]))
    dead = data.draw(st.sets(st.sampled_from(answer))) if answer else set()
    names = Names(answer, dead=dead)
    within = [a for a in answer if a in PUBLIC or (reach == Reach.ROUTED and a in PRIVATE)]
    expected = within[: next((n for n, a in enumerate(within, 1) if a not in dead), len(within))]
    try:
        asyncio.run(names.dial(reach=reach))
    except (ConnectFailed, OSError):
        assert all(address in dead for address in within)
    assert names.dialled == expected
    assert len(names.asked) == 1


async def test_a_name_is_resolved_anew_for_each_connection_and_once_for_each() -> None:
    names = Names(["1.1.1.1"], ["169.254.169.254"])
    await names.dial()
    with pytest.raises(ConnectFailed):
        await names.dial()
    assert names.dialled == ["1.1.1.1"]
    assert len(names.asked) == 2


async def test_under_observe_it_is_dialled_and_told() -> None:
    names = Names(["10.0.0.1", "1.1.1.1"])
    await names.dial(reach=Reach.OBSERVED)
    assert names.dialled == ["10.0.0.1"]
    assert names.observed == [("a.example.com:80", "a.example.com leads to 10.0.0.1 (private)")]


async def test_under_observe_an_address_was_recorded_when_it_was_decided() -> None:
    names = Names(["10.0.0.1"])
    await names.dial("10.0.0.1", Reach.OBSERVED)
    assert (names.dialled, names.observed) == (["10.0.0.1"], [])


async def test_a_name_without_addresses_cannot_be_reached() -> None:
    with pytest.raises(OSError, match="no address"):
        await Names([]).dial()


async def test_few_addresses_are_tried() -> None:
    many = [f"1.1.1.{n}" for n in range(100)]
    names = Names(many, dead=many)
    with pytest.raises(ConnectionRefusedError):
        await names.dial()
    assert names.dialled == many[: bounded.MOST_ADDRESSES]


async def test_an_address_that_is_silent_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(["1.1.1.1", "1.0.0.1"])
    connect = names.connect

    async def silent_first(address: str) -> str:
        made = await connect(address)
        if address == "1.1.1.1":
            await asyncio.Event().wait()
        return made

    monkeypatch.setattr(names, "connect", silent_first)
    monkeypatch.setattr(bounded, "ATTEMPT_SECONDS", 0.02)
    async with asyncio.timeout(60):
        await names.dial()
    assert names.dialled == ["1.1.1.1", "1.0.0.1"]


# With the system's own resolver.


async def test_the_systems_resolver_knows_localhost_and_it_is_refused() -> None:
    names = Names()
    for host in ("localhost", "127.0.0.1"):
        with pytest.raises(ConnectFailed, match="loopback"):
            await bounded_connection(
                host, 80, Reach.PUBLIC, lookup=Lookups(4), observed=names.observe, connect=names.connect
            )
    assert names.dialled == []


async def test_what_is_connected_is_the_address_that_was_found() -> None:
    names = Names()
    made = await bounded_connection(
        "127.0.0.1", 80, Reach.ROUTED, lookup=Lookups(4), observed=names.observe, connect=names.connect
    )
    assert made == "127.0.0.1"
