from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from mesh.identity.issuance import Refusal
from mesh.identity.jws import sign, to_base64url
from tests.support.ca import AUDIENCE, ISSUER, TokenIssuer, WallClock
from webhook.identity.local_reviewer import LocalReviewer
from webhook.identity.token_reviewer import Caller, TokenRefused

CLOCK = WallClock()
TOKENS = TokenIssuer(CLOCK)
REVIEWER = LocalReviewer(ISSUER, AUDIENCE, {"k1": TOKENS.key.public_key()}, CLOCK)
NOW = int(CLOCK.seconds())


async def test_a_token_names_its_workload() -> None:
    expected = Caller("agents", "triage", CLOCK() + timedelta(hours=1), "triage-1", "2")
    assert await REVIEWER.review(TOKENS.token()) == expected
    assert await REVIEWER.review(TOKENS.token(aud=AUDIENCE)) == expected


async def test_a_token_need_not_be_bound_to_a_pod() -> None:
    about = {"namespace": "agents", "serviceaccount": {"name": "triage"}}
    caller = await REVIEWER.review(TOKENS.token(**{"kubernetes.io": about}))
    assert (caller.pod, caller.uid) == ("", "")


@pytest.mark.parametrize(
    ("claims", "refusal", "complaint"),
    [
        ({"iss": "x"}, Refusal.TOKEN_REFUSED, "of the issuer 'x'"),
        ({"aud": None}, Refusal.TOKEN_REFUSED, "for the audience None"),
        ({"aud": ["x", "y"]}, Refusal.TOKEN_REFUSED, "for the audience"),
        ({"aud": "outrider-ca2"}, Refusal.TOKEN_REFUSED, "for the audience"),
        ({"exp": NOW}, Refusal.TOKEN_EXPIRED, "expired 0 s ago"),
        ({"exp": NOW - 90}, Refusal.TOKEN_EXPIRED, "expired 90 s ago"),
        ({"exp": None}, Refusal.TOKEN_REFUSED, "exp is no date"),
        ({"exp": True}, Refusal.TOKEN_REFUSED, "exp is no date"),
        ({"exp": -1e300}, Refusal.TOKEN_REFUSED, "exp is no date"),
        ({"nbf": 1e300}, Refusal.TOKEN_REFUSED, "nbf is no date"),
        ({"nbf": "now"}, Refusal.TOKEN_REFUSED, "nbf is no date"),
        ({"nbf": NOW + 60}, Refusal.TOKEN_REFUSED, "another 60 s"),
        ({"kubernetes.io": None}, Refusal.TOKEN_REFUSED, "claims are missing"),
        ({"kubernetes.io": {"namespace": "agents"}}, Refusal.TOKEN_REFUSED, "claims are missing"),
        (
            {"kubernetes.io": {"namespace": 1, "serviceaccount": {"name": "x"}}},
            Refusal.TOKEN_REFUSED,
            "missing",
        ),
        ({"kubernetes.io": {"namespace": "a", "serviceaccount": "x"}}, Refusal.TOKEN_REFUSED, "missing"),
        ({"sub": "system:serviceaccount:agents:other"}, Refusal.TOKEN_REFUSED, "subject"),
    ],
)
async def test_a_token_that_proves_no_workload_is_refused(
    claims: dict[str, Any], refusal: Refusal, complaint: str
) -> None:
    with pytest.raises(TokenRefused, match=complaint) as refused:
        await REVIEWER.review(TOKENS.token(**claims))
    assert refused.value.refusal is refusal


@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        ("", "three parts"),
        (sign(TOKENS.key, "k2", TOKENS.claims()), "no key 'k2'"),
        (sign(ec.generate_private_key(ec.SECP256R1()), "k1", TOKENS.claims()), "signature is wrong"),
    ],
)
async def test_a_token_of_nobody_is_refused(token: str, complaint: str) -> None:
    with pytest.raises(TokenRefused, match=complaint) as refused:
        await REVIEWER.review(token)
    assert refused.value.refusal is Refusal.TOKEN_REFUSED


@pytest.mark.parametrize(
    "caller",
    [
        Caller(namespace, account, CLOCK())
        for namespace, account in (("a/b", "c"), ("a", "b/../c"), ("a b", "c"), ("", "c"), ("a", ".."))
    ],
)
def test_names_that_no_identity_can_hold_give_none(caller: Caller) -> None:
    with pytest.raises(TokenRefused):
        caller.spiffe_id("a.example")


@pytest.mark.parametrize("header", [{}, {"kid": None}, {"kid": 1}, {"kid": [1]}])
async def test_a_token_names_its_key_by_text(header: dict[str, Any]) -> None:
    _, claims, _ = TOKENS.token().split(".")
    head = to_base64url(json.dumps({"alg": "ES256", **header}).encode())
    signed = f"{head}.{claims}"
    r, s = decode_dss_signature(TOKENS.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    token = f"{signed}.{to_base64url(r.to_bytes(32) + s.to_bytes(32))}"
    keys = dict.fromkeys(("None", "1", "[1]"), TOKENS.key.public_key())
    with pytest.raises(TokenRefused, match="kid"):
        await LocalReviewer(ISSUER, AUDIENCE, keys, CLOCK).review(token)
