"""Whatever grant and proof a Backend names, an independent server finds no fault with what is sent for it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.authority import TrustDomain, trust_domain
from e2e.conftest import skip
from e2e.environments import Unavailable
from e2e.oauth.chain_documents import resource
from e2e.oauth.minting import Desk, desk, users_of
from e2e.oauth.running import OAuthServer, WebAuthority, oauth_server, web_authority
from e2e.oauth.strict import CLIENT_CREDENTIALS, JWT_BEARER, TOKEN_EXCHANGE
from mesh.identity.bundle_document import write_jwks
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.verified import TokenRefused

DOMAIN = "mesh.test"
Open = Callable[..., Awaitable[Desk]]
AGENT = "worker"
CRM = resource("crm")
SECRET = "s:ec ret/+&=%ü"  # what needs care in a form and in Basic
GRANTS = [CLIENT_CREDENTIALS, TOKEN_EXCHANGE, JWT_BEARER]
KEYS: dict[str, Any] = {
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
PROOFS = {
    "jwt-spiffe": {"method": "jwt-spiffe"},
    "jwt-bearer": {"method": "jwt-bearer"},
    "private-key-ec": {"method": "private-key", "id": "ec", "secret": {"name": "oauth", "key": "ec"}},
    "private-key-rsa": {"method": "private-key", "id": "rsa", "secret": {"name": "oauth", "key": "rsa"}},
    "secret-basic": {"method": "secret-basic", "id": "shared", "secret": {"name": "oauth", "key": "secret"}},
    "secret-post": {"method": "secret-post", "id": "shared", "secret": {"name": "oauth", "key": "secret"}},
}


def _clients(spiffe_id: str) -> list[dict[str, Any]]:
    common = {"grants": GRANTS, "scopes": ["crm.read", "crm.write"], "audiences": [resource(AGENT)]}
    algorithms = {"ec": jwt.algorithms.ECAlgorithm, "rsa": jwt.algorithms.RSAAlgorithm}
    return [
        {"id": AGENT, "methods": ["svid_jwt_spiffe", "svid_jwt_bearer"], "spiffe_id": spiffe_id, **common},
        {
            "id": "shared",
            "methods": ["client_secret_basic", "client_secret_post"],
            "secret": SECRET,
            **common,
        },
        *(
            {
                "id": name,
                "methods": ["private_key_jwt"],
                "jwks": {"keys": [json.loads(algorithms[name].to_jwk(key.public_key()))]},
                **common,
            }
            for name, key in KEYS.items()
        ),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("minting")
    secrets = made / "credentials" / "oauth"
    secrets.mkdir(parents=True)
    (secrets / "secret").write_text(SECRET, encoding="utf-8")
    for name, key in KEYS.items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (secrets / name).write_bytes(pem)
    return made


@pytest.fixture(scope="module")
def domain() -> Iterator[TrustDomain]:
    with trust_domain(DOMAIN) as made:
        yield made


@pytest.fixture(scope="module")
def authority(folder: Path) -> WebAuthority:
    return web_authority(folder)


@pytest.fixture(scope="module")
def settings(folder: Path, domain: TrustDomain) -> dict[str, Any]:
    bundle = folder / "bundle.json"
    bundle.write_bytes(write_jwks({key.key_id: key.public for key in domain.registry.jwt_keys}))
    clients = _clients(str(domain.id(f"ns/agents/sa/{AGENT}")))
    return {"clients": clients, "bundles": {DOMAIN: str(bundle)}}


@pytest.fixture(scope="module")
def running(folder: Path, authority: WebAuthority, settings: dict[str, Any]) -> Iterator[OAuthServer]:
    try:
        with oauth_server(folder / "server", authority, **settings) as server:
            yield server
    except Unavailable as reason:
        skip("the authorization server", reason)


@pytest.fixture
def server(running: OAuthServer) -> OAuthServer:
    running.clear()
    return running


@pytest.fixture
async def at(folder: Path, server: OAuthServer, domain: TrustDomain) -> AsyncIterator[Open]:
    """Opens a desk for a credential, which ends with the test."""
    async with AsyncExitStack() as stack:

        async def opened(credential: dict[str, Any], **more: Any) -> Desk:
            users = more.pop("users", None) or users_of(server, AGENT)
            made = desk(folder, server, domain, AGENT, credential, users=users, **more)
            return await stack.enter_async_context(made)

        yield opened


def _claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def _sign_in(server: OAuthServer, **wanted: Any) -> bytes:
    usual = {"sub": "alice", "aud": resource(AGENT), "scope": "crm.read crm.write", "client_id": "web"}
    return server.sign_in(**{**usual, **wanted}).encode()


def _clean(server: OAuthServer) -> None:
    assert (server.violations, server.refusals) == ([], [])


@pytest.mark.parametrize("proof", PROOFS)
async def test_client_credentials(proof: str, server: OAuthServer, at: Open) -> None:
    grant = {"issuer": server.issuer, "client": PROOFS[proof], "resource": CRM, "scopes": ["crm.read"]}
    claims = _claims(await (await at({"clientCredentials": grant})).mint())
    assert (claims["sub"], claims["aud"], claims["scope"]) == (claims["client_id"], CRM, "crm.read")
    assert server.counts[CLIENT_CREDENTIALS] == 1
    _clean(server)


@pytest.mark.parametrize("actor", [False, True])
@pytest.mark.parametrize("proof", PROOFS)
async def test_exchange(proof: str, actor: bool, server: OAuthServer, domain: TrustDomain, at: Open) -> None:
    grant = {"issuer": server.issuer, "client": PROOFS[proof], "resource": CRM, "scopes": ["crm.read"]}
    made = await at({"exchange": {**grant, "actor": actor}})
    claims = _claims(await made.mint(_sign_in(server)))
    assert (claims["sub"], claims["aud"], claims["scope"]) == ("alice", CRM, "crm.read")
    acts = {"sub": str(domain.id(f"ns/agents/sa/{AGENT}"))}
    assert claims.get("act") == (acts if actor else None)
    assert server.counts[TOKEN_EXCHANGE] == 1
    _clean(server)


async def test_exchange_with_an_audience_in_place_of_a_resource(server: OAuthServer, at: Open) -> None:
    grant = {"issuer": server.issuer, "audience": "crm", "subjectToken": "jwt"}
    claims = _claims(await (await at({"exchange": grant})).mint(_sign_in(server)))
    assert (claims["aud"], claims["sub"]) == ("crm", "alice")
    _clean(server)


async def test_without_a_user_the_agent_acts_for_itself(server: OAuthServer, at: Open) -> None:
    grant = {"issuer": server.issuer, "resource": CRM, "withoutUser": "client-credentials"}
    claims = _claims(await (await at({"exchange": grant})).mint())
    assert (claims["aud"], claims["sub"]) == (CRM, AGENT)
    _clean(server)


@pytest.mark.parametrize("method", ["none", "jwt-spiffe", "jwt-bearer"])
async def test_workload_identity_federation(
    method: str, server: OAuthServer, domain: TrustDomain, at: Open
) -> None:
    grant = {"issuer": server.issuer, "client": {"method": method}, "resource": CRM, "scopes": ["crm.read"]}
    claims = _claims(await (await at({"jwtBearer": grant})).mint())
    assert (claims["sub"], claims["aud"]) == (str(domain.id(f"ns/agents/sa/{AGENT}")), CRM)
    assert server.counts[JWT_BEARER] == 1
    _clean(server)


async def test_cross_app_access(
    tmp_path: Path,
    server: OAuthServer,
    at: Open,
    authority: WebAuthority,
    settings: dict[str, Any],
) -> None:
    """The identity provider knows the agent as `worker`, and the server knows it as `shared`."""
    with oauth_server(tmp_path, authority, **settings, issuers={server.issuer: server.jwks_uri}) as other:
        server_side = {"issuer": other.issuer, "client": PROOFS["jwt-spiffe"]}
        idp = {"issuer": server.issuer, "client": {"method": "jwt-bearer"}}
        grant = {"idp": idp, "server": server_side, "resource": CRM, "scopes": ["crm.read"]}
        users = {"issuers": [{"issuer": server.issuer, "audiences": [AGENT]}]}
        made = await at({"idJag": grant}, users=users)
        user = _sign_in(server, aud=AGENT, kind="id_token")
        claims = _claims(await made.mint(user))
        assert (claims["iss"], claims["sub"], claims["aud"]) == (other.issuer, "alice", CRM)
        assert claims["scope"] == "crm.read"
        _clean(server)
        _clean(other)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"aud": "https://other.example"}, Reason.TOKEN_AUDIENCE),
        ({"seconds": -120}, Reason.TOKEN_EXPIRED),
        ({"claims": {"iss": "https://other.example"}}, Reason.TOKEN_ISSUER),
    ],
)
async def test_a_wrong_token_of_a_user_never_reaches_the_server(
    wanted: dict[str, Any], reason: Reason, server: OAuthServer, at: Open
) -> None:
    made = await at({"exchange": {"issuer": server.issuer, "resource": CRM}})
    with pytest.raises(TokenRefused) as refused:
        await made.mint(_sign_in(server, **wanted))
    assert refused.value.reason is reason
    assert TOKEN_EXCHANGE not in server.counts


@pytest.mark.parametrize("proof", ["secret-basic", "jwt-spiffe", "private-key-ec"])
async def test_a_user_is_verified_by_introspection(proof: str, server: OAuthServer, at: Open) -> None:
    users = users_of(server, AGENT, introspection={"client": PROOFS[proof], "cache": "0s"})
    grant = {"exchange": {"issuer": server.issuer, "resource": CRM}}
    made = await at(grant, users=users)
    token = _sign_in(server)
    assert (await made.users.verify(token)).user.subject == "alice"
    assert server.counts["introspection"] == 1
    _clean(server)
    server.revoke(token.decode())
    with pytest.raises(TokenRefused) as refused:
        await made.users.verify(token)
    assert refused.value.reason is Reason.TOKEN_INACTIVE


async def test_keys_that_rotate_are_fetched(server: OAuthServer, at: Open) -> None:
    """Not each time that a token names another key: keys are asked for ten seconds apart."""
    passed = [0.0]
    grant = {"exchange": {"issuer": server.issuer, "resource": CRM}}
    made = await at(grant, now=lambda: time.time() + passed[0])
    await made.users.verify(_sign_in(server))
    server.rotate(retire=False, kind="RSA")
    passed[0] = 11.0
    assert (await made.users.verify(_sign_in(server, sub="bob"))).user.subject == "bob"


LYING = {
    "redirect": {"lie": "redirect", "location": "https://elsewhere.example/token"},
    "redirect-see-other": {"lie": "redirect-see-other", "location": "https://elsewhere.example/token"},
    "unavailable": {"status": 503},
    "fails": {"status": 500},
    **{
        name: {"lie": name}
        for name in (
            "html",
            "truncated",
            "huge",
            "deep",
            "name-twice",
            "no-token",
            "empty-token",
            "number-for-token",
            "header-in-token",
            "long-token",
            "foreign-token-type",
            "no-token-type",
            "foreign-issued-type",
            "error-with-200",
            "subject-back",
        )
    },
}


@pytest.mark.parametrize("lie", LYING)
async def test_a_lie_is_no_credential(lie: str, server: OAuthServer, at: Open) -> None:
    made = await at({"exchange": {"issuer": server.issuer, "resource": CRM}})
    user = await made.users.verify(_sign_in(server))
    server.behave(**LYING[lie])
    with pytest.raises(CredentialRefused) as refused:
        await made.issue(user)
    said = f"{refused.value} {refused.value!r}"
    assert user.token not in said
    assert not [token for token in server.tokens if token in said]
    server.clear()
    assert _claims(await made.mint(user.token.encode()))["aud"] == CRM
