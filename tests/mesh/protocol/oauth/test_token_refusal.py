"""Answers without a token: whose fault, when to ask again, and nothing secret in what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.protocol.oauth.token_refusal import MOST_RETRY_SECONDS, NoToken, Wanted, refusal
from mesh.reasons import Reason
from tests.support.token_endpoint import NOW, jwt

WANTED = Wanted(sent=("opaque-users-token", "s3cr3t!", "tiny"))
JSON = [(b"content-type", b"application/json")]


def told(status: int, said: object, *headers: tuple[bytes, bytes], wanted: Wanted = WANTED) -> NoToken:
    data = said if isinstance(said, bytes) else json.dumps(said).encode()
    return refusal(status, [*JSON, *headers], data, wanted, NOW)


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "error",
    [
        *("invalid_grant", "invalid_client", "invalid_target", "invalid_scope", "insufficient_scope"),
        *("unauthorized_client", "access_denied", "invalid_request", "consent_required", "no_such_code"),
    ],
)
def test_a_no_with_a_code(status: int, error: str) -> None:
    no = told(status, {"error": error, "error_description": "Because."})
    assert no.reason is Reason.CREDENTIAL_REFUSED
    assert no.detail.startswith(f"{status} {error}: Because.")
    assert (no.error, no.retry_after) == (error, None)


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error", "slow_down"])
def test_a_no_for_now(error: str) -> None:
    assert told(400, {"error": error}).reason is Reason.CREDENTIAL_UNAVAILABLE


def test_the_likely_cause_is_told() -> None:
    no = told(400, {"error": "invalid_client"}, wanted=Wanted(spiffe=True))
    assert "federated client authentication" in no.detail


@pytest.mark.parametrize(
    "said",
    [b"", b"Forbidden", {}, [], {"error": 7}, {"error": ["invalid_grant"]}, b'{"error":"a","error":"b"}'],
)
def test_a_no_without_a_code(said: object) -> None:
    no = told(403, said)
    assert no.reason is Reason.CREDENTIAL_REFUSED
    assert "without an error code" in no.detail


def test_a_no_of_a_proxy_is_named() -> None:
    assert "proxy or firewall" in told(403, b"<html>Blocked</html>").detail


@pytest.mark.parametrize("status", [404, 405, 201, 204, 206, 100, 600])
def test_other_answers_are_of_no_token_endpoint(status: int) -> None:
    assert told(status, {}).reason is Reason.CREDENTIAL_ANSWER_INVALID


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_named_and_not_followed(status: int) -> None:
    no = told(status, b"", (b"location", b"https://evil.example/token?subject_token=opaque-users-token"))
    assert no.reason is Reason.CREDENTIAL_ANSWER_INVALID
    assert "to https://evil.example is not followed" in no.detail
    assert "opaque" not in no.detail


@pytest.mark.parametrize(
    "location", [b"", b"/login", b"javascript:alert(1)", b"//evil.example/", b"\xff\xfe"]
)
def test_a_redirect_to_nowhere(location: bytes) -> None:
    assert "a redirect is not followed" in told(302, b"", (b"location", location)).detail
    assert "a redirect is not followed" in told(302, b"").detail


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_cannot_answer_now(status: int) -> None:
    no = told(status, b"<html>oops</html>", (b"retry-after", b"7"))
    assert (no.reason, no.retry_after, no.detail) == (Reason.CREDENTIAL_UNAVAILABLE, 7.0, str(status))
    assert told(status, {"error": "busy"}).detail == f"{status} busy"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0.0),
        (b" 120 ", 120.0),
        (b"999999999999999999", MOST_RETRY_SECONDS),
        (b"Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        (b"Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        (b"Fri, 15 Jan 2027 08:00:30 -0000", 30.0),
        (b"Fri, 15 Jan 9999 08:00:30 GMT", MOST_RETRY_SECONDS),
        (b"-1", None),
        (b"soon", None),
        (b"", None),
        (b"1e3", None),
        (b"\xff", None),
    ],
)
def test_when_to_ask_again(value: bytes, seconds: float | None) -> None:
    assert told(503, b"", (b"retry-after", value)).retry_after == seconds


@pytest.mark.parametrize(
    "description",
    [
        "the token opaque-users-token is bad",
        "password s3cr3t! is wrong",
        f"cannot parse {jwt(sub='alice', email='alice@example.com')}",
        "A" * 40 + " is no token",
    ],
)
def test_what_was_sent_is_not_told(description: str) -> None:
    for said in ({"error": "x", "error_description": description}, {"error": description}):
        for status in (400, 500):
            no = told(status, said)
            for secret in (*WANTED.sent[:2], "eyJ", "A" * 40):
                assert secret not in no.detail
                assert secret not in (no.error or "")


def test_words_are_one_short_printable_line() -> None:
    no = told(
        400, {"error": "x" * 30 + "\x1b[31m", "error_description": "a\r\nfake log line\x00é " + "b " * 4000}
    )
    assert no.detail.isprintable()
    assert no.detail.isascii()
    assert len(no.detail) < 400


@pytest.mark.parametrize("description", [7, None, ["a"], {}])
def test_a_description_that_is_no_text(description: Any) -> None:
    assert told(400, {"error": "odd", "error_description": description}).detail == "400 odd"
