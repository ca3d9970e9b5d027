"""Tokens that nobody may get in with: each row is an attack, and the reason it is refused for."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mesh.policy.user_auth import UserAuth
from mesh.reasons import Reason
from sidecar.credentials.users import Users
from sidecar.credentials.verified import TokenRefused, Verified
from tests.support.issuing import (
    AUDIENCE,
    AUTH,
    EC_KEY,
    ENTRY,
    GOOD_JWKS,
    ISSUER,
    JWKS_URI,
    NOW,
    OTHER_RSA_KEY,
    RSA_KEY,
    Told,
    Web,
    b64,
    claims,
    header,
    jwk,
    jwks,
    token,
)

PUBLIC_PEM = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
WEAK_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the attack
ES = {"alg": "ES256", "kid": "two", "typ": "JWT"}
EVIL = "https://evil.example.com"
NOBODY: Any = None
"""No issuer's metadata are asked for here, and no proof of who we are."""
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def users(web: Web, auth: UserAuth = AUTH) -> Users:
    made = Users(web, NOBODY, NOBODY, now=lambda: NOW, tell=Told())
    made.use(auth)
    return made


async def verify(
    value: str | bytes, document: bytes = GOOD_JWKS, auth: UserAuth = AUTH
) -> tuple[Verified, Web]:
    web = Web()
    web.serve(JWKS_URI, document)
    verified = await users(web, auth).verify(value if isinstance(value, bytes) else value.encode())
    return verified, web


def resigned(change: Callable[[bytes], bytes], head: dict[str, Any] | None = None, key: Any = RSA_KEY) -> str:
    """A good token with another signature."""
    signed, _, last = token(head=head, key=key).rpartition(".")
    return f"{signed}.{b64(change(base64.urlsafe_b64decode(last + '==')))}"


def unsigned(head: Any) -> str:
    return f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims()).encode())}."


def raw(head: bytes, body: bytes) -> str:
    return token(body, head)


def other_last_character() -> str:
    """The same bytes of signature, written in another way: the last character has bits that say nothing."""
    good = token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return good[:-1] + alphabet[alphabet.index(good[-1]) | 1]


