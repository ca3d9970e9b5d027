import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.identity.errors import JwtInvalid
from mesh.identity.jwt_svid import JwtSvid, issue_jwt_svid, make_jwt_key, validate_jwt_svid
from mesh.identity.spiffe_id import SpiffeId

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WORKLOAD = SpiffeId("a.example", "/x")
KEY = make_jwt_key()
KEYS = {"a.example": {KEY.key_id: KEY.public}, "b.example": {}}
TOKEN = issue_jwt_svid(KEY, WORKLOAD, ["db"], NOW, timedelta(minutes=5))


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: dict[str, Any], claims: Any) -> str:
    text = f"{part(header)}.{part(claims)}"
    r, s = decode_dss_signature(KEY.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{base64.urlsafe_b64encode(r.to_bytes(32) + s.to_bytes(32)).rstrip(b'=').decode()}"


HEADER = {"alg": "ES256", "kid": KEY.key_id}
CLAIMS = {"sub": str(WORKLOAD), "aud": "db", "exp": NOW.timestamp() + 60}
SHAPES = [
    ("", "three parts"),
    ("a.b", "three parts"),
    ("a.b.c.d", "three parts"),
    ("x" * 20000, "at most"),
    ("!!.e30.e30", "not base64url"),
    ("é.e30.e30", "not base64url"),
    ("e.e30.e30", "not base64url"),
    ("e31.e30.e30", "another way"),
    (f"{part([])}.e30.eA", "no JSON object"),
    ("YQ.e30.e30", "no JSON"),
    ("eyJhIjpOYU59.e30.e30", "no JSON"),
    (signed({**HEADER, "alg": "none"}, CLAIMS), "not accepted"),
    (signed({**HEADER, "alg": "HS256"}, CLAIMS), "not accepted"),
    (signed({**HEADER, "alg": "EdDSA"}, CLAIMS), "not accepted"),
    (signed({**HEADER, "alg": ["ES256"]}, CLAIMS), "not accepted"),
    (signed({**HEADER, "jku": "https://evil.example"}, CLAIMS), "jku; only"),
    (signed({**HEADER, "typ": "wit+jwt"}, CLAIMS), "typ must be"),
    (signed({**HEADER, "typ": []}, CLAIMS), "typ must be"),
    (signed({**HEADER, "kid": 1}, CLAIMS), "kid is no text"),
    (signed({**HEADER, "kid": [KEY.key_id]}, CLAIMS), "kid is no text"),
    (signed({**HEADER, "kid": None}, CLAIMS), "kid is no text"),
    (signed(HEADER, {**CLAIMS, "nbf": "now"}), "nbf is no date"),
    (signed(HEADER, {**CLAIMS, "nbf": True}), "nbf is no date"),
    (signed(HEADER, {**CLAIMS, "nbf": None}), "nbf is no date"),
    (signed(HEADER, {**CLAIMS, "nbf": 1e300}), "nbf is no date"),
    (signed(HEADER, {**CLAIMS, "nbf": 10**400}), "nbf is no date"),
    (signed(HEADER, {**CLAIMS, "sub": "someone"}), "sub:"),
    (signed(HEADER, {**CLAIMS, "sub": "spiffe://a.example"}), "not a workload"),
    (signed(HEADER, {**CLAIMS, "aud": {"db": 1}}), "aud is missing"),
    (signed(HEADER, {**CLAIMS, "aud": []}), "aud is missing"),
    (signed(HEADER, {**CLAIMS, "aud": ["db", 1]}), "no list of names"),
    (signed(HEADER, {**CLAIMS, "exp": True}), "exp is missing"),
    (signed(HEADER, {**CLAIMS, "exp": -1}), "no date"),
    (signed(HEADER, {**CLAIMS, "exp": 1e300}), "no date"),
    (signed(HEADER, {"sub": str(WORKLOAD), "aud": "db"}), "exp is missing"),
]


def test_a_token_proves_its_subject_to_its_audience() -> None:
    subject, claims = validate_jwt_svid(TOKEN, "db", KEYS, NOW)
    assert subject == WORKLOAD
    assert claims["aud"] == ["db"]
    assert claims["exp"] - claims["iat"] == 300


def test_one_audience_may_stand_without_a_list() -> None:
    assert validate_jwt_svid(signed(HEADER, CLAIMS), "db", KEYS, NOW)[0] == WORKLOAD
    assert validate_jwt_svid(signed({**HEADER, "typ": "JOSE"}, CLAIMS), "db", KEYS, NOW)[0] == WORKLOAD


@pytest.mark.parametrize(("token", "complaint"), SHAPES)
def test_a_token_of_another_shape_is_refused_by_who_checks_it(token: str, complaint: str) -> None:
    with pytest.raises(JwtInvalid, match=complaint):
        validate_jwt_svid(token, "db", KEYS, NOW)


@pytest.mark.parametrize(("token", "complaint"), SHAPES)
def test_a_token_of_another_shape_is_refused_by_who_gets_it(token: str, complaint: str) -> None:
    with pytest.raises(JwtInvalid, match=complaint):
        JwtSvid.parse(token)


@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        (signed({**HEADER, "kid": "other"}, CLAIMS), "no key of a.example"),
        (signed({"alg": "ES256"}, CLAIMS), "names no key"),
        (signed(HEADER, {**CLAIMS, "nbf": NOW.timestamp() + 1}), "not valid before"),
        (signed({**HEADER, "alg": "RS256"}, CLAIMS), "the key is none for RS256"),
        (signed(HEADER, {**CLAIMS, "sub": "spiffe://b.example/x"}), "no key of b.example"),
        (signed(HEADER, {**CLAIMS, "sub": "spiffe://c.example/x"}), "no bundle for c.example"),
        (signed(HEADER, {**CLAIMS, "aud": ["other"]}), "not for the audience"),
        (signed(HEADER, {**CLAIMS, "exp": NOW.timestamp()}), "expired"),
        (TOKEN.rpartition(".")[0] + ".YWJj", "not 64 bytes"),
        (TOKEN.rpartition(".")[0] + "." + "A" * 86, "signature is wrong"),
        (TOKEN.replace(TOKEN.split(".")[1], part(CLAIMS)), "signature is wrong"),
    ],
)
def test_a_token_that_does_not_prove_it_is_refused(token: str, complaint: str) -> None:
    with pytest.raises(JwtInvalid, match=complaint):
        validate_jwt_svid(token, "db", KEYS, NOW)


