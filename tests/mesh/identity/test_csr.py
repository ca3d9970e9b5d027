from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mesh.identity.csr import check_csr, make_csr
from mesh.identity.errors import CsrInvalid
from mesh.identity.pem import CERTIFICATE_REQUEST, read_pem, write_pem

KEY = ec.generate_private_key(ec.SECP256R1())


def request(key: Any, digest: hashes.HashAlgorithm | None = None) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_the_key_of_a_request_is_found(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    assert check_csr(make_csr(key)).public_numbers() == key.public_key().public_numbers()


def test_our_requests_name_nothing() -> None:
    made = x509.load_der_x509_csr(read_pem(make_csr(KEY).encode())[0].der)
    assert not made.subject.rdns
    assert len(made.extensions) == 0


def test_a_request_signed_by_another_key_proves_nothing() -> None:
    made = read_pem(make_csr(KEY).encode())[0].der
    forged = bytearray(made)
    forged[-1] ^= 1
    with pytest.raises(CsrInvalid, match=r"not by its own key|cannot be read"):
        check_csr(write_pem(CERTIFICATE_REQUEST, bytes(forged)))


@pytest.mark.parametrize(
    ("pem", "complaint"),
    [
        ("", "it is empty"),
        ("\ud800", "no PEM block"),
        ("x" * 9000, "at most"),
        (write_pem("CERTIFICATE", b"a"), "exactly one block"),
        (make_csr(KEY) * 2, "exactly one block"),
        (write_pem(CERTIFICATE_REQUEST, b"a"), "cannot be read"),
        (request(rsa.generate_private_key(65537, 2048)), "P-256 or P-384"),
        (request(ec.generate_private_key(ec.SECP256K1())), "P-256 or P-384"),
        (request(ec.generate_private_key(ec.SECP521R1())), "P-256 or P-384"),
        (request(KEY, hashes.SHA224()), "must be signed with"),
    ],
)
def test_a_request_that_may_not_be_signed_is_refused(pem: str, complaint: str) -> None:
    with pytest.raises(CsrInvalid, match=complaint):
        check_csr(pem)
