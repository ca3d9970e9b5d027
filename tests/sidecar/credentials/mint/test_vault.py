"""A login with our JWT-SVID that is kept, and secrets that end with their leases."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mesh.policy.credentials import Vault
from mesh.protocol.http1.heads import header
from mesh.reasons import Reason
from sidecar.credentials.fetch import Fetched, FetchFailed
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.token_endpoint import Parts
from sidecar.credentials.mint.vault import MOST_LOGINS, Vaults
from tests.support.token_endpoint import ALICE, NOW, FakeFetch, FakeIssuers, FakeSource, answer, proof

NONE: frozenset[str] = frozenset()
CONFIG = Vault("https://vault.example", "triage", "secret/data/github", "token")
DENIED = answer({"errors": ["permission denied"]}, 403)


def login(given: str = "hvs.one", seconds: int = 3600) -> Fetched:
    return answer({"auth": {"client_token": given, "lease_duration": seconds}})


def secret(value: str = "ghp_x", lease: int = 0) -> Fetched:
    lease_id = "creds/1" if lease else ""
    return answer({"lease_id": lease_id, "lease_duration": lease, "data": {"token": value}})


class World:
    def __init__(self, *answers: Fetched | FetchFailed) -> None:
        self.fetch = FakeFetch(list(answers))
        self.source = FakeSource(self.fetch.clock)
        self.parts = Parts(
            self.fetch, FakeIssuers(), proof(self.source, self.fetch.clock), self.fetch.clock, "crm"
        )
        self.vaults = Vaults()

    @property
    def asked(self) -> list[str]:
        return [one.url.removeprefix("https://vault.example/v1/") for one in self.fetch.requests]


async def test_after_a_login_the_field_is_read() -> None:
    world = World(login(), secret())
    issued = await world.vaults.mint(CONFIG, ALICE, NONE, parts=world.parts)
    assert issued.fields == [(b"authorization", b"Bearer ghp_x")]
    assert issued.secrets == (b"ghp_x",)
    assert issued.expires == NOW + 300
    logging, reading = world.fetch.requests
    assert json.loads(logging.body)["role"] == "triage"
    assert world.source.asked == [("vault",)]
    assert header(reading.headers, b"x-vault-token") == b"hvs.one"


async def test_the_field_goes_into_the_header_that_is_named() -> None:
    world = World(login(), secret())
    config = replace(CONFIG, header="X-Api-Key", scheme="")
    issued = await world.vaults.mint(config, None, NONE, parts=world.parts)
    assert issued.fields == [(b"x-api-key", b"ghp_x")]


async def test_several_secrets_cost_one_login() -> None:
    world = World(login(), secret("a"), secret("b"))
    await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
    await world.vaults.mint(replace(CONFIG, path="secret/data/other"), None, NONE, parts=world.parts)
    assert world.asked == ["auth/jwt/login", "secret/data/github", "secret/data/other"]


async def test_another_role_logs_in_for_itself() -> None:
    world = World(login(), secret("a"), login("hvs.two"), secret("b"))
    await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
    await world.vaults.mint(replace(CONFIG, role="other"), None, NONE, parts=world.parts)
    assert header(world.fetch.requests[-1].headers, b"x-vault-token") == b"hvs.two"


async def test_a_login_that_is_about_to_end_is_not_used() -> None:
    world = World(login(seconds=100), secret(), login("hvs.two"), secret())
    await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
    world.fetch.clock.time += 91
    await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
    assert world.asked.count("auth/jwt/login") == 2


async def test_a_leased_secret_ends_with_its_lease_or_its_login() -> None:
    world = World(login(seconds=600), secret(lease=900), secret(lease=60))
    assert (await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)).expires == NOW + 600
    assert (await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)).expires == NOW + 60


async def test_a_login_that_was_revoked_is_made_anew_once() -> None:
    world = World(login(), secret("a"), DENIED, login("hvs.two"), secret("b"))
    await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
    issued = await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
    assert issued.secrets == (b"b",)
    assert world.asked.count("auth/jwt/login") == 2


async def test_a_path_that_the_role_may_not_read_is_refused_after_one_login() -> None:
    world = World(login(), DENIED)
    with pytest.raises(CredentialRefused, match="policies do not let it read") as refused:
        await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
    assert refused.value.reason is Reason.CREDENTIAL_REFUSED
    assert refused.value.detail.startswith("Backend crm: vault.example: 403: permission denied")
    assert len(world.asked) == 2


async def test_a_login_that_is_refused_takes_a_new_svid_next_time() -> None:
    world = World(answer({"errors": ["invalid audience"]}, 400))
    for _ in range(2):
        with pytest.raises(CredentialRefused, match="bound_audiences"):
            await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
    assert len(world.source.asked) == 2


async def test_a_vault_that_is_sealed_is_asked_later_with_the_same_svid() -> None:
    world = World(answer({"errors": ["Vault is sealed"]}, 503))
    for _ in range(2):
        with pytest.raises(CredentialRefused, match="sealed") as refused:
            await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
        assert refused.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert len(world.source.asked) == 1


async def test_without_jwt_svids_nobody_is_asked() -> None:
    world = World(login())
    world.source.problem = "no agent"
    with pytest.raises(CredentialRefused, match=r"Backend crm: .*no agent"):
        await world.vaults.mint(CONFIG, None, NONE, parts=world.parts)
    assert world.asked == []


async def test_logins_are_bounded() -> None:
    world = World(*[one for _ in range(MOST_LOGINS + 1) for one in (login(), secret())])
    for number in range(MOST_LOGINS + 1):
        await world.vaults.mint(replace(CONFIG, role=str(number)), None, NONE, parts=world.parts)
    assert len(world.vaults._logins) == MOST_LOGINS


async def test_a_path_that_leads_elsewhere_is_refused() -> None:
    world = World(login(), secret())
    with pytest.raises(CredentialRefused, match=r"Backend crm: vault\.example: the path"):
        await world.vaults.mint(replace(CONFIG, path="a/../sys"), None, NONE, parts=world.parts)
