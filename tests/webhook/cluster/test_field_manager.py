"""Whoever looks at an object's managedFields finds the control plane by its name."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from webhook.cluster.client import ApiClient, Collection
from webhook.cluster.server import ApiServer

MAPS = Collection("/api/v1", "configmaps", "outrider-system")


@pytest.fixture
async def written(tmp_path):
    """A client, and the queries of what it asked."""
    queries: list[tuple[str, str | None]] = []

    async def answer(request: web.Request) -> web.Response:
        queries.append((request.method, request.query.get("fieldManager")))
        return web.json_response({})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    token = tmp_path / "token"
    token.write_text("t")
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        yield ApiClient(session, ApiServer(str(server.make_url("")).rstrip("/"), token, None)), queries


async def test_every_write_names_its_manager_and_no_read_does(written) -> None:
    client, queries = written
    await client.create(MAPS, {})
    await client.replace(MAPS, "a", {})
    await client.patch(MAPS, "a", [])
    await client.merge(MAPS, "a", {}, part="status")
    await client.get(MAPS, "a")
    name = "outrider-webhook"
    assert queries == [("POST", name), ("PUT", name), ("PATCH", name), ("PATCH", name), ("GET", None)]
