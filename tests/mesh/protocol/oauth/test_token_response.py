"""Tokens that are taken, and answers that only look like one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from mesh.protocol.oauth.grants import ACCESS_TOKEN, ID_JAG, JWT
from mesh.protocol.oauth.token_refusal import NoToken, Wanted
from mesh.protocol.oauth.token_response import MOST_SECONDS, Token, read_token_response
from mesh.reasons import Reason
from tests.support.token_endpoint import NOW, jwt

JSON = [(b"content-type", b"application/json;charset=UTF-8")]
PLAIN = Wanted(scopes=frozenset({"asked"}))
FOR_CRM = Wanted(audience="crm")
TYPE = "urn:ietf:params:oauth:token-type:"


def body(**members: Any) -> bytes:
    said = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 60} | members
    return json.dumps({name: value for name, value in said.items() if value is not ...}).encode()


def read(data: bytes, wanted: Wanted = PLAIN, *, took: float = 0.0, headers: Any = JSON) -> Token:
    return read_token_response(200, headers, data, wanted, asked=NOW, now=NOW + took)


def refused(data: bytes, wanted: Wanted = PLAIN, *, took: float = 0.0, headers: Any = JSON) -> str:
    with pytest.raises(NoToken) as caught:
        read(data, wanted, took=took, headers=headers)
    assert caught.value.reason is Reason.CREDENTIAL_ANSWER_INVALID
    return caught.value.detail


def test_a_token_as_rfc_8693_shows_it() -> None:
    token = read(body(issued_token_type=ACCESS_TOKEN, scope="a b", refresh_token="never kept"))
    assert token == Token("opaque", NOW + 60, frozenset({"a", "b"}))
    assert "opaque" not in repr(token)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_bearer_in_any_case(kind: str) -> None:
    assert read(body(token_type=kind)).value == "opaque"


@pytest.mark.parametrize("kind", ["mac", "DPoP", "N_A", "", None, ["Bearer"], 1, ...])
def test_any_other_kind_is_of_no_use(kind: Any) -> None:
    assert "only Bearer can be used" in refused(body(token_type=kind))


@pytest.mark.parametrize("issued", [None, ..., ACCESS_TOKEN, JWT])
def test_an_access_token_may_be_called_a_jwt_or_nothing(issued: Any) -> None:
    assert read(body(issued_token_type=issued)).value == "opaque"


@pytest.mark.parametrize(
    "issued",
    [TYPE + "refresh_token", TYPE + "id_token", ID_JAG, TYPE + "saml2", "access_token", "", [], {}, 1],
)
def test_another_kind_than_was_asked_for_is_refused(issued: Any) -> None:
    assert "was asked for" in refused(body(issued_token_type=issued))


@pytest.mark.parametrize("kind", ["N_A", "n_a", "Bearer"])
def test_an_identity_assertion_is_no_bearer_token(kind: str) -> None:
    wanted = Wanted(token_type=ID_JAG)
    assert read(body(token_type=kind, issued_token_type=ID_JAG), wanted).value == "opaque"


@pytest.mark.parametrize("issued", [ACCESS_TOKEN, JWT, None, ...])
def test_an_identity_assertion_has_to_be_called_one(issued: Any) -> None:
    refused(body(token_type="N_A", issued_token_type=issued), Wanted(token_type=ID_JAG))


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nX-Evil: 1",
        "a\nb",
        "a b",
        " a",
        "a\t",
        "a\x00",
        "a\x7f",
        "é",
        "a,b",
        'a"b',
        "a\\b",
        "",
        "\u2028",
        "x" * (16 * 1024 + 1),
        None,
        ...,
        7,
        True,
        {},
        ["a"],
        {"token": "a"},
    ],
)
def test_what_cannot_stand_in_a_header_field_is_no_token(value: Any) -> None:
    refused(body(access_token=value))


@pytest.mark.parametrize(
    "value", ["a", "x" * 16 * 1024, "ya29.a0-_~+/==", "key:with;odd!chars|{}", jwt(sub="a")]
)
def test_tokens_of_any_make_are_taken(value: str) -> None:
    assert read(body(access_token=value)).value == value


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (1, 1),
        (3600, 3600),
        ("3599", 3599),
        (59.5, 59.5),
        (10**30, MOST_SECONDS),
        (1e300, MOST_SECONDS),
        ("9" * 18, MOST_SECONDS),
        (None, 300),
        (..., 300),
    ],
)
def test_how_long_a_token_lives(given: Any, seconds: float) -> None:
    assert read(body(expires_in=given)).expires == NOW + seconds


@pytest.mark.parametrize("given", [0, -1, -1e300, "", "-5", "1e9", "soon", "9" * 19, True, [], {}, "٣"])
def test_a_lifetime_that_is_none(given: Any) -> None:
    assert "expires_in" in refused(body(expires_in=given))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 5000])
def test_a_number_that_is_no_json(number: bytes) -> None:
    assert "cannot be read" in refused(body().replace(b"60", number))


@pytest.mark.parametrize(
    ("given", "exp", "seconds"),
    [
        (3600, NOW + 60, 60),
        (60, NOW + 3600, 60),
        (..., NOW + 120, 120),
        (..., NOW + 10**6, MOST_SECONDS),
        (..., None, 300),
        (..., True, 300),
        (..., "soon", 300),
        (60, "soon", 60),
    ],
)
def test_the_sooner_end_counts(given: Any, exp: Any, seconds: float) -> None:
    assert read(body(access_token=jwt(exp=exp), expires_in=given)).expires == NOW + seconds


def test_a_token_that_has_ended_says_something_of_the_clocks() -> None:
    assert "clocks" in refused(body(access_token=jwt(exp=NOW)))
    assert "clocks" in refused(body(), took=60.0)


def test_a_slow_answer_does_not_lengthen_the_life() -> None:
    assert read(body(), took=59.0).expires == NOW + 60


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        (..., {"asked"}),
        (None, {"asked"}),
        ("", set()),
        (" a  b ", {"a", "b"}),
        ("https://graph.example/.default", {"https://graph.example/.default"}),
    ],
)
def test_what_was_granted(scope: Any, granted: set[str]) -> None:
    assert read(body(scope=scope)).scopes == granted


@pytest.mark.parametrize("scope", [["a"], 1, {}, 'a"b', "a\nb", "a\\b", "é"])
def test_what_is_no_list_of_scopes(scope: Any) -> None:
    assert "scope" in refused(body(scope=scope))


@pytest.mark.parametrize("aud", ["crm", ["crm"], ["other", "crm"]])
def test_the_audience_asked_for_is_in_the_token(aud: Any) -> None:
    assert read(body(access_token=jwt(aud=aud)), FOR_CRM).value


@pytest.mark.parametrize("aud", ["other", "", "CRM", "crm2", [], ["a", "b"], None, 7, [["crm"]], {"crm": 1}])
def test_a_token_for_somebody_else_is_never_sent(aud: Any) -> None:
    detail = refused(body(access_token=jwt(aud=aud)), FOR_CRM)
    assert "aud" in detail or "not for crm" in detail


def test_an_audience_is_only_compared_where_one_was_asked_for_and_is_there() -> None:
    assert read(body(access_token=jwt(aud="other"))).value
    assert read(body(access_token=jwt(sub="x")), FOR_CRM).value
    assert read(body(access_token="opaque"), FOR_CRM).value
    assert read(body(access_token="a.b.c"), FOR_CRM).value


@pytest.mark.parametrize(
    "claims",
    [b'{"aud":"crm","aud":"evil"}', b'{"aud":"crm"} x', b'{"aud":"crm","n":NaN}', b'{"aud"', b"{" * 3000],
)
def test_claims_that_two_readers_read_differently_are_refused(claims: bytes) -> None:
    payload = base64.urlsafe_b64encode(claims).rstrip(b"=").decode()
    assert "one way" in refused(body(access_token=f"aGk.{payload}.c"), FOR_CRM)


@pytest.mark.parametrize(
    "payload", ["eyJhdWQiOiJldmlsIn0=", "77u_eyJhdWQiOiJldmlsIn0", "W10", "MQ", "", "!!!!"]
)
def test_a_jwt_whose_claims_cannot_be_read_is_refused(payload: str) -> None:
    header = jwt().partition(".")[0]
    assert "claims of the token" in refused(body(access_token=f"{header}.{payload}.c2ln"), FOR_CRM)


@pytest.mark.parametrize(
    "value", ["YQ.Yg.Yw", "eyJ1c2VyIjoxfQ.ZvJ3Yw.c2ln", "a.b.c.d.e", "..", "v2.local.abc"]
)
def test_what_only_looks_like_a_jwt_is_any_token(value: str) -> None:
    assert read(body(access_token=value), FOR_CRM).value == value


USERS = jwt(sub="alice", aud="crm")
SPELT = USERS.rpartition(".")[0]


@pytest.mark.parametrize("value", ["opaque-users", USERS, SPELT + ".AAAA", SPELT + "."])
def test_what_was_sent_is_no_answer(value: str) -> None:
    wanted = Wanted(audience="crm", sent=("opaque-users", USERS, "client-secret"))
    assert "gave back" in refused(body(access_token=value), wanted)


def test_another_token_of_the_same_user_is_one() -> None:
    assert read(body(access_token=jwt(sub="alice", aud=["crm"])), Wanted(sent=(USERS,))).value


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"null", "no object"),
        (b"[]", "no object"),
        (b'"token"', "no object"),
        (b"access_token=x&token_type=Bearer", "cannot be read"),
        (b'{"access_token":"a","access_token":"b","token_type":"Bearer"}', "cannot be read"),
        (b'\xef\xbb\xbf{"access_token":"a"}', "cannot be read"),
        (b'{"access_token":"\xff"}', "cannot be read"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "cannot be read"),
        (b"<!doctype html><title>Log in</title>", "web page"),
        (b"\n <html>", "web page"),
        (b"{}", "no access_token"),
        (b'{"refresh_token":"r","token_type":"Bearer"}', "refresh token is of no use"),
        (b'{"data":{"access_token":"a","token_type":"Bearer"}}', "no access_token"),
    ],
)
def test_bodies_that_are_no_answer(data: bytes, said: str) -> None:
    assert said in refused(data)


def test_a_page_is_known_by_its_type_too() -> None:
    assert "web page" in refused(b"Please log in", headers=[(b"content-type", b"text/html")])


def test_a_refusal_with_200_is_one() -> None:
    with pytest.raises(NoToken) as caught:
        read(b'{"error":"invalid_grant","error_description":"bad"}')
    assert caught.value.reason is Reason.CREDENTIAL_REFUSED


def test_more_members_do_no_harm() -> None:
    more = {
        "id_token": "x",
        "not-before-policy": 0,
        "session_state": None,
        "authorization_details": [{"a": [1]}],
    }
    assert read(body(**more)).value == "opaque"
