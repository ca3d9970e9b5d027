"""The MCP server at the end of the chain takes tokens for itself alone, so what it says was proved to it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from e2e import environments
from e2e.conftest import skip
from e2e.environments import Unavailable
from e2e.oauth.running import OAuthServer, oauth_server, web_authority
from e2e.processes import announced_port, spawn

RESOURCE = "http://crm.test:9000/mcp"
OTHER = "http://other.test:9000/mcp"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OAuthServer, str]]:
    folder = tmp_path_factory.mktemp("whoami")
    authority = web_authority(folder)
    try:
        with oauth_server(folder, authority) as server:
            options = ["--resource", RESOURCE, "--issuer", server.issuer, "--jwks", server.jwks_uri]
            python = environments.python_with_mcp_v2()
            command = [python, "-m", "e2e.oauth.whoami_server", *options, "--roots", authority.roots]
            with spawn(command, announced_port) as port:
                yield server, f"http://127.0.0.1:{port}/mcp"
    except Unavailable as reason:
        skip("the authorization server", reason)


async def test_it_tells_what_is_in_its_token(running: tuple[OAuthServer, str]) -> None:
    server, url = running
    act = {"sub": "spiffe://mesh.test/ns/agents/sa/worker"}
    token = server.sign_in(sub="alice", aud=RESOURCE, client_id="worker", scope="read", claims={"act": act})
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        result = await client.call_tool("whoami", {})
    claims = json.loads(result.content[0].text)  # type: ignore[union-attr]
    assert (claims["sub"], claims["aud"], claims["client_id"], claims["act"]) == (
        "alice",
        RESOURCE,
        "worker",
        act,
    )


@pytest.mark.parametrize(
    "wanted",
    [
        {"aud": OTHER},
        {"aud": [RESOURCE, OTHER]},
        {"aud": RESOURCE, "seconds": -30},
        {"aud": RESOURCE, "claims": {"iss": "https://other.example"}},
        None,
    ],
    ids=["other audience", "more audiences", "expired", "other issuer", "no token"],
)
def test_it_refuses_every_other_token(
    running: tuple[OAuthServer, str], wanted: dict[str, Any] | None
) -> None:
    server, url = running
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if wanted is not None:
        headers["Authorization"] = f"Bearer {server.sign_in(sub='alice', **wanted)}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as refused:
        direct.open(urllib.request.Request(url, b"{}", headers), timeout=10)  # noqa: S310
    with refused.value:
        assert refused.value.code == 401
        assert "resource_metadata" in refused.value.headers["WWW-Authenticate"]
