from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.identity.authorities import MAX_AUTHORITIES_BYTES, read_authorities
from mesh.identity.ca import make_authority
from mesh.identity.errors import IdentityInvalid
from mesh.identity.pem import CERTIFICATE, write_pem

NOW = datetime.now(UTC)
ONE, OTHER = (
    write_pem(CERTIFICATE, make_authority(name, NOW, timedelta(days=1)).der) for name in ("a.test", "b.test")
)
KEY = ec.generate_private_key(ec.SECP256R1())


def key_text(form: PrivateFormat) -> str:
    return KEY.private_bytes(Encoding.PEM, form, NoEncryption()).decode("ascii")


def test_certificates_are_kept_in_order_and_once_and_comments_left_out() -> None:
    text = f"# Büro $(HOME)\n{ONE}\nsubject=CN=b\n{OTHER}{ONE}".replace("\n", "\r\n")
    assert read_authorities(text) == ONE + OTHER
    assert read_authorities(ONE + OTHER) == ONE + OTHER


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("before", ["", ONE])
def test_a_private_key_is_refused_and_not_told(form: PrivateFormat, before: str) -> None:
    key = key_text(form)
    with pytest.raises(IdentityInvalid, match="it holds a private key, and everybody") as caught:
        read_authorities(before + key)
    assert key.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it is empty"),
        ("ca.crt", "there is no PEM block"),
        (ONE + OTHER[:-40], "2 PEM blocks begin and 1"),
        ("\ud800", "there is no PEM block"),
        (write_pem("X509 CRL", b"x"), "only CERTIFICATE belongs here"),
        (ONE + write_pem(CERTIFICATE, b"no certificate"), "certificate 2 cannot be read"),
    ],
)
def test_what_is_no_certificate_is_refused_with_its_cause(text: str, complaint: str) -> None:
    with pytest.raises(IdentityInvalid, match=complaint):
        read_authorities(text)


def test_they_are_bounded() -> None:
    fill = "#" * (MAX_AUTHORITIES_BYTES - len(ONE) - 1) + "\n"
    assert read_authorities(fill + ONE) == ONE
    with pytest.raises(IdentityInvalid, match="65537 bytes, at most 65536"):
        read_authorities("#" + fill + ONE)


def test_a_root_whose_serial_number_is_0_is_taken(forge: Callable[..., bytes]) -> None:
    """Such roots are in use, and OpenSSL takes them."""
    der = _with_serial_number_0(forge())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_authorities(write_pem(CERTIFICATE, der)) == write_pem(CERTIFICATE, der)


def _with_serial_number_0(der: bytes) -> bytes:
    certificate = x509.load_der_x509_certificate(der)
    number = certificate.serial_number.to_bytes((certificate.serial_number.bit_length() + 8) // 8, "big")
    field = bytes([2, len(number)]) + number
    assert der.count(field) == 1
    der = bytearray(der.replace(field, b"\x02\x01\x00"))
    for at in (2, 6):  # the lengths of the certificate and of what is signed
        der[at : at + 2] = (int.from_bytes(der[at : at + 2], "big") - len(number) + 1).to_bytes(2, "big")
    return bytes(der)


def test_a_certificate_that_is_not_self_signed_is_taken() -> None:
    root = make_authority("a.test", NOW, timedelta(days=1))
    middle = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(root.certificate.subject)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(root.key, hashes.SHA256())
    )
    pem = middle.public_bytes(Encoding.PEM).decode("ascii")
    assert read_authorities(pem) == pem
