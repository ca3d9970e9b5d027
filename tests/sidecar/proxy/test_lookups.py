"""Looking up names: once for many, in shares, and without holding up what ends."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from sidecar.proxy.lookups import Found, Lookups
from sidecar.proxy.resolve import FRESH_SECONDS, KEPT_SECONDS, Resolver
from tests.support.fakes import Clock
from tests.support.slow import until

HERE: Found = (socket.AF_INET, "192.0.2.1", ("192.0.2.1", 80))


class Silent:
    """A resolver that does not answer before it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = threading.Event()

    def __call__(self, host: str, port: int) -> list[Found]:
        self.asked.append(host)
        self.answer.wait(10)
        return [HERE]


async def test_a_name_is_asked_for_once_however_many_wait() -> None:
    silent = Silent()
    lookups = Lookups(4, silent)
    waiting = [asyncio.ensure_future(lookups("a", 80)) for _ in range(200)]
    await until(lambda: silent.asked == ["a"])
    waiting[0].cancel()
    silent.answer.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [[HERE]] * 199
    assert silent.asked == ["a"]
    assert not lookups._asked


async def test_names_beyond_the_share_wait_and_another_share_does_not() -> None:
    silent = Silent()
    crowded, other = Lookups(2, silent), Lookups(2, lambda host, port: [HERE])
    waiting = [asyncio.ensure_future(crowded(f"n{number}", 80)) for number in range(40)]
    await until(lambda: len(silent.asked) == 2)
    assert await asyncio.wait_for(other("declared", 80), 5) == [HERE]
    assert len(silent.asked) == 2
    silent.answer.set()
    assert await asyncio.gather(*waiting) == [[HERE]] * 40


@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("label too long")])
async def test_a_failure_is_told_to_everybody_who_waits(failure: Exception) -> None:
    def ask(host: str, port: int) -> list[Found]:
        raise failure

    lookups = Lookups(4, ask)
    found = await asyncio.gather(lookups("a", 80), lookups("a", 80), return_exceptions=True)
    assert [type(one) for one in found] == [OSError, OSError]


async def test_an_address_is_its_own() -> None:
    assert [entry[1] for entry in await Lookups(4)("192.0.2.1", 80)] == ["192.0.2.1"]


async def test_what_a_host_answered_counts_for_a_while_after_it_answers_something_else() -> None:
    clock, answers = Clock(), [["192.0.2.1"], ["192.0.2.2"], [], ["192.0.2.3"]]

    async def lookup(host: str, port: int) -> list[Found]:
        texts = answers.pop(0)
        if not texts:
            raise OSError("not now")
        return [(socket.AF_INET, text, (text, port)) for text in texts]

    resolver = Resolver(lookup, clock)
    assert await resolver.addresses("db") == {"192.0.2.1"}
    assert await resolver.addresses("db") == {"192.0.2.1"}
    clock.now += FRESH_SECONDS
    assert await resolver.addresses("db") == {"192.0.2.1", "192.0.2.2"}
    clock.now += FRESH_SECONDS
    assert await resolver.addresses("db") == {"192.0.2.1", "192.0.2.2"}  # a failure takes nothing away
    clock.now += KEPT_SECONDS
    assert await resolver.addresses("db") == {"192.0.2.3"}