GOOD_CLAIMS = json.dumps(claims()).encode()
ATTACKS: list[tuple[str, Callable[[], str | bytes], Reason]] = [
    # Algorithms.
    ("alg none, no signature", lambda: unsigned({"alg": "none"}), Reason.TOKEN_ALGORITHM),
    ("alg none in other letters", lambda: unsigned({"alg": "nOnE"}), Reason.TOKEN_ALGORITHM),
    ("alg none with a signature", lambda: token(head=header(alg="none")), Reason.TOKEN_ALGORITHM),
    ("alg empty", lambda: token(head=header(alg="")), Reason.TOKEN_ALGORITHM),
    ("no alg", lambda: token(head={"kid": "one"}), Reason.TOKEN_MALFORMED),
    ("alg no text", lambda: token(head=header(alg=["RS256"])), Reason.TOKEN_MALFORMED),
    (
        "HS256 with the public key as secret",
        lambda: token(head=header(alg="HS256"), key=PUBLIC_PEM),
        Reason.TOKEN_ALGORITHM,
    ),
    ("HS256 with an empty secret", lambda: token(head=header(alg="HS256"), key=b""), Reason.TOKEN_ALGORITHM),
    ("rs256 in small letters", lambda: token(head=header(alg="rs256")), Reason.TOKEN_ALGORITHM),
    ("an algorithm with a space", lambda: token(head=header(alg="RS256 ")), Reason.TOKEN_ALGORITHM),
    (
        "ES256 by name of an RSA key",
        lambda: token(head=header(alg="ES256"), key=EC_KEY),
        Reason.TOKEN_KEY_UNKNOWN,
    ),
    ("RS256 by name of an EC key", lambda: token(head=header(kid="two")), Reason.TOKEN_KEY_UNKNOWN),
    (
        "PS256 named, RS256 signed",
        lambda: token(head=header(alg="PS256")).rpartition(".")[0] + "." + token().rpartition(".")[2],
        Reason.TOKEN_SIGNATURE,
    ),
    ("EdDSA", lambda: token(head=header(alg="EdDSA")), Reason.TOKEN_ALGORITHM),
    # Issuers and keys.
    (
        "foreign issuer with the same kid",
        lambda: token(claims(iss=EVIL), key=OTHER_RSA_KEY),
        Reason.TOKEN_ISSUER,
    ),
    ("issuer with a slash more", lambda: token(claims(iss=ISSUER + "/")), Reason.TOKEN_ISSUER),
    ("issuer in capitals", lambda: token(claims(iss=ISSUER.upper())), Reason.TOKEN_ISSUER),
    ("no issuer", lambda: token(claims(iss=...)), Reason.TOKEN_MALFORMED),
    ("issuer in a list", lambda: token(claims(iss=[ISSUER])), Reason.TOKEN_MALFORMED),
    ("signed by another key", lambda: token(key=OTHER_RSA_KEY), Reason.TOKEN_SIGNATURE),
    ("kid unknown", lambda: token(head=header(kid="nine")), Reason.TOKEN_KEY_UNKNOWN),
    (
        "kid that is a path",
        lambda: token(head=header(kid="../../../../dev/null"), key=b""),
        Reason.TOKEN_KEY_UNKNOWN,
    ),
    ("kid that is SQL", lambda: token(head=header(kid="' UNION SELECT 'x")), Reason.TOKEN_KEY_UNKNOWN),
    ("kid that is a URL", lambda: token(head=header(kid=EVIL)), Reason.TOKEN_KEY_UNKNOWN),
    ("kid very long", lambda: token(head=header(kid="1" * 2000)), Reason.TOKEN_MALFORMED),
    ("kid a number", lambda: token(head=header(kid=1)), Reason.TOKEN_MALFORMED),
    ("kid a list", lambda: token(head=header(kid=["one"])), Reason.TOKEN_MALFORMED),
    ("kid empty", lambda: token(head=header(kid="")), Reason.TOKEN_KEY_UNKNOWN),
    (
        "jwk brings its own key",
        lambda: token(head=header(jwk=jwk(OTHER_RSA_KEY)), key=OTHER_RSA_KEY),
        Reason.TOKEN_SIGNATURE,
    ),
    (
        "jku leads to its own keys",
        lambda: token(head=header(jku=EVIL), key=OTHER_RSA_KEY),
        Reason.TOKEN_SIGNATURE,
    ),
    (
        "x5u leads to its own chain",
        lambda: token(head=header(x5u=EVIL), key=OTHER_RSA_KEY),
        Reason.TOKEN_SIGNATURE,
    ),
    (
        "x5c brings its own chain",
        lambda: token(head=header(x5c=["MIIB"]), key=OTHER_RSA_KEY),
        Reason.TOKEN_SIGNATURE,
    ),
    # Signatures.
    ("no signature", lambda: token().rpartition(".")[0] + ".", Reason.TOKEN_SIGNATURE),
    ("signature cut", lambda: resigned(lambda s: s[:-1]), Reason.TOKEN_SIGNATURE),
    ("signature longer", lambda: resigned(lambda s: s + b"\0"), Reason.TOKEN_SIGNATURE),
    ("r and s zero", lambda: resigned(lambda s: bytes(64), ES, EC_KEY), Reason.TOKEN_SIGNATURE),
    ("r zero", lambda: resigned(lambda s: bytes(32) + s[32:], ES, EC_KEY), Reason.TOKEN_SIGNATURE),
    (
        "s is the order",
        lambda: resigned(lambda s: s[:32] + ORDER.to_bytes(32), ES, EC_KEY),
        Reason.TOKEN_SIGNATURE,
    ),
    (
        "r larger than the order",
        lambda: resigned(lambda s: b"\xff" * 32 + s[32:], ES, EC_KEY),
        Reason.TOKEN_SIGNATURE,
    ),
    (
        "a DER signature",
        lambda: resigned(lambda s: b"\x30\x06\x02\x01\x01\x02\x01\x01", ES, EC_KEY),
        Reason.TOKEN_SIGNATURE,
    ),
    (
        "claims changed behind the signature",
        lambda: ".".join(
            (token().split(".")[0], b64(json.dumps(claims(sub="root")).encode()), token().split(".")[2])
        ),
        Reason.TOKEN_SIGNATURE,
    ),
    # For whom and until when.
    ("wrong audience", lambda: token(claims(aud="https://other.example.com")), Reason.TOKEN_AUDIENCE),
    (
        "audience that begins alike",
        lambda: token(claims(aud=AUDIENCE + ".evil.example.com")),
        Reason.TOKEN_AUDIENCE,
    ),
    ("no audience", lambda: token(claims(aud=...)), Reason.TOKEN_AUDIENCE),
    ("audience null", lambda: token(claims(aud=None)), Reason.TOKEN_AUDIENCE),
    ("audience empty", lambda: token(claims(aud=[])), Reason.TOKEN_AUDIENCE),
    ("audience an object", lambda: token(claims(aud={AUDIENCE: True})), Reason.TOKEN_MALFORMED),
    ("audience a list of lists", lambda: token(claims(aud=[[AUDIENCE]])), Reason.TOKEN_MALFORMED),
    ("expired", lambda: token(claims(exp=int(NOW) - 30)), Reason.TOKEN_EXPIRED),
    ("expired in 1970", lambda: token(claims(exp=0)), Reason.TOKEN_EXPIRED),
    ("no expiry", lambda: token(claims(exp=...)), Reason.TOKEN_MALFORMED),
    ("expiry null", lambda: token(claims(exp=None)), Reason.TOKEN_MALFORMED),
    ("expiry negative", lambda: token(claims(exp=-1)), Reason.TOKEN_MALFORMED),
    ("expiry a text", lambda: token(claims(exp=str(int(NOW) + 300))), Reason.TOKEN_MALFORMED),
    ("expiry true", lambda: token(claims(exp=True)), Reason.TOKEN_MALFORMED),
    ("expiry huge", lambda: token(claims(exp=10**30)), Reason.TOKEN_MALFORMED),
    (
        "expiry beyond a double",
        lambda: raw(json.dumps(header()).encode(), GOOD_CLAIMS.replace(b"1780000300", b"1e999")),
        Reason.TOKEN_MALFORMED,
    ),
    (
        "expiry NaN",
        lambda: raw(json.dumps(header()).encode(), GOOD_CLAIMS.replace(b"1780000300", b"NaN")),
        Reason.TOKEN_MALFORMED,
    ),
    ("not before later", lambda: token(claims(nbf=int(NOW) + 60)), Reason.TOKEN_NOT_YET_VALID),
    ("issued later", lambda: token(claims(iat=int(NOW) + 60)), Reason.TOKEN_NOT_YET_VALID),
    ("not before a text", lambda: token(claims(nbf="0")), Reason.TOKEN_MALFORMED),
    # Tokens for another purpose.
    ("an ID-JAG", lambda: token(head=header(typ="oauth-id-jag+jwt")), Reason.TOKEN_MALFORMED),
    ("a logout token", lambda: token(head=header(typ="logout+jwt")), Reason.TOKEN_MALFORMED),
    (
        "a logout token of old",
        lambda: token(claims(events={"http://schemas.openid.net/event/backchannel-logout": {}})),
        Reason.TOKEN_MALFORMED,
    ),
    ("a security event", lambda: token(head=header(typ="secevent+jwt")), Reason.TOKEN_MALFORMED),
    ("a DPoP proof", lambda: token(head=header(typ="dpop+jwt")), Reason.TOKEN_MALFORMED),
    (
        "a client assertion",
        lambda: token(head=header(typ="client-authentication+jwt")),
        Reason.TOKEN_MALFORMED,
    ),
    (
        "an introspection answer",
        lambda: token(head=header(typ="token-introspection+jwt")),
        Reason.TOKEN_MALFORMED,
    ),
    ("typ no text", lambda: token(head=header(typ=["JWT"])), Reason.TOKEN_MALFORMED),
    ("bound to a key", lambda: token(claims(cnf={"jkt": "x"})), Reason.TOKEN_BOUND),
    ("a refresh token", lambda: token(claims(typ="Refresh")), Reason.TOKEN_MALFORMED),
    ("an offline token", lambda: token(claims(typ="Offline")), Reason.TOKEN_MALFORMED),
    ("a refresh token by use", lambda: token(claims(token_use="refresh_token")), Reason.TOKEN_MALFORMED),
    ("bound to nothing", lambda: token(claims(cnf=None)), Reason.TOKEN_BOUND),
    # Header and claims that readers read differently.
    ("crit", lambda: token(head=header(crit=["exp"])), Reason.TOKEN_MALFORMED),
    ("crit empty", lambda: token(head=header(crit=[])), Reason.TOKEN_MALFORMED),
    (
        "claims not encoded (b64 false)",
        lambda: token(head=header(b64=False, crit=["b64"])),
        Reason.TOKEN_MALFORMED,
    ),
    (
        "alg twice",
        lambda: raw(b'{"alg":"none","alg":"RS256","kid":"one"}', GOOD_CLAIMS),
        Reason.TOKEN_MALFORMED,
    ),
    ("sub twice", lambda: token(GOOD_CLAIMS[:-1] + b',"sub":"root"}'), Reason.TOKEN_MALFORMED),
    ("aud twice, escaped", lambda: token(GOOD_CLAIMS[:-1] + b',"\\u0061ud":"x"}'), Reason.TOKEN_MALFORMED),
    ("claims behind a byte order mark", lambda: token(b"\xef\xbb\xbf" + GOOD_CLAIMS), Reason.TOKEN_MALFORMED),
    ("claims with something behind", lambda: token(GOOD_CLAIMS + b"{}"), Reason.TOKEN_MALFORMED),
    ("claims a list", lambda: token([claims()]), Reason.TOKEN_MALFORMED),
    ("header a list", lambda: raw(b'["RS256"]', GOOD_CLAIMS), Reason.TOKEN_MALFORMED),
    ("claims without end", lambda: token(b"[" * 5000), Reason.TOKEN_MALFORMED),
    ("claims nested deep", lambda: token(b'{"x":' + b"[" * 80 + b"]" * 80 + b"}"), Reason.TOKEN_MALFORMED),
    ("no subject", lambda: token(claims(sub=...)), Reason.TOKEN_MALFORMED),
    ("subject a number", lambda: token(claims(sub=7)), Reason.TOKEN_MALFORMED),
    ("subject empty", lambda: token(claims(sub="")), Reason.TOKEN_MALFORMED),
    ("subject with a line break", lambda: token(claims(sub="a\nb")), Reason.TOKEN_MALFORMED),
    ("subject very long", lambda: token(claims(sub="a" * 2000)), Reason.TOKEN_MALFORMED),
    ("actors without end", lambda: token(claims(act=_actors(40))), Reason.TOKEN_MALFORMED),
    ("actor no object", lambda: token(claims(act="root")), Reason.TOKEN_MALFORMED),
    ("actor without a name", lambda: token(claims(act={})), Reason.TOKEN_MALFORMED),
    ("scopes an object", lambda: token(claims(scope={"a": 1})), Reason.TOKEN_MALFORMED),
    (
        "scopes without end",
        lambda: token(claims(scope=" ".join(map(str, range(600))))),
        Reason.TOKEN_MALFORMED,
    ),
    # Spellings.
    ("four parts", lambda: token() + ".x", Reason.TOKEN_MALFORMED),
    ("two parts", lambda: token().rpartition(".")[0], Reason.TOKEN_MALFORMED),
    (
        "five parts, encrypted",
        lambda: ".".join((b64(b'{"alg":"RSA-OAEP","enc":"A256GCM"}'), "a", "b", "c", "d")),
        Reason.TOKEN_MALFORMED,
    ),
    ("a token in a token's place of five parts", lambda: token() + ".a.b", Reason.TOKEN_MALFORMED),
    ("padding", lambda: token() + "==", Reason.TOKEN_MALFORMED),
    ("padding in the middle", lambda: token().replace(".", "=.", 1), Reason.TOKEN_MALFORMED),
    ("other spelling of the same bytes", other_last_character, Reason.TOKEN_MALFORMED),
    (
        "plain base64",
        lambda: token(claims(sub="\u00ff\u00fe??>>")).replace("_", "/").replace("-", "+"),
        Reason.TOKEN_MALFORMED,
    ),
    ("a space within", lambda: token().replace(".", ". ", 1), Reason.TOKEN_MALFORMED),
    ("a line break at the end", lambda: token() + "\n", Reason.TOKEN_MALFORMED),
    ("no ASCII", lambda: token().encode() + b"\xc3\xa9", Reason.TOKEN_MALFORMED),
    ("a NUL", lambda: token() + "\0", Reason.TOKEN_MALFORMED),
    ("empty", lambda: "", Reason.TOKEN_MALFORMED),
    ("dots", lambda: "..", Reason.TOKEN_MALFORMED),
    ("oversized", lambda: token(claims(pad="x" * 20000)), Reason.TOKEN_TOO_LARGE),
]