@pytest.mark.parametrize("before", [0, 0.5, 3600])
def test_a_token_is_valid_from_its_nbf_on(before: float) -> None:
    token = signed(HEADER, {**CLAIMS, "nbf": NOW.timestamp() - before})
    assert validate_jwt_svid(token, "db", KEYS, NOW)[0] == WORKLOAD


@pytest.mark.parametrize("header", [{}, {"kid": None}, {"kid": 1}, {"kid": [1]}])
def test_what_is_no_identifier_finds_no_key_by_how_it_would_be_written(header: dict[str, Any]) -> None:
    keys = {"a.example": dict.fromkeys(("None", "1", "[1]", ""), KEY.public)}
    with pytest.raises(JwtInvalid, match="kid"):
        validate_jwt_svid(signed({"alg": "ES256", **header}, CLAIMS), "db", keys, NOW)


def test_a_token_of_ours_need_not_name_its_key() -> None:
    assert JwtSvid.parse(signed({"alg": "ES256"}, CLAIMS)).spiffe_id == WORKLOAD


def test_a_token_of_ours_tells_for_whom_and_until_when_it_is() -> None:
    svid = JwtSvid.parse(TOKEN)
    assert (svid.spiffe_id, svid.audience, svid.token) == (WORKLOAD, ("db",), TOKEN)
    assert svid.expires_at == NOW + timedelta(minutes=5)
    assert TOKEN not in repr(svid)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="utf-8"))
def test_a_changed_token_is_refused(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    if changed == TOKEN:
        return
    with pytest.raises(JwtInvalid):
        validate_jwt_svid(changed, "db", KEYS, NOW)
