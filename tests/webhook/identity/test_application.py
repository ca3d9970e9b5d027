"""What the control port answers while there is nothing to sign with, and to what it does not know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from mesh.identity.csr import make_csr
from mesh.identity.spiffe_id import SpiffeId
from webhook.cluster.failures import ApiFailed
from webhook.identity.application import control_application
from webhook.identity.ca_server import CaServer
from webhook.identity.callers import How, Proven, who
from webhook.identity.keyring.in_force import InForce
from webhook.identity.keyring.values import Times
from webhook.identity.oidc import Discovery
from webhook.identity.rate_limit import RateLimit

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CALLER = Proven(
    "agents",
    "triage",
    SpiffeId("a.example", "/ns/agents/sa/triage"),
    NOW + timedelta(hours=1),
    How.TOKEN,
    "triage-1",
    "2",
)


class Anybody:
    async def who(self, request: web.Request) -> Proven:
        return CALLER


def force() -> InForce:
    return InForce("a.example", Times(), lambda: NOW, lambda _line: None, lambda: None)


def application(audit: list[Any]) -> web.Application:
    nothing = force()
    ca = CaServer(nothing, limit=RateLimit(lambda: 0.0), audit=audit.append, clock=lambda: NOW)
    return control_application(
        Anybody(), audit.append, ca=ca, discovery=Discovery(nothing, "https://x"), clock=lambda: NOW
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/svid", {"csr": make_csr(ec.generate_private_key(ec.SECP256R1()))}),
        ("POST", "/v1/jwt-svid", {"audience": ["x"]}),
        ("GET", "/v1/bundles", None),
        ("GET", "/keys", None),
    ],
)
async def test_without_a_ca_everything_says_when_to_come_again(method: str, path: str, body: Any) -> None:
    audit: list[Any] = []
    async with TestClient(TestServer(application(audit))) as client:
        answer = await client.request(method, path, json=body)
        document = await answer.json()
        assert (answer.status, document["error"], document["retryAfterSeconds"]) == (503, "unavailable", 5)
        assert "has not been seen yet" in document["detail"]
        assert [line["event"] for line in audit] == ["refused"]


async def test_a_route_of_others_asks_who_calls_and_is_answered_like_ours() -> None:
    made = application([])

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"is": str((await who(request)).spiffe_id)})

    made.router.add_post("/v1/other", handler)
    async with TestClient(TestServer(made)) as client:
        answer = await client.post("/v1/other")
        assert await answer.json() == {"is": "spiffe://a.example/ns/agents/sa/triage"}
        wrong = await client.get("/v1/other")
        assert (wrong.status, (await wrong.json())["error"]) == (405, "malformed")
        nowhere = await client.get("/nowhere")
        assert (nowhere.status, (await nowhere.json())["error"]) == (404, "malformed")


@given(
    st.one_of(
        st.binary(max_size=200),
        st.dictionaries(
            st.sampled_from(["keyring.json", "ca.crt", "tls.crt", "tls.key", "jwt.key", "x"]),
            st.sampled_from(["", "e30=", "eA==", "-", "LS0tLS1CRUdJTg=="]),
        ),
    )
)
def test_whatever_the_secret_holds_is_told_of_and_never_used(content: Any) -> None:
    import msgspec

    held = force()
    item = content if isinstance(content, bytes) else msgspec.json.encode({"metadata": {}, "data": content})
    try:
        held.take(item)
    except ApiFailed:
        return
    assert held.problems()
    assert held.keyring is None
