"""An API server that is ill in every way: serving goes on, each change is told once, and all heals by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.api_server import AGENTS, FakeApiServer, serving
from tests.support.slow import until
from webhook.admission.namespaces import NAMESPACES, Namespaces, NamespaceUnknown, api_fetch
from webhook.cluster.client import ApiClient
from webhook.cluster.failures import ApiFailed, Failure, Troubles
from webhook.cluster.pace import Pace
from webhook.cluster.watching import Following, follow


@pytest.fixture
def fake() -> FakeApiServer:
    made = FakeApiServer()
    made.install()
    return made


class Sleeps:
    """Pauses that take no time, and are remembered."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("status", "headers", "failure", "told"),
    [
        (401, {}, Failure.UNAUTHORIZED, "401 fault"),
        (
            403,
            {},
            Failure.FORBIDDEN,
            "grant get on namespaces (resourceNames: [agents]) in ClusterRole outrider-webhook",
        ),
        (404, {}, Failure.NOT_FOUND, "404"),
        (409, {}, Failure.CONFLICT, "409"),
        (410, {}, Failure.GONE, "410"),
        (422, {}, Failure.REFUSED, "422"),
        (429, {"Retry_After": "7"}, Failure.OVERLOADED, "429"),
        (500, {}, Failure.SERVER_ERROR, "500"),
        (503, {"Retry_After": "Wed, 21 Oct"}, Failure.SERVER_ERROR, "503"),
        (302, {}, Failure.REFUSED, "302"),
    ],
)
async def test_every_refusal_has_a_kind_and_a_sentence(
    fake, tmp_path, status, headers, failure, told
) -> None:
    fake.fail(status, **headers)
    async with serving(fake, tmp_path) as client:
        with pytest.raises(ApiFailed) as caught:
            await client.get(NAMESPACES, "agents")
    assert caught.value.failure is failure
    assert told in caught.value.detail
    assert caught.value.retry_after == (7.0 if status == 429 else 0.0)


async def test_a_server_that_hangs_is_given_up(fake, tmp_path) -> None:
    fake.hang()
    async with serving(fake, tmp_path, seconds=0.05) as client:
        with pytest.raises(ApiFailed) as caught:
            await client.get(NAMESPACES, "agents")
    assert caught.value.failure is Failure.TIMED_OUT


async def test_a_server_or_a_token_that_is_not_there_is_a_failure(fake, tmp_path) -> None:
    async with serving(fake, tmp_path) as client:
        (tmp_path / "token").unlink()
        with pytest.raises(ApiFailed) as caught:
            await client.get(NAMESPACES, "agents")
        assert caught.value.failure is Failure.NO_TOKEN
        (tmp_path / "token").write_text("t\nu")
        with pytest.raises(ApiFailed) as caught:
            await client.get(NAMESPACES, "agents")
        assert caught.value.failure is Failure.UNREACHABLE


def watched(client: ApiClient, sleeps: Sleeps) -> tuple[Namespaces, Any, list[dict[str, object]], list[Any]]:
    lines: list[dict[str, object]] = []
    counts: list[Any] = []
    store = Namespaces(api_fetch(client), lambda: 0.0)
    pace = Pace(sleep=sleeps, chance=lambda: 1.0)
    troubles = Troubles(lines.append, lambda *one: counts.append(one))
    return store, follow(client, Following("namespaces", NAMESPACES, store), pace, troubles), lines, counts


async def test_changes_arrive_and_a_version_that_is_gone_is_listed_anew(fake, tmp_path) -> None:
    async with serving(fake, tmp_path) as client, asyncio.TaskGroup() as group:
        sleeps = Sleeps()
        store, following, lines, _ = watched(client, sleeps)
        task = group.create_task(following)
        await until(lambda: len(store) == 1)
        fake.put("/api/v1/namespaces/other", {})
        await until(lambda: len(store) == 2)
        fake.delete("/api/v1/namespaces/other")
        await until(lambda: len(store) == 1)
        lists = fake.count("GET", "/api/v1/namespaces")
        fake.compact()
        fake.put("/api/v1/namespaces/third", {})
        await until(lambda: len(store) == 2)
        assert fake.count("GET", "/api/v1/namespaces") >= lists
        assert lines == []
        task.cancel()


ILLS = {
    "unauthorized": lambda fake: fake.fail(401),
    "forbidden": lambda fake: fake.fail(403),
    "gone": lambda fake: fake.fail(410),
    "overloaded": lambda fake: fake.fail(429, Retry_After="7"),
    "broken": lambda fake: fake.fail(500),
    "garbage": lambda fake: fake.babble(b"<html>"),
    "a list of nothing": lambda fake: fake.babble(b"[]"),
    "objects that are none": lambda fake: fake.babble(b'{"metadata":{},"items":[3]}'),
}


@pytest.mark.parametrize("ill", ILLS)
async def test_an_illness_is_told_once_waited_out_and_healed_from(fake, tmp_path, ill) -> None:
    heal = ILLS[ill](fake)
    async with serving(fake, tmp_path) as client, asyncio.TaskGroup() as group:
        sleeps = Sleeps()
        store, following, lines, counts = watched(client, sleeps)
        task = group.create_task(following)
        await until(lambda: len(sleeps.seconds) >= 6)
        assert [line["event"] for line in lines] == ["api_failure"]
        assert len(counts) >= 6
        assert sleeps.seconds[1] >= sleeps.seconds[0]
        assert max(sleeps.seconds) <= 15
        if ill == "overloaded":
            assert min(sleeps.seconds) == 7
        heal()
        await until(lambda: len(store) == 1)
        fake.put("/api/v1/namespaces/other", {})
        await until(lambda: len(store) == 2)
        task.cancel()


async def test_where_watching_is_forbidden_it_polls(fake, tmp_path) -> None:
    async def fault(request):
        from aiohttp import web

        return web.json_response({}, status=403) if request.query.get("watch") else None

    fake.faults.append(fault)
    async with serving(fake, tmp_path) as client, asyncio.TaskGroup() as group:
        sleeps = Sleeps()
        store, following, lines, _ = watched(client, sleeps)
        task = group.create_task(following)
        await until(lambda: len(store) == 1)
        fake.put("/api/v1/namespaces/other", {})
        await until(lambda: len(store) == 2)
        assert len(lines) == 1
        assert "grant watch on namespaces" in str(lines[0]["error"])
        task.cancel()


async def test_a_lookup_that_hangs_is_answered_from_memory_or_not_at_all(fake, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("webhook.admission.namespaces.LOOK_UP_SECONDS", 0.05)
    now = [0.0]
    async with serving(fake, tmp_path) as client:
        store = Namespaces(api_fetch(client), lambda: now[0])
        assert (await store.look_up("agents")).confirmed
        fake.hang(AGENTS)
        now[0] = 10.0
        known = await store.look_up("agents")
        assert known.namespace.labels == {"outrider.dev/injection": "required"}
        assert not known.confirmed
        with pytest.raises(NamespaceUnknown, match="does not exist"):
            await store.look_up("unheard-of")
