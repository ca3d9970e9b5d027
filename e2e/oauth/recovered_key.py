"""A key that verifies a JWT of which only the signature is known (SEC 1, section 4.1.6).

The identity provider of the conformance suite names a `jwks_uri` and serves nothing there. An ECDSA signature
determines two keys that verify it, so a test can publish one of them in the provider's place; that vouches for
this one token and for no other.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric import ec

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None


def key_that_verifies(token: str) -> ec.EllipticCurvePublicKey:
    """For a JWS in compact form by ES256, whose signature was made by somebody."""
    signed, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    digest = int.from_bytes(hashlib.sha256(signed.encode("ascii")).digest(), "big")
    y = pow((r**3 - 3 * r + B) % P, (P + 1) // 4, P)
    # Q = (s R - e G) / r, where R is one of the two points with x = r.
    inverse = pow(r, -1, N)
    found = _add(_times(s * inverse % N, (r, y)), _times(-digest * inverse % N, G))
    assert found is not None
    return ec.EllipticCurvePublicNumbers(*found, ec.SECP256R1()).public_key()


def _add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * (a[0] * a[0] - 1) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _add(point, point)
        factor >>= 1
    return total