def _actors(count: int) -> dict[str, Any]:
    act: dict[str, Any] = {"sub": "one"}
    for _ in range(count):
        act = {"sub": "one", "act": act}
    return act


@pytest.mark.parametrize(("make", "reason"), [pytest.param(m, r, id=name) for name, m, r in ATTACKS])
async def test_an_attack_is_refused(make: Callable[[], str | bytes], reason: Reason) -> None:
    with pytest.raises(TokenRefused) as refused:
        await verify(make())
    assert refused.value.reason is reason
    assert len(refused.value.detail) < 200


@pytest.mark.parametrize(
    "head", [header(), ES, header(typ=...), header(typ="AT+jwt"), header(typ="application/at+jwt")]
)
async def test_what_the_attacks_are_made_of_is_a_good_token(head: dict[str, Any]) -> None:
    verified, _ = await verify(token(head=head, key=EC_KEY if head is ES else RSA_KEY))
    assert (verified.user.issuer, verified.user.subject) == (ISSUER, "alice")


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_nothing_in_a_header_is_followed_though_the_signature_be_good(name: str) -> None:
    _, web = await verify(token(head=header(**{name: EVIL})))
    assert [url for _, url, _ in web.asked] == [JWKS_URI]


async def test_the_other_signature_that_ecdsa_allows_says_the_same() -> None:
    """Who has a token can make this of it and has gained nothing: claims and expiry are the same."""

    def other(good: bytes) -> bytes:
        return good[:32] + (ORDER - int.from_bytes(good[32:])).to_bytes(32)

    verified, _ = await verify(resigned(other, ES, EC_KEY))
    assert verified.user.subject == "alice"


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("a key too short", jwks(jwk(WEAK_KEY))),
        ("an encryption key", jwks(jwk(use="enc"))),
        ("a key of another algorithm", jwks(jwk(alg="RS512"))),
        ("a key that does not verify", jwks(jwk(key_ops=["sign"]))),
        ("a symmetric key", jwks({"kty": "oct", "k": b64(PUBLIC_PEM), "kid": "one", "alg": "HS256"})),
        ("no keys", jwks()),
    ],
)
async def test_keys_that_are_not_for_signatures_verify_nothing(name: str, document: bytes) -> None:
    with pytest.raises(TokenRefused) as refused:
        await verify(token(key=WEAK_KEY if "short" in name else RSA_KEY), document)
    assert refused.value.reason is Reason.TOKEN_KEY_UNKNOWN


