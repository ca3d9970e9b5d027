from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from webhook.admission.namespaces import (
    ApiServer,
    NamespaceUnknown,
    api_fetch,
    cached,
    fixed_lookup,
    read_session,
)
from webhook.admission.outcome import Namespace


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Lookup:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = False

    async def __call__(self, name: str) -> Namespace:
        self.asked.append(name)
        await asyncio.sleep(0)
        if self.fails:
            raise NamespaceUnknown("gone")
        return Namespace(name, {"asked": str(len(self.asked))})


async def test_an_answer_is_kept_for_a_while() -> None:
    clock, lookup = Clock(), Lookup()
    look_up = cached(lookup, clock, 5.0)
    assert await look_up("a") == await look_up("a")
    clock.now = 4.9
    await look_up("a")
    assert lookup.asked == ["a"]
    clock.now = 5.0
    assert (await look_up("a")).labels == {"asked": "2"}


async def test_many_pods_at_once_ask_once() -> None:
    lookup = Lookup()
    look_up = cached(lookup, Clock())
    await asyncio.gather(*(look_up(name) for name in ["a", "b"] * 20))
    assert sorted(lookup.asked) == ["a", "b"]


async def test_a_failure_is_not_kept_and_an_expired_answer_is_not_used_in_its_place() -> None:
    clock, lookup = Clock(), Lookup()
    look_up = cached(lookup, clock, 5.0)
    await look_up("a")
    clock.now = 6.0
    lookup.fails = True
    for _ in range(2):
        with pytest.raises(NamespaceUnknown):
            await look_up("a")
    lookup.fails = False
    assert (await look_up("a")).labels == {"asked": "4"}


async def test_the_cache_does_not_grow_without_bound() -> None:
    lookup = Lookup()
    look_up = cached(lookup, Clock())
    for number in range(1001):
        await look_up(f"n{number}")
    await look_up("n1000")
    assert len(lookup.asked) == 1001
    await look_up("n0")
    assert len(lookup.asked) == 1002


async def test_a_settings_file_answers_for_its_own_namespaces_only() -> None:
    look_up = fixed_lookup({"a": Namespace("a", {"x": "1"})})
    assert (await look_up("a")).labels == {"x": "1"}
    with pytest.raises(NamespaceUnknown, match="namespace b is not in the settings file"):
        await look_up("b")


async def answers(handler, tmp_path: Path, *, with_token: bool = True):
    application = web.Application()
    application.router.add_get("/api/v1/namespaces/{name}", handler)
    server = TestServer(application)
    await server.start_server()
    if with_token:
        (tmp_path / "token").write_text("secret\n")
    api = ApiServer(str(server.make_url("")).rstrip("/"), tmp_path / "token", None)
    return server, api


async def asked(handler, tmp_path: Path, name: str = "agents", **more) -> Namespace:
    server, api = await answers(handler, tmp_path, **more)
    try:
        async with aiohttp.ClientSession() as session:
            return await api_fetch(session, api)(name)
    finally:
        await server.close()


async def test_the_api_server_is_asked_with_the_token_of_the_service_account(tmp_path) -> None:
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.raw_path, request.headers["Authorization"]))
        metadata = {"name": "agents", "labels": {"a": "b"}, "annotations": {"c": "d"}}
        return web.json_response({"kind": "Namespace", "metadata": metadata})

    assert await asked(handler, tmp_path) == Namespace("agents", {"a": "b"}, {"c": "d"})
    assert seen == [("/api/v1/namespaces/agents", "Bearer secret")]


async def test_a_namespace_without_labels_has_none(tmp_path) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({"metadata": {"name": "agents"}})

    assert await asked(handler, tmp_path) == Namespace("agents")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, "{}", "answers 404"),
        (403, "{}", "answers 403"),
        (302, "{}", "answers 302"),
        (200, "no json", "is unreadable"),
        (200, '{"metadata": 3}', "is unreadable"),
        (200, '{"metadata": {"labels": {"a": 1}}}', "is unreadable"),
        (200, "[" * 10_000, "is unreadable"),
    ],
)
async def test_any_other_answer_is_a_failure_that_says_why(tmp_path, status, body, told) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    with pytest.raises(NamespaceUnknown, match=told):
        await asked(handler, tmp_path)


async def test_a_token_that_cannot_be_read_is_a_failure(tmp_path) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response()

    with pytest.raises(NamespaceUnknown, match="token"):
        await asked(handler, tmp_path, with_token=False)


async def test_an_api_server_that_cannot_be_reached_is_a_failure(
    tmp_path,
) -> None:
    (tmp_path / "token").write_text("t")
    api = ApiServer("http://127.0.0.1:1", tmp_path / "token", None)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(NamespaceUnknown, match="namespace agents"):
            await api_fetch(session, api)("agents")


async def test_a_name_cannot_leave_its_place_in_the_path(tmp_path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"metadata": {"labels": {"path": request.raw_path}}})

    found = await asked(handler, tmp_path, "../nodes?x=#y")
    assert found.labels["path"] == "/api/v1/namespaces/..%2Fnodes%3Fx=%23y"


def test_the_cluster_is_found_by_the_environment_of_a_pod(tmp_path) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    found = ApiServer.of_cluster(environment, tmp_path)
    assert found == ApiServer("https://[fd00::1]:443", tmp_path / "token", tmp_path / "ca.crt")
    assert ApiServer.of_cluster({}) is None
    assert ApiServer("http://x", tmp_path / "token", None).tls() is True


async def test_only_the_authority_of_the_cluster_is_trusted(tmp_path, certificate) -> None:
    cert, _ = certificate(tmp_path, "cluster")
    api = ApiServer("https://x", tmp_path / "token", cert)
    context = api.tls()
    assert isinstance(context, ssl.SSLContext)
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    session = read_session(api)
    assert session.trust_env is False
    await session.close()
