"""The sidecar gets credentials from a real Keycloak: for a user or itself, proved by JWT-SVIDs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from e2e.keycloak.credentials import Credentials, accepts, credentials, exchange_for, token_server
from e2e.keycloak.grants import claims
from e2e.keycloak.server import Keycloak
from e2e.keycloak.trust_domain import TrustDomain
from mesh.policy.credentials import (
    ClientAuth,
    ClientCredentials,
    ClientMethod,
    Exchange,
    JwtBearer,
    SecretKey,
    WithoutUser,
)
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused, Issued
from sidecar.credentials.mint import client_credentials, exchange
from sidecar.credentials.mint.jwt_bearer import JwtBearers
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.verified import Verified

NOBODY = frozenset[str]()


def bearer(issued: Issued) -> str:
    (name, value), *others = issued.fields
    assert (name, others) == (b"authorization", [])
    assert value.startswith(b"Bearer ")
    return value.removeprefix(b"Bearer ").decode("ascii")


async def user(own: Credentials, name: str = "alice") -> Verified:
    own.users.use(accepts(own.server))
    return await own.verified(own.server.token(name))


async def test_a_users_token_is_exchanged_for_one_of_the_backend(
    keycloak: Keycloak, mesh: TrustDomain
) -> None:
    with credentials(keycloak, mesh, "orchestrator") as own:
        alice = await user(own)
        config = exchange_for(keycloak, "mcp-github", "repo:read")
        issued = await exchange.mint(config, alice, NOBODY, parts=own.parts)
    said = claims(bearer(issued))
    assert (said["aud"], said["azp"], said["scope"]) == ("mcp-github", "orchestrator", "repo:read")
    assert said["sub"] == alice.user.subject
    assert issued.scopes == {"repo:read"}
    assert said["exp"] - 60 < issued.expires <= said["exp"]
    assert bearer(issued).encode() in issued.secrets


async def test_a_scope_that_a_server_asks_for_comes_along(keycloak: Keycloak, mesh: TrustDomain) -> None:
    with credentials(keycloak, mesh, "orchestrator") as own:
        config = exchange_for(keycloak, "mcp-github", "repo:read")
        issued = await exchange.mint(config, await user(own), frozenset({"repo:write"}), parts=own.parts)
    assert issued.scopes == {"repo:read", "repo:write"}


async def test_two_agents_in_a_row_act_for_the_same_user(keycloak: Keycloak, mesh: TrustDomain) -> None:
    with (
        credentials(keycloak, mesh, "orchestrator") as first,
        credentials(keycloak, mesh, "worker") as second,
    ):
        alice = await user(first)
        passed_on = bearer(
            await exchange.mint(exchange_for(keycloak, "worker"), alice, NOBODY, parts=first.parts)
        )
        second.users.use(accepts(keycloak, "worker"))
        arrived = await second.verified(passed_on)
        assert arrived.user.client == "orchestrator"
        last = await exchange.mint(exchange_for(keycloak), arrived, NOBODY, parts=second.parts)
    said = claims(bearer(last))
    assert (said["sub"], said["azp"], said["aud"]) == (alice.user.subject, "worker", "mcp-github")


async def test_an_agent_gets_a_token_for_itself(keycloak: Keycloak, mesh: TrustDomain) -> None:
    with credentials(keycloak, mesh, "worker") as own:
        config = ClientCredentials(token_server(keycloak), audience="mcp-github", scopes=("repo:read",))
        issued = await client_credentials.mint(config, None, NOBODY, parts=own.parts)
        alone = replace(exchange_for(keycloak), without_user=WithoutUser.CLIENT_CREDENTIALS)
        same = await exchange.mint(alone, None, NOBODY, parts=own.parts)
    for each in (issued, same):
        assert (claims(bearer(each))["azp"], claims(bearer(each))["aud"]) == ("worker", "mcp-github")


@pytest.mark.parametrize("client", [None, "batch"], ids=["by its subject", "by its name"])
async def test_a_jwt_svid_of_openid_connect_proves_the_agent(
    keycloak: Keycloak, mesh: TrustDomain, client: str | None
) -> None:
    by = ClientAuth(ClientMethod.JWT_BEARER, id=client)
    with credentials(keycloak, mesh, "batch") as own:
        config = ClientCredentials(token_server(keycloak, by))
        issued = await client_credentials.mint(config, None, NOBODY, parts=own.parts)
    assert claims(bearer(issued))["azp"] == "batch"


async def test_a_jwt_svid_is_the_grant_itself(keycloak: Keycloak, mesh: TrustDomain) -> None:
    config = JwtBearer(token_server(keycloak, ClientAuth(ClientMethod.JWT_BEARER)), scopes=("repo:read",))
    with credentials(keycloak, mesh, "batch") as own:
        issued = await JwtBearers(SecretFiles(None)).mint(config, None, NOBODY, parts=own.parts)
    said = claims(bearer(issued))
    assert (said["azp"], said["aud"], said["scope"]) == ("batch", "mcp-github", "repo:read")
    assert said["sub"] == keycloak.admin("GET", "/users?username=batch-robot").json()[0]["id"]


@pytest.mark.parametrize("method", [ClientMethod.SECRET_BASIC, ClientMethod.SECRET_POST])
async def test_a_secret_proves_the_agent_where_there_is_nothing_better(
    keycloak: Keycloak, mesh: TrustDomain, tmp_path: Path, method: ClientMethod
) -> None:
    (tmp_path / "idp").mkdir()
    (tmp_path / "idp" / "secret").write_text("not-a-secret", encoding="ascii")
    by = ClientAuth(method, id="legacy", secret=SecretKey("idp", "secret"))
    with credentials(keycloak, mesh, "orchestrator", tmp_path) as own:
        config = ClientCredentials(token_server(keycloak, by))
        issued = await client_credentials.mint(config, None, NOBODY, parts=own.parts)
    assert claims(bearer(issued))["azp"] == "legacy"


@pytest.mark.parametrize(
    ("account", "audience", "scopes", "told"),
    [
        ("nobody", "mcp-github", (), "invalid_client"),
        ("idle", "mcp-github", (), "not enabled"),
        ("orchestrator", "frontend", (), "not available"),
        ("orchestrator", "nowhere", (), "Audience not found"),
        ("orchestrator", "mcp-github", ("admin",), "invalid_scope"),
        ("worker", "mcp-github", (), "not within the token audience"),
    ],
)
async def test_a_refusal_is_told_with_its_cause_and_without_secrets(
    keycloak: Keycloak, mesh: TrustDomain, account: str, audience: str, scopes: tuple[str, ...], told: str
) -> None:
    with credentials(keycloak, mesh, "orchestrator") as door, credentials(keycloak, mesh, account) as own:
        alice = await user(door)
        with pytest.raises(CredentialRefused, match=told) as refused:
            await exchange.mint(exchange_for(keycloak, audience, *scopes), alice, NOBODY, parts=own.parts)
    assert refused.value.reason is Reason.CREDENTIAL_REFUSED
    assert "github" in refused.value.detail
    assert "eyJ" not in refused.value.detail


async def test_a_user_who_logged_out_is_acted_for_no_more(keycloak: Keycloak, mesh: TrustDomain) -> None:
    with credentials(keycloak, mesh, "orchestrator") as own:
        alice = await user(own)
        keycloak.admin("DELETE", f"/sessions/{claims(alice.token)['sid']}")
        with pytest.raises(CredentialRefused) as refused:
            await exchange.mint(exchange_for(keycloak), alice, NOBODY, parts=own.parts)
    assert refused.value.reason is Reason.CREDENTIAL_REFUSED


async def test_a_request_of_nobody_is_not_exchanged(keycloak: Keycloak, mesh: TrustDomain) -> None:
    config: Exchange = exchange_for(keycloak)
    with credentials(keycloak, mesh, "orchestrator") as own, pytest.raises(CredentialRefused) as refused:
        await exchange.mint(config, None, NOBODY, parts=own.parts)
    assert refused.value.reason is Reason.SUBJECT_MISSING
