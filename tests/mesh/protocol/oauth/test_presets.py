"""Each authorization server is asked in its own words."""

from __future__ import annotations

import pytest

from mesh.policy.credentials import ClientAuth, Exchange, Preset, SubjectKind, TokenServer
from mesh.protocol.oauth.presets import for_agent, for_user, takes_actor

SERVER = TokenServer("https://idp.example", None, ClientAuth())


def exchange(preset: Preset, subject: SubjectKind = SubjectKind.ID_TOKEN) -> Exchange:
    return Exchange(
        SERVER,
        preset,
        audience="crm",
        resource="https://crm.example",
        scopes=("a",),
        subject=subject,
        actor=True,
    )


@pytest.mark.parametrize(
    ("preset", "names", "audience"),
    [
        (
            Preset.RFC8693,
            "grant_type resource audience scope requested_token_type subject_token subject_token_type actor_token "
            "actor_token_type",
            "crm",
        ),
        (
            Preset.KEYCLOAK,
            "grant_type audience scope requested_token_type subject_token subject_token_type",
            "crm",
        ),
        (Preset.ENTRA, "grant_type assertion scope requested_token_use", None),
    ],
)
def test_what_is_sent_for_a_user(preset: Preset, names: str, audience: str | None) -> None:
    asked = for_user(exchange(preset), "users", ("a", "b"), "svid")
    assert [name for name, _ in asked.form] == names.split()
    assert asked.audience == audience


@pytest.mark.parametrize("kind", SubjectKind)
def test_the_kind_of_the_users_token_is_told(kind: SubjectKind) -> None:
    form = dict(for_user(exchange(Preset.RFC8693, kind), "users", (), None).form)
    assert form["subject_token_type"] == f"urn:ietf:params:oauth:token-type:{kind.value}"


def test_keycloak_is_given_access_tokens_only() -> None:
    form = dict(for_user(exchange(Preset.KEYCLOAK), "users", (), None).form)
    assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert form["requested_token_type"] == "urn:ietf:params:oauth:token-type:access_token"


@pytest.mark.parametrize(
    ("preset", "form", "audience"),
    [
        (Preset.RFC8693, {"scope": "a", "resource": "https://crm.example", "audience": "crm"}, "crm"),
        (Preset.KEYCLOAK, {"scope": "a", "audience": "crm"}, "crm"),
        (Preset.ENTRA, {"scope": "a"}, None),
    ],
)
def test_what_is_sent_for_the_agent_itself(
    preset: Preset, form: dict[str, str], audience: str | None
) -> None:
    asked = for_agent(exchange(preset), ("a",))
    assert dict(asked.form) == {"grant_type": "client_credentials"} | form
    assert asked.audience == audience


def test_only_plain_servers_take_an_actor() -> None:
    assert [preset for preset in Preset if takes_actor(exchange(preset))] == [Preset.RFC8693]
