"""PEM text (RFC 7468), read whole or not at all.

Files are caught while they are being written: the usual readers take what is complete and say nothing of a
block that is not, and a bundle that lost its last authority refuses peers. So a block without its end is a fault
here. Text between blocks is allowed, headers inside them are not.
"""

from __future__ import annotations

import base64
import binascii
import re
import textwrap
from collections.abc import Iterable
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from mesh.identity.errors import PemInvalid

CERTIFICATE = "CERTIFICATE"
PRIVATE_KEY = "PRIVATE KEY"
CERTIFICATE_REQUEST = "CERTIFICATE REQUEST"

MAX_PEM_BYTES = 1024 * 1024

_BEGIN = b"-----BEGIN "
# No dash can be inside a block, so each block is looked at once however it is malformed.
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]*)-----END \1-----")
_OLD_KEYS = ("EC PRIVATE KEY", "RSA PRIVATE KEY")


class Block(NamedTuple):
    """One block: what it says it is, and its contents."""

    label: str
    der: bytes


def read_pem(text: bytes) -> tuple[Block, ...]:
    """Every block of `text`, in order; raises PemInvalid when there is none or one is not complete."""
    if len(text) > MAX_PEM_BYTES:
        raise PemInvalid(f"{len(text)} bytes, at most {MAX_PEM_BYTES} are read")
    matches = tuple(_BLOCK.finditer(text))
    begun, whole = text.count(_BEGIN), len(matches)
    if begun != whole:
        raise PemInvalid(f"{begun} PEM blocks begin and {whole} are well formed and complete")
    if matches and text[matches[-1].end() :].lstrip().startswith(b"-"):
        raise PemInvalid(f"after {whole} PEM blocks the beginning of another is cut short")
    blocks = tuple(map(_block, matches))
    if not blocks:
        raise PemInvalid("there is no PEM block" if text.strip() else "it is empty")
    return blocks


def read_certificates(text: bytes) -> tuple[bytes, ...]:
    """The certificates (DER) of `text`, which holds nothing else; raises PemInvalid."""
    blocks = read_pem(text)
    for block in blocks:
        if block.label != CERTIFICATE:
            raise PemInvalid(f"a block is {block.label}, only {CERTIFICATE} belongs here")
    return tuple(block.der for block in blocks)


def certificates_of(blocks: Iterable[Block]) -> tuple[bytes, ...]:
    """The certificates (DER) among `blocks`."""
    return tuple(block.der for block in blocks if block.label == CERTIFICATE)


def private_key_of(blocks: Iterable[Block]) -> bytes:
    """The one private key among `blocks` as PKCS #8 DER; raises PemInvalid.

    The older EC and RSA forms are turned into PKCS #8. An encrypted key is of no use: nobody has its password.
    """
    keys = [block for block in blocks if block.label.endswith(PRIVATE_KEY)]
    if len(keys) != 1:
        raise PemInvalid(f"{len(keys)} private keys, exactly one is needed")
    (key,) = keys
    if key.label == PRIVATE_KEY:
        return key.der
    if key.label not in _OLD_KEYS:
        raise PemInvalid(f"a block is {key.label}, the key must be a {PRIVATE_KEY} without a password")
    return _as_pkcs8(key.der)


def write_pem(label: str, *ders: bytes) -> str:
    """One block for each of `ders`."""
    return "".join(map(_text, (label,) * len(ders), ders))


def _block(match: re.Match[bytes]) -> Block:
    label, body = match[1].decode("ascii"), b"".join(match[2].split())
    try:
        der = base64.b64decode(body, validate=True)
    except binascii.Error as malformed:
        raise PemInvalid(f"a block {label} is no base64: {malformed}") from malformed
    if not der:
        raise PemInvalid(f"a block {label} is empty")
    return Block(label, der)


def _as_pkcs8(der: bytes) -> bytes:
    try:
        key = load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as malformed:
        raise PemInvalid(f"the private key cannot be read: {malformed}") from malformed
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _text(label: str, der: bytes) -> str:
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"
