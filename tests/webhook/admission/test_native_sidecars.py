from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.api_server import FakeApiServer, serving
from webhook.admission.native_sidecars import ask, follow_versions, supported
from webhook.cluster.failures import ApiFailed, Troubles
from webhook.cluster.pace import Pace


@pytest.mark.parametrize(
    ("api_server", "kubelets", "native"),
    [
        ("v1.29.0", (), True),
        ("v1.31.2", ("v1.29.4-gke.100", "v1.30.0+k3s1"), True),
        ("v1.28.9", (), False),
        ("v1.31.2", ("v1.31.2", "v1.28.15"), False),
        ("v2.0.0", ("v1.29.0",), True),
        ("v1.31.2", ("",), False),
        ("", (), False),
    ],
)
def test_the_api_server_and_every_kubelet_have_to_know_them(api_server, kubelets, native) -> None:
    assert supported(api_server, kubelets) is native


async def test_the_cluster_is_asked_without_its_nodes_whole(tmp_path) -> None:
    fake = FakeApiServer()
    async with serving(fake, tmp_path) as client:
        assert await ask(client)
        fake.kubelets = ("v1.31.2", "v1.27.1")
        assert not await ask(client)
        fake.babble(
            json.dumps({"columnDefinitions": [{"name": "Name"}], "rows": [{"cells": ["a"]}]}).encode(), "/api"
        )
        assert not await ask(client)
        fake.babble(b"{}", "/api")
        fake.faults.reverse()
        with pytest.raises(ApiFailed):
            await ask(client)


async def test_a_failure_is_told_until_there_is_an_answer_and_then_only_changes(tmp_path) -> None:
    fake, told, rounds = FakeApiServer(), [], []
    heal = fake.fail(500)

    async def sleep(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 2:
            heal()
        if len(rounds) == 4:
            fake.kubelets = ("v1.20.0",)
        if len(rounds) == 6:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    async with serving(fake, tmp_path) as client:
        pace = Pace(sleep=sleep, chance=lambda: 1.0)
        with pytest.raises(asyncio.CancelledError):
            await follow_versions(client, pace, Troubles(lambda _: None, lambda *_: None), told.append)
    assert told == [None, None, True, False]
    assert rounds == [0.5, 1.0, 300.0, 300.0, 300.0, 300.0]
