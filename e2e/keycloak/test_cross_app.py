"""Cross-app access: an identity provider vouches for the user, and Keycloak gives a token for that (ID-JAG)."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.keycloak.credentials import accepts, credentials, token_server
from e2e.keycloak.grants import claims, granted, refused
from e2e.keycloak.handmade import JAG_CLIENT, JAG_SECRET, JAG_USER, Handmade
from e2e.keycloak.server import Answer, Keycloak
from e2e.keycloak.trust_domain import TrustDomain
from mesh.policy.credentials import ClientAuth, ClientMethod, IdJag, SecretKey, SubjectKind, TokenServer
from mesh.protocol.oauth.grants import ID_JAG
from sidecar.credentials.mint import id_jag

RESOURCE = "https://mcp.example/mcp"


async def test_an_identity_assertion_becomes_a_token_of_the_user(
    keycloak: Keycloak, mesh: TrustDomain, forger: Handmade, tmp_path: Path
) -> None:
    (tmp_path / "idp").mkdir()
    (tmp_path / "idp" / "secret").write_text(JAG_SECRET, encoding="ascii")
    by_secret = ClientAuth(ClientMethod.SECRET_POST, id=JAG_CLIENT, secret=SecretKey("idp", "secret"))
    provider = TokenServer(forger.url, f"{forger.url}/token", ClientAuth())
    config = IdJag(
        provider,
        token_server(keycloak, by_secret),
        RESOURCE,
        scopes=("repo:read",),
        subject=SubjectKind.ACCESS_TOKEN,
    )
    with credentials(keycloak, mesh, "orchestrator", tmp_path) as own:
        own.users.use(accepts(keycloak))
        alice = await own.verified(keycloak.token("alice"))
        issued = await id_jag.mint(config, alice, frozenset(), parts=own.parts)
    (asked,) = forger.asked
    assert (asked["requested_token_type"], asked["audience"]) == (ID_JAG, keycloak.issuer)
    (value,) = (value for name, value in issued.fields if name == b"authorization")
    said = claims(value.removeprefix(b"Bearer ").decode())
    assert (said["sub"], said["azp"]) == (alice.user.subject, JAG_CLIENT)
    assert said["aud"] == "mcp-github"


@pytest.mark.parametrize(
    ("wrong", "description"),
    [
        (
            {"client_id": "orchestrator"},
            f"client id in assertion : orchestrator and client id in request header/body : {JAG_CLIENT}",
        ),
        ({"sub": "nobody"}, "User not found"),
        ({"aud": "https://x.example"}, "Invalid token audience"),
    ],
    ids=["for another client", "of nobody", "for another server"],
)
def test_an_assertion_for_somebody_else_is_refused(
    keycloak: Keycloak, forger: Handmade, wrong: dict[str, str], description: str
) -> None:
    answer = redeem(keycloak, forger.id_jag(**{"sub": JAG_USER, **wrong}))
    assert refused(answer) == (400, "invalid_grant", description)


def test_an_assertion_counts_once(keycloak: Keycloak, forger: Handmade) -> None:
    assertion = forger.id_jag(sub=JAG_USER)
    granted(redeem(keycloak, assertion))
    assert refused(redeem(keycloak, assertion)) == (400, "invalid_grant", "Token reuse detected")


def redeem(server: Keycloak, assertion: str) -> Answer:
    """Without the sidecar."""
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    return server.ask({**form, "client_id": JAG_CLIENT, "client_secret": JAG_SECRET})
