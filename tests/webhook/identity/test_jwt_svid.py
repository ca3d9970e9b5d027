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

from mesh.identity.spiffe_id import SpiffeId
from webhook.identity.jwt_svid import (
    JwtInvalid,
    issue_jwt_svid,
    jwks,
    keys_of,
    make_jwt_key,
    validate_jwt_svid,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WORKLOAD = SpiffeId("a.example", "/x")
KEY = make_jwt_key()
KEYS = {"a.example": {KEY.key_id: KEY.key.public_key()}}
TOKEN = issue_jwt_svid(KEY, WORKLOAD, ["db"], NOW, timedelta(minutes=5))


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: dict[str, Any], claims: Any) -> str:
    text = f"{part(header)}.{part(claims)}"
    r, s = decode_dss_signature(KEY.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{base64.urlsafe_b64encode(r.to_bytes(32) + s.to_bytes(32)).rstrip(b'=').decode()}"


HEADER = {"alg": "ES256", "kid": KEY.key_id}
CLAIMS = {"sub": str(WORKLOAD), "aud": "db", "exp": NOW.timestamp() + 60}


def test_a_token_proves_its_subject_to_its_audience() -> None:
    subject, claims = validate_jwt_svid(TOKEN, "db", KEYS, NOW)
    assert subject == WORKLOAD
    assert claims["aud"] == ["db"]
    assert claims["exp"] - claims["iat"] == 300


def test_one_audience_may_stand_without_a_list() -> None:
    assert validate_jwt_svid(signed(HEADER, CLAIMS), "db", KEYS, NOW)[0] == WORKLOAD
    assert validate_jwt_svid(signed({**HEADER, "typ": "JOSE"}, CLAIMS), "db", KEYS, NOW)[0] == WORKLOAD


@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        ("", "three parts"),
        ("a.b", "three parts"),
        ("a.b.c.d", "three parts"),
        ("!!.e30.e30", "not base64url"),
        ("é.e30.e30", "not base64url"),
        ("e.e30.e30", "not base64url"),
        (f"{part([])}.e30.x", "no JSON object"),
        ("YQ.e30.e30", "no JSON"),
        (signed({**HEADER, "alg": "none"}, CLAIMS), "alone"),
        (signed({**HEADER, "alg": "HS256"}, CLAIMS), "alone"),
        (signed({**HEADER, "jku": "https://evil.example"}, CLAIMS), "alone"),
        (signed({**HEADER, "typ": "wit+jwt"}, CLAIMS), "typ must be"),
        (signed({**HEADER, "kid": "other"}, CLAIMS), "no key of a.example"),
        (signed({"alg": "ES256"}, CLAIMS), "no key of a.example"),
        (signed(HEADER, {**CLAIMS, "sub": "spiffe://b.example/x"}), "no key of b.example"),
        (signed(HEADER, {**CLAIMS, "sub": "someone"}), "sub:"),
        (signed(HEADER, {**CLAIMS, "aud": ["other"]}), "not for the audience"),
        (signed(HEADER, {**CLAIMS, "aud": {"db": 1}}), "not for the audience"),
        (signed(HEADER, {**CLAIMS, "exp": NOW.timestamp()}), "expired"),
        (signed(HEADER, {**CLAIMS, "exp": True}), "exp is missing"),
        (signed(HEADER, {"sub": str(WORKLOAD), "aud": "db"}), "exp is missing"),
        (TOKEN[:-4], "not 64 bytes"),
        (TOKEN.rpartition(".")[0] + "." + "A" * 86, "signature is wrong"),
        (TOKEN.replace(TOKEN.split(".")[1], part(CLAIMS)), "signature is wrong"),
    ],
)
def test_a_token_that_breaks_a_rule_is_refused(token: str, complaint: str) -> None:
    with pytest.raises(JwtInvalid, match=complaint):
        validate_jwt_svid(token, "db", KEYS, NOW)


def test_the_keys_of_a_bundle_read_back() -> None:
    found = keys_of(jwks([KEY]))
    assert found[KEY.key_id].public_numbers() == KEY.key.public_key().public_numbers()


def test_keys_for_other_uses_are_left_out() -> None:
    document = json.loads(jwks([KEY]))
    document["keys"] += [{"kty": "RSA"}, {**document["keys"][0], "use": "x509-svid", "kid": "other"}]
    assert set(keys_of(json.dumps(document).encode())) == {KEY.key_id}


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys": [1]}', b'{"keys": [{"kty": "EC", "crv": "P-256"}]}', b"\xff"],
)
def test_what_is_no_bundle_is_refused(document: bytes) -> None:
    with pytest.raises(JwtInvalid, match="not a JWKS document"):
        keys_of(document)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="utf-8"))
def test_a_changed_token_is_refused_or_means_the_same(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    try:
        subject, claims = validate_jwt_svid(changed, "db", KEYS, NOW)
    except JwtInvalid:
        return
    assert (subject, claims) == validate_jwt_svid(TOKEN, "db", KEYS, NOW)
