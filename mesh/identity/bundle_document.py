"""A trust domain's keys as a document: JWKS with SPIFFE's two uses.

Source: SPIFFE Trust Domain and Bundle, sections 4 and 5; RFC 7517; RFC 7518, section 6. The document never says
of which trust domain it is: whoever fetched it knows, and a name in the document would only be a claim.
Elements with an unknown type or use are ignored, as the specification demands; what has a known use must be right.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mesh.identity.bundle import TrustBundle
from mesh.identity.certificate import load_certificate
from mesh.identity.errors import BundleInvalid, JwtInvalid
from mesh.identity.jws import PublicKey, from_base64url, to_base64url

X509_USE = "x509-svid"
JWT_USE = "jwt-svid"
MAX_NUMBER = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exactly (RFC 7493, 2.2)."""

_CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_CURVE_NAMES = {curve.name: name for name, curve in _CURVES.items()}


@dataclass(frozen=True, slots=True)
class BundleDocument:
    """Authorities of a trust domain: X.509 ones inside `x509`, JWT ones by key identifier.

    `refresh_hint`: seconds after which to look again; None: the document does not say.
    """

    x509: TrustBundle
    jwt_keys: Mapping[str, PublicKey] = field(default_factory=dict, repr=False)
    sequence: int | None = None
    refresh_hint: int | None = None


def read_bundle_document(trust_domain: str, document: bytes) -> BundleDocument:
    """Read the document of `trust_domain`; raises BundleInvalid, or SpiffeIdInvalid for the name."""
    try:
        return bundle_from_object(trust_domain, msgspec.json.decode(document))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as malformed:
        raise BundleInvalid(f"bundle of {trust_domain}: no JSON: {malformed}") from malformed


def bundle_from_object(trust_domain: str, value: object) -> BundleDocument:
    """The same for a document whose JSON is read already."""
    fault = f"bundle of {trust_domain}:"
    if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
        raise BundleInvalid(f"{fault} not a JWKS document, which is an object with a list `keys`")
    authorities: list[bytes] = []
    keys: dict[str, PublicKey] = {}
    for jwk in value["keys"]:
        if not isinstance(jwk, dict):
            raise BundleInvalid(f"{fault} an element of keys is no object")
        if jwk.get("use") == X509_USE:
            authorities.append(_authority(jwk, fault))
        elif jwk.get("use") == JWT_USE:
            _keep_jwt_key(keys, jwk, fault)
    sequence, hint = (_whole(value, name, fault) for name in ("spiffe_sequence", "spiffe_refresh_hint"))
    return BundleDocument(TrustBundle(trust_domain, tuple(authorities)), keys, sequence, hint)


def bundle_to_object(bundle: BundleDocument) -> dict[str, Any]:
    """The document as a JSON value. Raises ValueError for an authority whose key is neither EC nor RSA."""
    keys = [_x509_jwk(certificate) for certificate in bundle.x509.authorities_der]
    keys += [jwk_of(key, use=JWT_USE, kid=name) for name, key in bundle.jwt_keys.items()]
    document: dict[str, Any] = {"keys": keys}
    if bundle.sequence is not None:
        document["spiffe_sequence"] = bundle.sequence
    if bundle.refresh_hint is not None:
        document["spiffe_refresh_hint"] = bundle.refresh_hint
    return document


def write_jwks(keys: Mapping[str, PublicKey]) -> bytes:
    """JWT authorities alone, by identifier, as the Workload API sends them."""
    return msgspec.json.encode({"keys": [jwk_of(key, use=JWT_USE, kid=name) for name, key in keys.items()]})


def jwk_of(key: PublicKey, **members: str) -> dict[str, str]:
    """A public key as JWK, with further members such as `use` and `kid`."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e), **members}
    size = (key.curve.key_size + 7) // 8
    point = key.public_numbers()
    x, y = (to_base64url(number.to_bytes(size)) for number in (point.x, point.y))
    return {"kty": "EC", "crv": _CURVE_NAMES[key.curve.name], "x": x, "y": y, **members}


def key_of(jwk: Mapping[str, Any]) -> PublicKey | None:
    """The public key of a JWK, None for a type or curve that is not known here.

    Raises ValueError (JwtInvalid is one) for a malformed one.
    """
    if jwk.get("kty") == "RSA":
        n, e = (int.from_bytes(from_base64url(_text(jwk, name))) for name in ("n", "e"))
        return rsa.RSAPublicNumbers(e, n).public_key()
    curve = _CURVES.get(str(jwk.get("crv")))
    if jwk.get("kty") != "EC" or curve is None:
        return None
    x, y = (int.from_bytes(from_base64url(_text(jwk, name))) for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()


def jwt_keys_of(elements: Sequence[object]) -> dict[str, PublicKey]:
    """The keys of a plain JWKS by identifier, whatever their use; others are left out.

    For issuers that are no SPIFFE trust domain. Raises JwtInvalid for a malformed key.
    """
    found: dict[str, PublicKey] = {}
    for jwk in elements:
        if isinstance(jwk, dict) and isinstance(kid := jwk.get("kid"), str):
            try:
                key = key_of(jwk)
            except ValueError as malformed:
                raise JwtInvalid(f"key {kid!r} cannot be read: {malformed}") from malformed
            if key is not None:
                found[kid] = key
    return found


def _authority(jwk: Mapping[str, Any], fault: str) -> bytes:
    chain = jwk.get("x5c")
    if not isinstance(chain, list) or len(chain) != 1 or not isinstance(chain[0], str):
        raise BundleInvalid(f"{fault} a key with use {X509_USE} must have exactly one certificate in x5c")
    try:
        return base64.b64decode(chain[0], validate=True)
    except (binascii.Error, ValueError) as malformed:
        raise BundleInvalid(f"{fault} x5c is no base64: {malformed}") from malformed


def _keep_jwt_key(keys: dict[str, PublicKey], jwk: Mapping[str, Any], fault: str) -> None:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not kid:
        raise BundleInvalid(f"{fault} a key with use {JWT_USE} must have a kid")
    if kid in keys:
        raise BundleInvalid(f"{fault} two keys with use {JWT_USE} have the kid {kid!r}")
    try:
        key = key_of(jwk)
    except ValueError as malformed:
        raise BundleInvalid(f"{fault} the key {kid!r} cannot be read: {malformed}") from malformed
    if key is not None:
        keys[kid] = key


def _x509_jwk(certificate_der: bytes) -> dict[str, Any]:
    key = load_certificate(certificate_der).public_key()
    if not isinstance(key, PublicKey):
        raise ValueError(f"an authority's key is a {type(key).__name__}, which has no JWK here")
    x5c = [base64.b64encode(certificate_der).decode("ascii")]
    return {**jwk_of(key, use=X509_USE), "x5c": x5c}


def _text(jwk: Mapping[str, Any], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise JwtInvalid(f"{name} is missing")
    return value


def _integer(value: int) -> str:
    return to_base64url(value.to_bytes((value.bit_length() + 7) // 8))


def _whole(value: Mapping[str, Any], name: str, fault: str) -> int | None:
    number = value.get(name)
    if number is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MAX_NUMBER:
        raise BundleInvalid(f"{fault} {name} is no whole number")
    return number
