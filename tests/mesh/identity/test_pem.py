from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from mesh.identity.errors import PemInvalid
from mesh.identity.pem import (
    CERTIFICATE,
    PRIVATE_KEY,
    certificates_of,
    private_key_of,
    read_certificates,
    read_pem,
    write_pem,
)

KEY = ec.generate_private_key(ec.SECP256R1())
PKCS8 = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_blocks_read_back_in_order() -> None:
    text = write_pem(CERTIFICATE, b"one", b"two" * 100).encode()
    assert read_certificates(text) == (b"one", b"two" * 100)


def test_text_between_blocks_and_windows_line_ends_are_fine() -> None:
    text = "subject=x\n" + write_pem(CERTIFICATE, b"one") + "\n# more\n" + write_pem(CERTIFICATE, b"two")
    assert read_certificates(text.replace("\n", "\r\n").encode()) == (b"one", b"two")


def test_no_prefix_of_a_bundle_is_read_as_a_smaller_bundle(forge: Callable[..., bytes]) -> None:
    text = write_pem(CERTIFICATE, forge()).encode()
    for cut in range(1, len(text) - 1):
        with pytest.raises(PemInvalid):
            read_pem(text + text[:cut])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"hello", "no PEM block"),
        (b"-----BEGIN CERTIFICATE-----\nYQ==\n", "1 PEM blocks begin and 0"),
        (b"-----BEGIN CERTIFICATE-----\nYQ==\n-----END PRIVATE KEY-----\n", "1 PEM blocks begin and 0"),
        (b"-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\nYQ==\n-----END X-----\n", "begin and 0"),
        (b"-----BEGIN X-----\nYQ=\n-----END X-----\n", "no base64"),
        (b"-----BEGIN X-----\n-----END X-----\n", "is empty"),
        (b"-" * (1024 * 1024 + 1), "at most"),
    ],
)
def test_what_is_not_whole_is_refused(text: bytes, complaint: str) -> None:
    with pytest.raises(PemInvalid, match=complaint):
        read_pem(text)


def test_only_certificates_belong_into_a_bundle() -> None:
    with pytest.raises(PemInvalid, match="a block is PRIVATE KEY"):
        read_certificates((write_pem(CERTIFICATE, b"a") + write_pem(PRIVATE_KEY, b"b")).encode())


def test_key_and_chain_may_share_a_file() -> None:
    blocks = read_pem((write_pem(PRIVATE_KEY, PKCS8) + write_pem(CERTIFICATE, b"a", b"b")).encode())
    assert private_key_of(blocks) == PKCS8
    assert certificates_of(blocks) == (b"a", b"b")


@pytest.mark.parametrize("key", [KEY, rsa.generate_private_key(65537, 2048)])
def test_older_forms_of_keys_become_pkcs8(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    read = load_der_private_key(private_key_of(read_pem(text)), None)
    assert read.private_numbers() == key.private_numbers()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (write_pem(CERTIFICATE, b"a"), "0 private keys"),
        (write_pem(PRIVATE_KEY, b"a", b"b"), "2 private keys"),
        (write_pem("EC PRIVATE KEY", b"a"), "cannot be read"),
        (
            KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode(),
            "without a password",
        ),
    ],
)
def test_a_key_that_cannot_be_used_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(PemInvalid, match=complaint):
        private_key_of(read_pem(text.encode()))
