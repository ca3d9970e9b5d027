"""Who has to be there for a Backend's credential, and what it belongs to."""

from __future__ import annotations

import asyncio

import pytest

from mesh.policy.credentials import (
    ClientAuth,
    ClientCredentials,
    Credential,
    Exchange,
    IdJag,
    Preset,
    SvidToken,
    TokenServer,
    WithoutUser,
)
from sidecar.credentials.source import Source, value_of
from tests.support.credentials import backend

SERVER = TokenServer("https://idp.example", None, ClientAuth())


def source(credential: Credential) -> Source:
    return Source(backend(credential), credential, "kind", "server", asyncio.Semaphore(1))


@pytest.mark.parametrize(
    ("credential", "of_user", "needs_user", "acts"),
    [
        (Exchange(SERVER), True, True, False),
        (Exchange(SERVER, actor=True), True, True, True),
        (Exchange(SERVER, Preset.KEYCLOAK, actor=True), True, True, False),
        (Exchange(SERVER, without_user=WithoutUser.CLIENT_CREDENTIALS), True, False, False),
        (IdJag(SERVER, SERVER, "https://crm"), True, True, False),
        (ClientCredentials(SERVER), False, False, False),
        (SvidToken("crm"), False, False, False),
    ],
)
def test_a_credential_is_for_a_user_or_for_the_agent(
    credential: Credential, of_user: bool, needs_user: bool, acts: bool
) -> None:
    one = source(credential)
    assert (one.of_user, one.needs_user, one.acts) == (of_user, needs_user, acts)


async def test_a_turn_is_given_back_however_it_ends() -> None:
    one = source(SvidToken("crm"))
    with pytest.raises(KeyError):
        async with one.turn():
            raise KeyError
    async with one.turn():
        pass


@pytest.mark.parametrize(
    "other",
    [{"host": "other"}, {"port": 8443}, {"path": "/other"}, {"namespace": None}, {"name": "other"}],
)
def test_a_backend_elsewhere_inherits_nothing(other: dict[str, object]) -> None:
    assert value_of(backend(SvidToken("crm"))) == value_of(backend(SvidToken("crm")))
    assert value_of(backend(SvidToken("crm"))) != value_of(backend(SvidToken("crm"), **other))  # type: ignore[arg-type]
