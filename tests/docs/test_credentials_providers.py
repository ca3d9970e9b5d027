"""docs/credentials-providers.md: its Backends load, and what it says is sent is what is sent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.identity.jws import read_jws
from mesh.policy import load_texts
from mesh.policy.credentials import ClientCredentials, Credential, Exchange, IdJag, JwtBearer, SecretKey
from mesh.protocol.oauth.likely_causes import likely_cause
from sidecar.credentials.mint import client_credentials, exchange, id_jag
from sidecar.credentials.mint.jwt_bearer import JwtBearers
from sidecar.credentials.mint.token_endpoint import Parts
from tests.support.token_endpoint import (
    ALICE,
    ME,
    USERS_TOKEN,
    FakeFetch,
    FakeSecrets,
    answer,
    given,
    parts,
)

TEXT = (Path(__file__).parents[2] / "docs" / "credentials-providers.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(yaml|text)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
NONE: frozenset[str] = frozenset()
PLATFORMS_TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJwb2QifQ."
KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SECRETS = {
    SecretKey("idp", "key.pem"): KEY,
    SecretKey("idp", "key.json"): KEY,
    SecretKey("idp", "client-secret"): b"password",
    SecretKey("notes", "client-secret"): b"password",
    SecretKey("workload", "token"): PLATFORMS_TOKEN.encode(),
}


def examples() -> list[tuple[str, list[str]]]:
    """Each Backend with the requests that are shown for it."""
    found: list[tuple[str, list[str]]] = []
    for kind, block in BLOCKS:
        if kind == "yaml":
            found.append((block, []))
        else:
            found[-1][1].append(block)
    return found


EXAMPLES = examples()


def credential_of(block: str) -> Credential:
    (backend,) = load_texts([("docs/credentials-providers.md", block)]).backends
    assert backend.credential is not None
    return backend.credential


async def minted(credential: Credential, used: Parts) -> None:
    match credential:
        case Exchange():
            await exchange.mint(credential, ALICE, NONE, parts=used)
        case IdJag():
            await id_jag.mint(credential, ALICE, NONE, parts=used)
        case ClientCredentials():
            await client_credentials.mint(credential, None, NONE, parts=used)
        case JwtBearer():
            await JwtBearers(FakeSecrets(SECRETS)).mint(credential, None, NONE, parts=used)
        case _:
            raise AssertionError(credential)


def shown(value: str) -> str:
    """A parameter as the page writes it."""
    words = {
        USERS_TOKEN: "the user's token",
        "identity-assertion": "the identity assertion",
        "password": "the secret",
        PLATFORMS_TOKEN: "the token of the Secret",
    }
    if value in words:
        return f"<{words[value]}>"
    if not value.startswith("eyJ"):
        return value
    claims = read_jws(value).claims
    if claims["sub"] == str(ME):
        (audience,) = claims["aud"]
        return f"<our JWT-SVID for {audience}>"
    return f"<an assertion of ours for {claims['aud']}>"


def test_each_kind_has_an_example() -> None:
    kinds = {type(credential_of(block)) for block, _ in EXAMPLES}
    assert kinds == {Exchange, IdJag, JwtBearer, ClientCredentials}
    assert all(sent for _, sent in EXAMPLES)


@pytest.mark.parametrize(("block", "sent"), EXAMPLES)
async def test_what_is_sent_is_what_the_page_shows(block: str, sent: list[str]) -> None:
    credential = credential_of(block)
    jag = answer(
        {
            "access_token": "identity-assertion",
            "token_type": "N_A",
            "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag",
        }
    )
    fetch = FakeFetch([jag, given()] if isinstance(credential, IdJag) else [given()])
    await minted(credential, parts(fetch, secrets=SECRETS))
    written = [
        "".join(f"{name}={shown(value)}\n" for name, value in request.pairs) for request in fetch.requests
    ]
    assert written == sent


@pytest.mark.parametrize(
    "said", re.findall(r"^\| `(?:4\d\d )?([a-zA-Z_0-9]+)(?:: ([^`]*))?`", TEXT, re.MULTILINE)
)
def test_each_cause_of_the_page_is_told_in_the_log_too(said: tuple[str, str]) -> None:
    error, description = said
    if error.startswith("AADSTS"):
        error, description = "invalid_grant", f"{error}: words"
    elif not description:
        return
    assert likely_cause(error, description)


def test_links_within_the_page_lead_somewhere() -> None:
    titles = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.*)$", TEXT, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= titles
