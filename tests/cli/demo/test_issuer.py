"""The stand-in for an authorization server: small, and as strict as the story says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from cli.demo import issuer as module
from cli.demo.cast import HELPDESK, ISSUER, NOTES_AUDIENCE, TRIAGE
from cli.demo.issuer import ACCESS_TOKEN, EXCHANGE, JWT_SPIFFE, Issuer, digest
from mesh.identity.bundle_document import jwk_of
from mesh.identity.jws import read_jws
from mesh.identity.jwt_svid import issue_jwt_svid, make_jwt_key
from mesh.identity.spiffe_id import SpiffeId

KEY = make_jwt_key()


def svid(spiffe_id: str = HELPDESK.spiffe_id, audience: str = ISSUER, key: Any = KEY) -> str:
    """Lasts for longer than a run of the suite."""
    return issue_jwt_svid(key, SpiffeId.parse(spiffe_id), [audience], datetime.now(UTC), timedelta(days=1))


def issuer() -> Issuer:
    made = Issuer()
    made.trust({"keys": [jwk_of(KEY.public, use="jwt-svid", kid=KEY.key_id)]})
    return made


def form(token: str, **changed: str) -> dict[str, str]:
    return {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "client_assertion_type": JWT_SPIFFE,
        "client_assertion": svid(),
        "actor_token": svid(),
        "audience": NOTES_AUDIENCE,
        **changed,
    }


async def ask(made: Issuer, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
    async with TestClient(TestServer(made.application())) as client:
        answer = await client.post("/token", data=fields)
        return answer.status, await answer.json()


async def test_a_users_token_is_exchanged_for_one_of_the_server() -> None:
    made = issuer()
    status, answer = await ask(made, form(made.token("alice")))
    assert status == 200
    claims = read_jws(answer["access_token"]).claims
    assert (claims["sub"], claims["aud"], claims["act"]) == (
        "alice",
        NOTES_AUDIENCE,
        {"sub": HELPDESK.spiffe_id},
    )
    assert made.exchanges[0].digest == digest(answer["access_token"])
    assert made.made[-1] == answer["access_token"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"client_assertion_type": "jwt-bearer"}, "invalid_client"),
        ({"client_assertion": svid(audience="https://other.example.com")}, "invalid_client"),
        ({"client_assertion": svid(key=make_jwt_key())}, "invalid_client"),
        ({"client_assertion": svid(TRIAGE.spiffe_id)}, "unauthorized_client"),
        ({"audience": "https://payroll.example.com"}, "invalid_target"),
        ({"subject_token": "garbage"}, "invalid_grant"),
        ({"subject_token": Issuer().token("alice")}, "invalid_grant"),
        ({"actor_token": "garbage"}, "invalid_request"),
    ],
)
async def test_what_does_not_prove_itself_gets_nothing(changed: dict[str, str], error: str) -> None:
    made = issuer()
    status, answer = await ask(made, form(made.token("alice"), **changed))
    assert status in (400, 401)
    assert answer["error"] == error
    assert made.exchanges == []


async def test_a_token_that_was_exchanged_is_not_exchanged_again() -> None:
    made = issuer()
    _, answer = await ask(made, form(made.token("alice")))
    assert (await ask(made, form(answer["access_token"])))[1]["error"] == "invalid_grant"


async def test_an_expired_token_is_not_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    made = issuer()
    token = made.token("alice")
    later = int(datetime.now(UTC).timestamp()) + module.LIFETIME
    monkeypatch.setattr(module, "_now", lambda: later)
    assert (await ask(made, form(token)))[1]["error"] == "invalid_grant"


async def test_metadata_and_keys_are_what_a_sidecar_looks_for() -> None:
    made = issuer()
    async with TestClient(TestServer(made.application())) as client:
        metadata = await (await client.get("/.well-known/oauth-authorization-server")).json()
        keys = await (await client.get("/keys")).json()
    assert metadata == {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", "token_endpoint": f"{ISSUER}/token"}
    assert keys["keys"][0]["kid"] == read_jws(made.token("alice")).header["kid"]
