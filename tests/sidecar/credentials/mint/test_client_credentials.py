"""Tokens for the agent itself."""

from __future__ import annotations

from mesh.policy.credentials import ClientAuth, ClientCredentials, ClientMethod
from sidecar.credentials.mint.client_credentials import mint
from tests.support.token_endpoint import ALICE, NOW, SECRET, FakeFetch, given, jwt, parts, server


async def test_whose_request_it_is_makes_no_difference() -> None:
    client = ClientAuth(ClientMethod.SECRET_POST, "triage", secret=SECRET)
    config = ClientCredentials(server(client), "crm", "https://crm.example/mcp", ("a",))
    fetch = FakeFetch([given(jwt(aud="crm"))])
    used = parts(fetch, secrets={SECRET: b"hunter2"})
    issued = await mint(config, None, frozenset({"b"}), parts=used)
    assert issued.expires == NOW + 300
    assert issued.scopes == {"a", "b"}
    await mint(config, ALICE, frozenset({"b"}), parts=used)
    first, second = (request.form for request in fetch.requests)
    assert first == second
    assert first == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "resource": "https://crm.example/mcp",
        "audience": "crm",
        "client_id": "triage",
        "client_secret": "hunter2",
    }