async def test_a_symmetric_key_in_the_set_does_not_bring_symmetric_algorithms() -> None:
    document = jwks({"kty": "oct", "k": b64(b"secret"), "kid": "one", "alg": "HS256"}, jwk(kid="two"))
    auth = UserAuth((dataclasses.replace(ENTRY, algorithms=("HS256", "none", "RS256")),))
    for made in (token(head=header(alg="HS256"), key=b"secret"), unsigned({"alg": "none"})):
        with pytest.raises(TokenRefused) as refused:
            await verify(made, document, auth)
        assert refused.value.reason is Reason.TOKEN_ALGORITHM


async def test_only_the_algorithms_of_the_entry_count() -> None:
    auth = UserAuth((dataclasses.replace(ENTRY, algorithms=("ES256",)),))
    with pytest.raises(TokenRefused) as refused:
        await verify(token(), auth=auth)
    assert refused.value.reason is Reason.TOKEN_ALGORITHM


async def test_an_issuer_cannot_speak_for_another_that_is_accepted_too() -> None:
    """The keys of one are never tried for a token that names the other, whatever they are called."""
    evil = dataclasses.replace(ENTRY, issuer=EVIL, jwks_uri=EVIL + "/jwks")
    web = Web()
    web.serve(JWKS_URI, GOOD_JWKS)
    web.serve(EVIL + "/jwks", jwks(jwk(OTHER_RSA_KEY)))
    both = users(web, UserAuth((evil, ENTRY)))
    with pytest.raises(TokenRefused) as refused:
        await both.verify(token(key=OTHER_RSA_KEY).encode())
    assert refused.value.reason is Reason.TOKEN_SIGNATURE
    assert (await both.verify(token(claims(iss=EVIL), key=OTHER_RSA_KEY).encode())).user.issuer == EVIL


async def test_an_rsa_key_on_no_curve_of_ours_is_left_out() -> None:
    odd = ec.generate_private_key(ec.SECP256K1())
    numbers = odd.public_key().public_numbers()
    members = {"kty": "EC", "kid": "two", "x": b64(numbers.x.to_bytes(32)), "y": b64(numbers.y.to_bytes(32))}
    for curve in ("secp256k1", "P-256"):
        with pytest.raises(TokenRefused) as refused:
            await verify(token(head=ES, key=odd), jwks({**members, "crv": curve}))
        assert refused.value.reason is Reason.TOKEN_KEY_UNKNOWN
