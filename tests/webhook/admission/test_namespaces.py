from __future__ import annotations

import asyncio
import json

import pytest

from webhook.admission.namespaces import STALE_SECONDS, Known, Namespaces, NamespaceUnknown, fixed_lookup
from webhook.admission.outcome import Namespace
from webhook.cluster.failures import ApiFailed, Failure


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Fetch:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failure: Failure | None = None

    async def __call__(self, name: str) -> Namespace:
        self.asked.append(name)
        await asyncio.sleep(0)
        if self.failure is not None:
            raise ApiFailed(self.failure, "away")
        return Namespace(name, {"asked": str(len(self.asked))})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fetch() -> Fetch:
    return Fetch()


@pytest.fixture
def how() -> list[str]:
    return []


@pytest.fixture
def namespaces(clock, fetch, how) -> Namespaces:
    return Namespaces(fetch, clock, how.append)


def sent(name: str, labels: object = None, annotations: object = None) -> bytes:
    return json.dumps({"metadata": {"name": name, "labels": labels, "annotations": annotations}}).encode()


async def test_a_watched_namespace_costs_no_call(namespaces, fetch, how) -> None:
    namespaces.replace((sent("a", {"x": "1"}), sent("b")))
    namespaces.live(True)
    namespaces.put(
        sent("a", {"x": "2"}, {"n": "m", "kubectl.kubernetes.io/last-applied-configuration": "{}"})
    )
    assert await namespaces.look_up("a") == Known(Namespace("a", {"x": "2"}, {"n": "m"}))
    assert await namespaces.look_up("b") == Known(Namespace("b"))
    assert fetch.asked == []
    assert how == ["watched", "watched"]


async def test_a_namespace_that_the_watch_has_not_brought_yet_is_asked_for(namespaces, fetch, how) -> None:
    namespaces.replace(())
    namespaces.live(True)
    assert (await namespaces.look_up("new")).namespace.labels == {"asked": "1"}
    assert how == ["asked"]


async def test_a_namespace_that_is_gone_is_asked_for_and_then_unknown(namespaces, fetch) -> None:
    namespaces.replace((sent("a"),))
    namespaces.live(True)
    namespaces.remove(sent("a"))
    fetch.failure = Failure.NOT_FOUND
    with pytest.raises(NamespaceUnknown, match="does not exist"):
        await namespaces.look_up("a")


async def test_a_namespace_that_does_not_exist_is_not_asked_for_again_at_once(
    namespaces, fetch, clock, how
) -> None:
    fetch.failure = Failure.NOT_FOUND
    found = await asyncio.gather(*(namespaces.look_up("a") for _ in range(20)), return_exceptions=True)
    assert {str(one) for one in found} == {"namespace a does not exist"}
    assert (fetch.asked, how) == (["a"], ["unknown"] * 20)
    clock.now, fetch.failure = 1.0, None
    assert (await namespaces.look_up("a")).confirmed


async def test_a_namespace_that_did_not_exist_is_known_as_soon_as_the_watch_brings_it(
    namespaces, fetch
) -> None:
    namespaces.live(True)
    fetch.failure = Failure.NOT_FOUND
    with pytest.raises(NamespaceUnknown):
        await namespaces.look_up("a")
    namespaces.put(sent("a"))
    assert await namespaces.look_up("a") == Known(Namespace("a"))


async def test_however_many_names_are_made_up_only_so_many_are_remembered(namespaces, fetch) -> None:
    fetch.failure = Failure.NOT_FOUND
    for number in range(2100):
        with pytest.raises(NamespaceUnknown):
            await namespaces.look_up(f"a{number}")
    assert len(namespaces._missing) == 2000


@pytest.mark.parametrize("name", ["A", "a.b", "a/b", "-a", "a" * 64, "ä", "a\n", "../nodes"])
async def test_what_no_namespace_can_be_called_is_not_asked_for(namespaces, fetch, name) -> None:
    with pytest.raises(NamespaceUnknown, match="no namespace can be called so"):
        await namespaces.look_up(name)
    assert fetch.asked == []


async def test_without_a_watch_an_answer_is_kept_for_a_few_seconds(namespaces, fetch, clock) -> None:
    await namespaces.look_up("a")
    clock.now = 4.9
    await namespaces.look_up("a")
    assert fetch.asked == ["a"]
    clock.now = 5.0
    assert (await namespaces.look_up("a")).namespace.labels == {"asked": "2"}


async def test_many_pods_at_once_ask_once(namespaces, fetch) -> None:
    await asyncio.gather(*(namespaces.look_up(name) for name in ["a", "b"] * 20))
    assert sorted(fetch.asked) == ["a", "b"]


async def test_many_pods_at_once_wait_for_one_failure_together(namespaces, fetch, clock) -> None:
    fetch.failure = Failure.TIMED_OUT
    found = await asyncio.gather(*(namespaces.look_up("a") for _ in range(20)), return_exceptions=True)
    assert {type(one) for one in found} == {NamespaceUnknown}
    assert fetch.asked == ["a"]
    clock.now = 1.1
    fetch.failure = None
    assert (await namespaces.look_up("a")).confirmed


async def test_when_the_watch_ends_what_it_brought_is_remembered_from_then_on(
    namespaces, fetch, clock
) -> None:
    namespaces.replace((sent("a"),))
    namespaces.live(True)
    clock.now = 1000.0
    namespaces.live(False)
    fetch.failure = Failure.UNREACHABLE
    assert (await namespaces.look_up("a")).confirmed
    clock.now = 1006.0
    assert await namespaces.look_up("a") == Known(Namespace("a"), confirmed=False)
    clock.now = 1000.0 + STALE_SECONDS
    with pytest.raises(NamespaceUnknown, match="namespace a: away"):
        await namespaces.look_up("a")


async def test_a_namespace_from_the_settings_file_needs_no_cluster() -> None:
    look_up = fixed_lookup({"a": Namespace("a")})
    assert await look_up("a") == Known(Namespace("a"))
    with pytest.raises(NamespaceUnknown, match="settings file"):
        await look_up("b")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"metadata": 3}', b'{"metadata":{"labels":{"a":1}}}', b"[" * 10_000]
)
def test_what_is_no_namespace_is_unreadable(namespaces, body) -> None:
    with pytest.raises(ApiFailed, match="unreadable") as caught:
        namespaces.put(body)
    assert caught.value.failure is Failure.UNREADABLE
