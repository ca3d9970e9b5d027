"""The keyring as the Secret holds it: one document under one key, so that it is there as a whole or not at all.

    keyring.json   roots, issuers and token keys, each with its dates; certificates and keys as PEM

Reading checks everything that signing relies on, because people can edit a Secret: what is wrong is said, and
nothing of it is used. Writing and reading again gives an equal keyring.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_public_key,
)

from mesh.identity.ca import Authority, SigningKey
from mesh.identity.certificate import load_certificate
from mesh.identity.errors import IdentityInvalid
from mesh.identity.jws import PublicKey
from mesh.identity.jwt_svid import JwtKey
from mesh.identity.pem import (
    CERTIFICATE,
    PRIVATE_KEY,
    private_key_of,
    read_certificates,
    read_pem,
    write_pem,
)
from webhook.identity.keyring.values import Issuer, Keyring, Root, TokenKey

KEYRING_KEY: Final = "keyring.json"
FORMAT: Final = 1
_UNUSABLE = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature)


class KeyringInvalid(Exception):
    """What the Secret holds cannot be used; whoever edited it is at fault. Says which part, and never a key."""


class _Root(msgspec.Struct, rename="camel", omit_defaults=True):
    certificate: str
    begins: datetime
    key: str = ""
    until: datetime | None = None


class _Issuer(msgspec.Struct, rename="camel"):
    certificate: str
    key: str
    begins: datetime


class _TokenKey(msgspec.Struct, rename="camel", omit_defaults=True):
    key_id: str
    public: str
    begins: datetime
    key: str = ""
    until: datetime | None = None


class _Keyring(msgspec.Struct, rename="camel"):
    format: int
    trust_domain: str
    sequence: int
    roots: list[_Root]
    issuers: list[_Issuer]
    token_keys: list[_TokenKey]
    bridges: list[str] = []
    rotated: str = ""
    replaced: str = ""


def write_keyring(keyring: Keyring) -> bytes:
    """The document."""
    roots = [_Root(_pem(one.certificate), one.begins, _key_pem(one.key), one.until) for one in keyring.roots]
    issuers = [
        _Issuer(_pem(one.authority.certificate), _key_pem(one.authority.key), one.begins)
        for one in keyring.issuers
    ]
    token_keys = [
        _TokenKey(
            one.key_id,
            _public_pem(one.public),
            one.begins,
            _key_pem(one.key.key if one.key else None),
            one.until,
        )
        for one in keyring.token_keys
    ]
    bridges = [write_pem(CERTIFICATE, der) for der in keyring.bridges]
    document = _Keyring(
        FORMAT,
        keyring.trust_domain,
        keyring.sequence,
        roots,
        issuers,
        token_keys,
        bridges,
        keyring.rotated,
        keyring.replaced,
    )
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def read_keyring(data: bytes, trust_domain: str) -> Keyring:
    """The inverse; raises KeyringInvalid."""
    try:
        document = msgspec.json.decode(data, type=_Keyring)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as malformed:
        raise KeyringInvalid(f"{KEYRING_KEY}: {malformed}") from malformed
    if document.format != FORMAT:
        raise KeyringInvalid(f"{KEYRING_KEY}: format {document.format}; this release knows {FORMAT}")
    if document.trust_domain != trust_domain:
        raise KeyringInvalid(
            f"{KEYRING_KEY}: it is of the trust domain {document.trust_domain}, not of {trust_domain}"
        )
    if not (document.roots and document.issuers and document.token_keys):
        raise KeyringInvalid(f"{KEYRING_KEY}: roots, issuers and tokenKeys must each hold something")
    roots = tuple(_root(one, f"roots[{place}]") for place, one in enumerate(document.roots))
    issuers = [_issuer(one, trust_domain, f"issuers[{n}]") for n, one in enumerate(document.issuers)]
    for place, issuer in enumerate(issuers):
        if not any(_signed_by(issuer.authority.certificate, root.certificate) for root in roots):
            raise KeyringInvalid(f"issuers[{place}]: no root signed it")
    token_keys = tuple(_token_key(one, f"tokenKeys[{n}]") for n, one in enumerate(document.token_keys))
    if not any(one.key for one in token_keys):
        raise KeyringInvalid("tokenKeys: none has a key to sign with")
    bridges = tuple(_der(one, f"bridges[{place}]") for place, one in enumerate(document.bridges))
    return Keyring(
        trust_domain,
        roots,
        tuple(issuers),
        token_keys,
        document.sequence,
        bridges,
        document.rotated,
        document.replaced,
    )


def read_signing_key(text: str, certificate: x509.Certificate, where: str) -> SigningKey:
    """The key (PEM) of a certificate; raises KeyringInvalid."""
    key = read_private_key(text, where)
    if key.public_key() != certificate.public_key():
        raise KeyringInvalid(f"{where}: the key is not that of the certificate")
    return key


def read_private_key(text: str, where: str) -> SigningKey:
    """A key (PEM, without a password), EC or RSA; raises KeyringInvalid."""
    try:
        key = load_der_private_key(private_key_of(read_pem(text.encode("utf-8", "surrogatepass"))), None)
    except (*_UNUSABLE, IdentityInvalid) as unusable:
        raise KeyringInvalid(f"{where}: the key cannot be read: {unusable}") from unusable
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KeyringInvalid(f"{where}: the key is neither EC nor RSA")
    return key


def _root(one: _Root, where: str) -> Root:
    certificate = _certificate(one.certificate, where)
    if not _signed_by(certificate, certificate):
        raise KeyringInvalid(f"{where}: it is not signed by itself")
    key = read_signing_key(one.key, certificate, where) if one.key else None
    return Root(certificate, _aware(one.begins, where), key, one.until and _aware(one.until, where))


def _issuer(one: _Issuer, trust_domain: str, where: str) -> Issuer:
    certificate = _certificate(one.certificate, where)
    key = read_signing_key(one.key, certificate, where)
    chain = (certificate.public_bytes(Encoding.DER),)
    return Issuer(Authority(trust_domain, certificate, key, chain), _aware(one.begins, where))


def _token_key(one: _TokenKey, where: str) -> TokenKey:
    try:
        public = load_pem_public_key(one.public.encode("utf-8", "surrogatepass"))
    except _UNUSABLE as unusable:
        raise KeyringInvalid(f"{where}: the public key cannot be read: {unusable}") from unusable
    if not isinstance(public, PublicKey) or not one.key_id:
        raise KeyringInvalid(f"{where}: a name and an EC or RSA key are needed")
    key = None
    if one.key:
        private = read_private_key(one.key, where)
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != public:
            raise KeyringInvalid(f"{where}: the key is not an EC key, or not that of the public one")
        key = JwtKey(one.key_id, private)
    return TokenKey(
        one.key_id, public, _aware(one.begins, where), key, one.until and _aware(one.until, where)
    )


def _certificate(text: str, where: str) -> x509.Certificate:
    certificate = load_certificate(_der(text, where))
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if not is_authority:
        raise KeyringInvalid(f"{where}: it is not the certificate of an authority")
    return certificate


def _der(text: str, where: str) -> bytes:
    try:
        (der,) = read_certificates(text.encode("utf-8", "surrogatepass"))
        load_certificate(der)
    except ValueError as unusable:  # IdentityInvalid is one; so is a number of certificates other than one
        raise KeyringInvalid(f"{where}: one certificate in PEM is needed: {unusable}") from unusable
    return der


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except _UNUSABLE:
        return False
    return True


def _aware(moment: datetime, where: str) -> datetime:
    if moment.tzinfo is None:
        raise KeyringInvalid(f"{where}: a date without its time zone")
    return moment


def _pem(certificate: x509.Certificate) -> str:
    return write_pem(CERTIFICATE, certificate.public_bytes(Encoding.DER))


def _key_pem(key: SigningKey | None) -> str:
    if key is None:
        return ""
    return write_pem(PRIVATE_KEY, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def _public_pem(key: PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
