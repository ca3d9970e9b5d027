"""Certificate requests (PKCS #10, RFC 2986): a public key, and the proof that the caller holds its private key.

Only the key is taken from a request. Names and extensions in it are what the caller would like to be; who it is
comes from how it authenticates.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.identity.certificate import MALFORMED
from mesh.identity.errors import CsrInvalid, PemInvalid
from mesh.identity.pem import CERTIFICATE_REQUEST, read_pem, write_pem

MAX_CSR_BYTES = 8192
_CURVES = frozenset({"secp256r1", "secp384r1"})
_DIGESTS = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


def make_csr(key: ec.EllipticCurvePrivateKey) -> str:
    """A request for `key` that asks for no name at all (PEM)."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return write_pem(CERTIFICATE_REQUEST, request.public_bytes(Encoding.DER))


def check_csr(pem: str) -> ec.EllipticCurvePublicKey:
    """The key to certify; raises CsrInvalid for a malformed request, a weak key or a missing proof."""
    request = _read(pem)
    try:
        key = request.public_key()
        digest = request.signature_hash_algorithm
        proved = request.is_signature_valid
    except (*MALFORMED, UnsupportedAlgorithm) as malformed:
        raise CsrInvalid(f"the key of the request cannot be read: {malformed}") from malformed
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise CsrInvalid("the key must be an elliptic curve key on P-256 or P-384")
    if not isinstance(digest, _DIGESTS):
        raise CsrInvalid("the request must be signed with SHA-256, SHA-384 or SHA-512")
    if not proved:
        raise CsrInvalid("the signature of the request is not by its own key")
    return key


def _read(pem: str) -> x509.CertificateSigningRequest:
    if len(pem) > MAX_CSR_BYTES:
        raise CsrInvalid(f"the request has {len(pem)} bytes, at most {MAX_CSR_BYTES} are read")
    try:
        blocks = read_pem(pem.encode("utf-8", "surrogatepass"))
    except PemInvalid as malformed:
        raise CsrInvalid(f"the request cannot be read: {malformed}") from malformed
    if len(blocks) != 1 or blocks[0].label != CERTIFICATE_REQUEST:
        raise CsrInvalid(f"exactly one block, a {CERTIFICATE_REQUEST}, is expected")
    try:
        return x509.load_der_x509_csr(blocks[0].der)
    except MALFORMED as malformed:
        raise CsrInvalid(f"the request cannot be read: {malformed}") from malformed
