"""What GitHub is asked for an installation token, and what is believed of its answer."""

from __future__ import annotations

import json

import pytest

from mesh.protocol.github_app import FUTURE_SECONDS, PAST_SECONDS, app_claims, read_token, token_call
from mesh.protocol.http1.heads import Headers
from mesh.protocol.oauth.token_refusal import NoToken
from mesh.reasons import Reason

NOW = 1_800_000_000.0
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2ln"
CALL = token_call("https://api.github.com", "42", JWT)
GIVEN = {"token": "ghs_abc", "expires_at": "2027-01-15T09:00:00Z", "permissions": {"issues": "read"}}


def read(said: object, status: int = 201, headers: Headers | None = None) -> NoToken:
    with pytest.raises(NoToken) as no:
        read_token(status, headers or [], json.dumps(said).encode(), CALL, NOW)
    assert JWT not in no.value.detail
    return no.value


def test_the_jwt_begins_a_minute_ago_and_ends_within_githubs_ten() -> None:
    claims = app_claims("Iv23abc", NOW + 0.7)
    assert claims == {"iss": "Iv23abc", "iat": int(NOW) - PAST_SECONDS, "exp": int(NOW) + FUTURE_SECONDS}
    assert claims["exp"] - int(NOW) < 600


def test_a_token_of_the_whole_installation_is_asked_for_with_an_empty_object() -> None:
    assert (CALL.method, CALL.url) == ("POST", "https://api.github.com/app/installations/42/access_tokens")
    assert json.loads(CALL.body) == {}
    assert dict(CALL.headers) == {
        b"accept": b"application/vnd.github+json",
        b"authorization": b"Bearer " + JWT.encode(),
        b"content-type": b"application/json",
        b"x-github-api-version": b"2022-11-28",
    }


def test_repositories_and_permissions_narrow_the_token() -> None:
    call = token_call("https://ghe.example/api/v3/", "42", JWT, ("a", "b"), (("issues", "write"),))
    assert call.url == "https://ghe.example/api/v3/app/installations/42/access_tokens"
    assert json.loads(call.body) == {"repositories": ["a", "b"], "permissions": {"issues": "write"}}


def test_an_installation_id_cannot_lead_elsewhere() -> None:
    assert token_call("https://h", "../../user?", JWT).url == (
        "https://h/app/installations/..%2F..%2Fuser%3F/access_tokens"
    )


def test_nothing_secret_is_in_the_text_of_a_call() -> None:
    assert JWT not in repr(CALL)


@pytest.mark.parametrize(
    ("said", "expires"),
    [
        ("2027-01-15T09:00:00Z", 1_800_003_600.0),
        ("2027-01-15T10:00:00+01:00", 1_800_003_600.0),
        ("2999-01-01T00:00:00Z", NOW + 86_400),
    ],
)
def test_a_token_counts_until_it_expires_and_a_day_at_most(said: str, expires: float) -> None:
    given = read_token(201, [], json.dumps({**GIVEN, "expires_at": said}).encode(), CALL, NOW)
    assert (given.token, given.expires) == ("ghs_abc", expires)
    assert "ghs_abc" not in repr(given)


def test_tokens_of_any_form_are_taken() -> None:
    long = "ghs_123_" + "eyJ" + "x" * 600 + ".y.z"
    assert read_token(201, [], json.dumps({**GIVEN, "token": long}).encode(), CALL, NOW).token == long


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "no object"),
        ({"expires_at": "2027-01-15T09:00:00Z"}, "token is no text"),
        ({**GIVEN, "token": ""}, "token is no text"),
        ({**GIVEN, "token": 7}, "token is no text"),
        ({**GIVEN, "token": "a\r\nx-evil: 1"}, "must not hold"),
        ({**GIVEN, "token": "a\u00e9"}, "must not hold"),
        ({**GIVEN, "token": "x" * 20_000}, "at most"),
        ({**GIVEN, "token": JWT}, "gave back"),
        ({"token": "ghs_abc"}, "expires_at is missing"),
        ({**GIVEN, "expires_at": 1_800_000_000}, "expires_at is missing"),
        ({**GIVEN, "expires_at": "tomorrow"}, "no date"),
        ({**GIVEN, "expires_at": "2027-01-15T09:00:00"}, "no time zone"),
    ],
)
def test_an_answer_that_cannot_be_used_is_none(said: object, why: str) -> None:
    no = read(said)
    assert no.reason is Reason.CREDENTIAL_ANSWER_INVALID
    assert why in no.detail
    assert "evil" not in no.detail


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (401, "A JSON web token could not be decoded", "compare appId and the private key, and the clock"),
        (403, "This installation has been suspended", "look at the installation's settings"),
        (404, "Not Found", "compare appId, installationId and url"),
        (422, "There is at least one repository that does not exist", "repositories or permissions"),
        (400, "Bad", ""),
    ],
)
def test_a_no_says_githubs_words_and_what_to_compare(status: int, message: str, advice: str) -> None:
    no = read({"message": message, "documentation_url": "https://docs"}, status)
    assert no.reason is Reason.CREDENTIAL_REFUSED
    assert no.detail.startswith(f"{status}: {message}")
    assert advice in no.detail


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (403, [(b"retry-after", b"60")], 60.0),
        (403, [(b"x-ratelimit-remaining", b"0")], None),
        (429, [(b"retry-after", b"999999999")], 3600.0),
        (500, [(b"retry-after", b"soon")], None),
        (502, [], None),
        (503, [], None),
    ],
)
def test_a_busy_server_is_asked_later(status: int, headers: Headers, wait: float | None) -> None:
    no = read({"message": "rate limit"}, status, headers)
    assert no.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert no.retry_after == wait


def test_what_is_echoed_of_the_jwt_is_taken_out() -> None:
    assert "***" in read({"message": f"bad token {JWT}"}, 401).detail


def test_a_page_without_json_is_a_no_too() -> None:
    with pytest.raises(NoToken, match=r"404 - this App") as no:
        read_token(404, [], b"<html>", CALL, NOW)
    assert no.value.reason is Reason.CREDENTIAL_REFUSED


def test_a_redirect_is_not_followed() -> None:
    no = read({}, 307, [(b"location", b"https://evil.example/")])
    assert no.reason is Reason.CREDENTIAL_ANSWER_INVALID
    assert "not followed" in no.detail
