"""An authority that others look after: what is taken as it is, and every way in which it cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mesh.identity.bundle import TrustBundle
from mesh.identity.issue import new_svid
from mesh.identity.jwt_svid import issue_jwt_svid, validate_jwt_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.verify import verify_chain
from webhook.identity.keyring.given import Given, is_given, read_given
from webhook.identity.keyring.stored import KeyringInvalid

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TD = "a.example"
WORKLOAD = SpiffeId(TD, "/ns/agents/sa/triage")
KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]
RSA = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def authority(
    subject: str,
    key: Any,
    signer: tuple[str, Any] | None = None,
    *,
    pathlen: int | None = None,
    ca: bool = True,
    signs: bool = True,
    uri: str = "",
    days: tuple[int, int] = (-1, 30),
    more: Sequence[x509.ExtensionType] = (),
) -> x509.Certificate:
    issuer, issuing = signer or (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=pathlen if ca else None), critical=True)
        .add_extension(
            x509.KeyUsage(not signs, False, False, False, False, signs, signs, False, False), critical=True
        )
    )
    if uri:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        builder = builder.add_extension(names, critical=False)
    for one in more:
        builder = builder.add_extension(one, critical=True)
    return builder.sign(issuing, hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def key_pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    made: bytes = key.private_bytes(Encoding.PEM, form, NoEncryption())
    return made


ROOT = authority("root", KEYS[0], days=(-1, 3650))
POLICY = authority("policy", KEYS[1], ("root", KEYS[0]), pathlen=1)
ISSUER = authority("issuer", KEYS[2], ("policy", KEYS[1]), pathlen=0, uri=f"spiffe://{TD}")


def data(chain: bytes, key: bytes, roots: bytes = pem(ROOT), **more: bytes) -> dict[str, bytes]:
    return {
        "ca.crt": roots,
        "tls.crt": chain,
        "tls.key": key,
        **{n.replace("_", "."): v for n, v in more.items()},
    }


OWN = authority("own", RSA)
GOOD = data(pem(ISSUER, POLICY), key_pem(KEYS[2]))


def proved(found: Given) -> None:
    assert found.authority is not None
    svid = new_svid(found.authority, WORKLOAD, NOW, timedelta(hours=1))
    verify_chain(svid.chain_der, {TD: TrustBundle(TD, found.roots_der)}, NOW)
    token = issue_jwt_svid(found.token_keys[0], WORKLOAD, ["x"], NOW, timedelta(minutes=5))
    keys = {TD: {one.key_id: one.key.public_key() for one in found.token_keys}}
    assert validate_jwt_svid(token, "x", keys, NOW)[0] == WORKLOAD


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (GOOD, 2),
        (data(pem(ISSUER, POLICY, ROOT), key_pem(KEYS[2])), 2),
        (data(pem(POLICY), key_pem(KEYS[1], PrivateFormat.TraditionalOpenSSL)), 1),
        (data(pem(ROOT), key_pem(KEYS[0])), 0),
        (data(pem(ROOT), key_pem(KEYS[0]), pem(POLICY, ROOT)), 0),
        (data(pem(OWN), key_pem(RSA), pem(OWN)), 0),
    ],
)
def test_what_can_sign_is_taken_as_it_is(given: dict[str, bytes], sent: int) -> None:
    found = read_given(given, TD, NOW)
    assert found.authority is not None
    assert len(found.authority.intermediates_der) == sent
    proved(found)


def test_an_rsa_issuer_below_an_rsa_root_signs() -> None:
    issuer = authority("issuer", RSA, ("root", KEYS[0]), pathlen=0)
    proved(read_given(data(pem(issuer), key_pem(RSA)), TD, NOW))


def test_every_replica_derives_the_same_key_for_tokens_and_it_changes_with_the_authority() -> None:
    one, again = (read_given(GOOD, TD, NOW).token_keys[0] for _ in range(2))
    assert one.key_id == again.key_id
    assert one.public == again.public
    other = read_given(data(pem(POLICY), key_pem(KEYS[1])), TD, NOW).token_keys[0]
    assert other.key_id != one.key_id


def test_keys_for_tokens_may_be_given_several_at_once() -> None:
    found = read_given({**GOOD, "jwt.key": key_pem(KEYS[3]) + key_pem(KEYS[0])}, TD, NOW)
    assert [one.key.private_numbers() for one in found.token_keys] == [
        KEYS[3].private_numbers(),
        KEYS[0].private_numbers(),
    ]
    proved(found)


def test_roots_alone_are_only_published() -> None:
    found = read_given({"ca.crt": pem(ROOT), "other": b"x"}, TD, NOW)
    assert found == Given((ROOT,))
    assert found.expires == ROOT.not_valid_after_utc


def test_what_expires_first_counts() -> None:
    policy = authority("policy", KEYS[1], ("root", KEYS[0]), days=(-1, 3))
    found = read_given(data(pem(ISSUER, policy), key_pem(KEYS[2])), TD, NOW)
    assert found.expires == NOW + timedelta(days=3)


def test_whether_anybody_gave_anything() -> None:
    assert is_given({"tls.key": b"x"})
    assert not is_given({"keyring.json": b"x", "tls.crt": b""})


BAD_URI = authority("issuer", KEYS[2], ("root", KEYS[0]), uri="spiffe://b.example")
NO_PATH = authority("policy", KEYS[1], ("root", KEYS[0]), pathlen=0)
FOREIGN = authority("other", KEYS[3])
CONSTRAINED = authority(
    "issuer",
    KEYS[2],
    ("root", KEYS[0]),
    more=[x509.NameConstraints([x509.UniformResourceIdentifier("b.example")], None)],
)
LEAF = authority("leaf", KEYS[2], ("root", KEYS[0]), ca=False)
SILENT = authority("issuer", KEYS[2], ("root", KEYS[0]), signs=False)
EXPIRED = authority("issuer", KEYS[2], ("root", KEYS[0]), days=(-9, -1))
EARLY = authority("issuer", KEYS[2], ("root", KEYS[0]), days=(1, 9))
KEY2 = key_pem(KEYS[2])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (data(pem(ISSUER, POLICY), key_pem(KEYS[1])), "tls.key: the key is not that of the certificate"),
        (data(pem(ISSUER, POLICY), b"x"), "tls.key: the key cannot be read"),
        (data(pem(ISSUER, POLICY), b""), "tls.key: the key for tls.crt is missing"),
        (data(b"", KEY2), "tls.crt: the certificate for tls.key is missing"),
        (data(b"x", KEY2), "tls.crt: there is no PEM block"),
        (data(pem(ISSUER, POLICY), KEY2, b""), "ca.crt: the roots are missing"),
        (data(pem(ISSUER, POLICY), KEY2, pem(FOREIGN)), 'tls.crt: no root in ca.crt signed "CN=policy"'),
        (data(pem(ISSUER), KEY2), 'tls.crt: no root in ca.crt signed "CN=issuer"'),
        (data(pem(ISSUER, FOREIGN), KEY2), '"CN=issuer" is not signed by the one after it, "CN=other"'),
        (data(pem(LEAF), KEY2), 'tls.crt: "CN=leaf" is not the certificate of an authority'),
        (data(pem(SILENT), KEY2), "keyCertSign is missing"),
        (data(pem(ISSUER, NO_PATH), KEY2), "its pathlen is 0, and 1 authorities come below it"),
        (data(pem(EXPIRED), KEY2), 'tls.crt: "CN=issuer" expired at 2026-05-31 12:00 UTC'),
        (data(pem(EARLY), KEY2), "is not valid before 2026-06-02"),
        (
            data(pem(BAD_URI), KEY2),
            "has the SPIFFE ID spiffe://b.example; it must be spiffe://a.example, or none",
        ),
        (data(pem(CONSTRAINED), KEY2), "peers would refuse what it signs"),
        (data(pem(authority("w", WEAK, ("root", KEYS[0]))), key_pem(WEAK)), "at least 2048 are needed"),
        (data(pem(*[ISSUER] * 17), KEY2), "at most 16 are read"),
        ({**GOOD, "jwt.key": key_pem(RSA)}, "jwt.key: EC keys on P-256 are needed"),
        ({**GOOD, "jwt.key": b"x"}, "jwt.key: EC keys on P-256 are needed"),
    ],
)
def test_what_cannot_sign_is_refused_with_the_file_and_the_reason(given: dict[str, bytes], told: str) -> None:
    with pytest.raises(KeyringInvalid) as refused:
        read_given(given, TD, NOW)
    assert told in str(refused.value)
