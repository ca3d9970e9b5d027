"""What Vault is asked, and what is believed of its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.protocol.oauth.token_refusal import NoToken
from mesh.protocol.vault import Login, LoginEnded, login_call, read_login, read_secret, secret_call
from mesh.reasons import Reason

NOW = 1_800_000_000.0
SVID = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
LOGIN = Login("hvs.secret-token", NOW + 3600)
LOGGING = login_call("https://vault.example/", "jwt", "triage", SVID, None)
READING = secret_call("https://vault.example", "secret/data/github", LOGIN, None)
V2 = {
    "lease_id": "",
    "lease_duration": 0,
    "data": {"data": {"token": "ghp_x", "n": 7}, "metadata": {"version": 3}},
}


def login(said: object, status: int = 200) -> Login:
    return read_login(status, [], json.dumps(said).encode(), LOGGING, NOW)


def secret(said: object, status: int = 200, field: str = "token") -> Any:
    return read_secret(status, [], json.dumps(said).encode(), READING, field)


def test_a_login_shows_our_svid_in_a_role() -> None:
    assert (LOGGING.method, LOGGING.url) == ("POST", "https://vault.example/v1/auth/jwt/login")
    assert json.loads(LOGGING.body) == {"role": "triage", "jwt": SVID}
    assert LOGGING.headers == [(b"content-type", b"application/json")]


def test_mounts_may_have_several_segments_and_namespaces_are_named() -> None:
    call = login_call("https://v", "/spiffe/jwt/", "r", SVID, "team/a")
    assert call.url == "https://v/v1/auth/spiffe/jwt/login"
    assert (b"x-vault-namespace", b"team/a") in call.headers
    assert (b"x-vault-namespace", b"team/a") in secret_call("https://v", "kv/a", LOGIN, "team/a").headers


def test_a_secret_is_read_with_the_token_of_the_login() -> None:
    assert (READING.method, READING.url) == ("GET", "https://vault.example/v1/secret/data/github")
    assert READING.headers == [(b"x-vault-token", b"hvs.secret-token")]
    assert READING.body == b""


@pytest.mark.parametrize("path", ["../sys/seal", "a/../../sys", "a//b", "", "/", "a/.", "./a"])
def test_a_path_cannot_lead_elsewhere(path: str) -> None:
    with pytest.raises(NoToken, match="segment"):
        secret_call("https://v", path, LOGIN, None)


def test_characters_of_a_path_that_mean_something_in_urls_are_encoded() -> None:
    assert secret_call("https://v", "kv/a b?c#d%2e", LOGIN, None).url == "https://v/v1/kv/a%20b%3Fc%23d%252e"


@pytest.mark.parametrize(
    ("seconds", "expires"),
    [(3600, NOW + 3600), (0, float("inf")), (None, float("inf")), (10**12, NOW + 86_400)],
)
def test_a_login_counts_as_long_as_vault_says(seconds: int | None, expires: float) -> None:
    given = login({"auth": {"client_token": "hvs.x", "lease_duration": seconds, "renewable": True}})
    assert (given.token, given.expires) == ("hvs.x", expires)
    assert "hvs.x" not in repr(given)


@pytest.mark.parametrize(
    ("said", "value", "seconds", "leased"),
    [
        (V2, "ghp_x", 300.0, False),
        ({"data": {"token": "v1"}, "lease_duration": 2_764_800, "lease_id": ""}, "v1", 300.0, False),
        ({"data": {"token": "v1"}, "lease_duration": 60}, "v1", 60.0, False),
        ({"data": {"token": "dyn"}, "lease_duration": 900, "lease_id": "db/creds/1"}, "dyn", 900.0, True),
        ({"data": {"token": "dyn"}, "lease_duration": 0, "lease_id": "db/creds/1"}, "dyn", 300.0, True),
        ({"data": {"token": "a", "metadata": "m"}}, "a", 300.0, False),
        ({"data": {"token": "a b"}}, "a b", 300.0, False),
    ],
)
def test_a_secret_is_found_in_every_engine(said: object, value: str, seconds: float, leased: bool) -> None:
    found = secret(said)
    assert (found.value, found.seconds, found.leased) == (value, seconds, leased)
    assert value not in repr(found) or len(value) == 1


def no_login(said: object, status: int = 200) -> NoToken:
    with pytest.raises(NoToken) as no:
        login(said, status)
    assert SVID not in no.value.detail
    return no.value


def no_secret(said: object, status: int = 200, field: str = "token") -> NoToken:
    with pytest.raises(NoToken) as no:
        secret(said, status, field)
    assert "hvs.secret-token" not in no.value.detail
    return no.value


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        {"auth": None},
        {"auth": {}},
        {"auth": {"client_token": 1}},
        {"auth": {"client_token": "a\nb"}},
        {"auth": {"client_token": "a", "lease_duration": -1}},
        {"auth": {"client_token": "a", "lease_duration": True}},
        {"auth": {"client_token": "a", "lease_duration": "1h"}},
    ],
)
def test_an_answer_without_a_login_is_none(said: object) -> None:
    assert no_login(said).reason is Reason.CREDENTIAL_ANSWER_INVALID


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"data": None},
        {"data": []},
        {"data": {"token": 7}},
        {"data": {"token": "a\r\nb"}},
        {"data": {"token": ""}},
        {"data": {"token": "hvs.secret-token"}},
        {"data": {"token": "a"}, "lease_id": "x", "lease_duration": "1"},
    ],
)
def test_an_answer_without_a_usable_secret_is_none(said: object) -> None:
    assert no_secret(said).reason is Reason.CREDENTIAL_ANSWER_INVALID


def test_a_field_that_is_not_there_is_named() -> None:
    no = no_secret(V2, field="password")
    assert no.reason is Reason.CREDENTIAL_REFUSED
    assert "no field password" in no.detail
    assert "ghp_x" not in no.detail


def test_a_deleted_version_says_so() -> None:
    no = no_secret({"data": {"data": None, "metadata": {"deletion_time": "2026-11-01T00:00:00Z"}}})
    assert "deleted" in no.detail


@pytest.mark.parametrize(
    ("status", "errors", "advice"),
    [
        (400, ["invalid role name"], "bound_audiences"),
        (403, ["permission denied"], "does not accept our JWT-SVID"),
        (404, ["no handler for route"], "compare mount and namespace"),
        (405, ["unsupported operation"], ""),
    ],
)
def test_a_login_that_is_refused_says_what_to_compare(status: int, errors: list[str], advice: str) -> None:
    no = no_login({"errors": errors}, status)
    assert no.reason is Reason.CREDENTIAL_REFUSED
    assert no.detail.startswith(f"{status}: {errors[0]}")
    assert advice in no.detail


def test_a_page_without_json_is_a_no_too() -> None:
    with pytest.raises(NoToken, match="404 - there is nothing at this path"):
        read_secret(404, [], b"<html>", READING, "token")


def test_a_path_without_data_is_explained_by_vaults_warning() -> None:
    said = {"errors": [], "warnings": ["Invalid path for a versioned K/V secrets engine"]}
    no = no_secret(said, 404)
    assert "Invalid path for a versioned" in no.detail
    assert "has data/ in it" in no.detail


def test_a_403_may_mean_that_the_login_has_ended() -> None:
    no = no_secret({"errors": ["permission denied"]}, 403)
    assert isinstance(no, LoginEnded)
    assert "permission denied" in no.detail


@pytest.mark.parametrize("status", [412, 429, 472, 473, 500, 502, 503])
def test_a_vault_that_is_sealed_or_behind_is_asked_later(status: int) -> None:
    assert no_secret({"errors": ["Vault is sealed"]}, status).reason is Reason.CREDENTIAL_UNAVAILABLE
    assert no_login({"errors": "odd"}, status).reason is Reason.CREDENTIAL_UNAVAILABLE


def test_what_is_echoed_of_what_was_sent_is_taken_out() -> None:
    assert "***" in no_login({"errors": [f"bad jwt {SVID}"]}, 400).detail
    assert "***" in no_secret({"errors": ["bad token hvs.secret-token"]}, 400).detail


def test_nothing_secret_is_in_the_text_of_a_call() -> None:
    assert SVID not in repr(LOGGING)
    assert "hvs" not in repr(READING)
