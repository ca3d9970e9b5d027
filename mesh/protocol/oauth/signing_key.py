"""A private key that signs tokens of our own, from PEM or JWK.

The key says which algorithm it signs with, by its type and curve (RFC 7518, section 3.1). Nothing symmetric is
read, so that a client secret cannot pass for a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mesh.identity.errors import JwtInvalid
from mesh.identity.jws import MIN_RSA_BITS, from_base64url, to_base64url
from mesh.protocol.strict_json import JsonRefused, parse

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_CURVES: dict[str, tuple[str, ec.EllipticCurve]] = {
    "P-256": ("ES256", ec.SECP256R1()),
    "P-384": ("ES384", ec.SECP384R1()),
    "P-521": ("ES512", ec.SECP521R1()),
}
_BY_CURVE = {curve.name: algorithm for algorithm, curve in _CURVES.values()}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_RSA_ALGORITHMS = frozenset(family + size for family in ("RS", "PS") for size in _HASHES)
_NAMES_IN_HEADER = ("kid", "x5t", "x5t#S256")
"""By what a header names the key: some servers know keys by their certificates (RFC 7515, section 4.1)."""


class KeyInvalid(ValueError):
    """The text is no private key that can sign; whoever wrote the Secret is at fault. Holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with the algorithm that it signs with, and by what names a header calls it."""

    key: PrivateKey = field(repr=False)
    algorithm: str
    names: Mapping[str, str] = field(default_factory=dict)

    def sign(self, claims: Mapping[str, Any], *, typ: str = "JWT") -> str:
        """A signed token in compact form with these claims."""
        header = {"alg": self.algorithm, "typ": typ, **self.names}
        signed = f"{_encoded(header)}.{_encoded(claims)}"
        return f"{signed}.{to_base64url(self._signature(signed.encode('ascii')))}"

    def _signature(self, data: bytes) -> bytes:
        digest = _HASHES[self.algorithm[2:]]
        if isinstance(self.key, rsa.RSAPrivateKey):
            pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
            return self.key.sign(data, pss if self.algorithm.startswith("PS") else padding.PKCS1v15(), digest)
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(digest)))
        size = (self.key.curve.key_size + 7) // 8
        return r.to_bytes(size) + s.to_bytes(size)


def read_signing_key(data: bytes) -> SigningKey:
    """Read PEM (PKCS #8, PKCS #1, SEC 1; not encrypted) or one JWK (RFC 7517). Raises KeyInvalid."""
    if data.lstrip()[:1] == b"{":
        return _from_jwk(data)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        raise KeyInvalid("the key is encrypted; the sidecar has no password for it") from None
    except (ValueError, UnsupportedAlgorithm):
        # Not as its cause: parsers may quote what they read.
        raise KeyInvalid("neither PEM of a private key nor a JWK") from None
    return _signing(key, {})


def _signing(key: object, jwk: Mapping[str, Any]) -> SigningKey:
    algorithm = jwk.get("alg")
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            raise KeyInvalid(f"an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} are needed")
        fitting = _RSA_ALGORITHMS
        chosen = "RS256"
    elif isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _BY_CURVE:
        chosen = _BY_CURVE[key.curve.name]
        fitting = frozenset((chosen,))
    else:
        raise KeyInvalid("neither an RSA key nor one of the curves P-256, P-384 and P-521")
    if algorithm is not None and str(algorithm) not in fitting:
        raise KeyInvalid("alg of the JWK is none for a key of its type")
    names = {name: jwk[name] for name in _NAMES_IN_HEADER if name in jwk}
    if not all(isinstance(name, str) for name in names.values()):
        raise KeyInvalid("kid, x5t or x5t#S256 of the JWK is no text")
    return SigningKey(key, algorithm or chosen, names)


def _from_jwk(data: bytes) -> SigningKey:
    try:
        jwk = parse(data, max_depth=8).value
    except JsonRefused as refused:
        raise KeyInvalid(f"a JWK that cannot be read ({refused.reason})") from None
    if "keys" in jwk:
        raise KeyInvalid("a set of keys; write the one key that signs")
    readers = {"RSA": _rsa, "EC": _ec}
    reader = readers.get(jwk["kty"]) if isinstance(jwk.get("kty"), str) else None
    if reader is None:
        raise KeyInvalid("kty of the JWK is neither RSA nor EC")
    try:
        key = reader(jwk)
    except KeyInvalid:
        raise
    except (ValueError, ArithmeticError, UnsupportedAlgorithm):
        raise KeyInvalid("a JWK whose numbers make no private key") from None
    return _signing(key, jwk)


def _rsa(jwk: Mapping[str, Any]) -> rsa.RSAPrivateKey:
    """RFC 7518, section 6.3. The primes are found again where they are left out."""
    n, e, d = (_number(jwk, name) for name in ("n", "e", "d"))
    if "p" in jwk:
        p, q = _number(jwk, "p"), _number(jwk, "q")
    elif pow(pow(2, e, n), d, n) == 2:
        p, q = rsa.rsa_recover_prime_factors(n, e, d)
    else:
        # The search for primes that are not there would take seconds.
        raise KeyInvalid("a JWK whose numbers make no private key")
    numbers = rsa.RSAPrivateNumbers(
        p,
        q,
        d,
        rsa.rsa_crt_dmp1(d, p),
        rsa.rsa_crt_dmq1(d, q),
        rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(e, n),
    )
    return numbers.private_key()


def _ec(jwk: Mapping[str, Any]) -> ec.EllipticCurvePrivateKey:
    """RFC 7518, section 6.2. The public point is checked against the private number."""
    named = _CURVES.get(jwk["crv"]) if isinstance(jwk.get("crv"), str) else None
    if named is None:
        raise KeyInvalid("crv of the JWK is none of P-256, P-384 and P-521")
    x, y, d = (_number(jwk, name) for name in ("x", "y", "d"))
    return ec.EllipticCurvePrivateNumbers(d, ec.EllipticCurvePublicNumbers(x, y, named[1])).private_key()


def _number(jwk: Mapping[str, Any], name: str) -> int:
    if not isinstance(jwk.get(name), str):
        raise KeyInvalid(f"{name} of the JWK is missing: a private key is needed")
    try:
        return int.from_bytes(from_base64url(jwk[name]))
    except JwtInvalid:
        raise KeyInvalid(f"{name} of the JWK is no base64url") from None


def _encoded(value: Mapping[str, Any]) -> str:
    return to_base64url(msgspec.json.encode(value))
