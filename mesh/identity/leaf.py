"""What makes a certificate an X509-SVID: the rules for leaves, and for the certificates that sign them.

Path validation by itself accepts a certificate authority as a leaf and any number of URI names, so these
rules are checked apart. Source: SPIFFE X509-SVID specification, sections 2 to 5 and appendix A; RFC 5280,
4.2.1.6.
"""

from __future__ import annotations

from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mesh.identity.errors import PeerRefused, SpiffeIdInvalid
from mesh.identity.spiffe_id import SCHEME, SpiffeId
from mesh.reasons import Reason

MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)  # RFC 8446, 4.2.3

E = TypeVar("E", bound=x509.ExtensionType)


def check_leaf(certificate: x509.Certificate) -> SpiffeId:
    """Return the SPIFFE ID of an X509-SVID leaf; raises PeerRefused(PEER_BAD_LEAF) for the first broken rule.

    Nothing is proved by this: the ID counts only once the chain is verified. The certificate must come from
    `load_certificate`, which has read its extensions.
    """
    extensions = certificate.extensions
    identity = _single_spiffe_id(extensions, subject_is_empty=not certificate.subject.rdns)
    if not identity.path:
        raise _bad(f"{identity} names a trust domain, not a workload")
    _check_not_an_authority(extensions)
    _check_key(certificate)
    _check_key_usage(extensions)
    _check_extended_key_usage(extensions)
    return identity


def check_signer(certificate: x509.Certificate) -> None:
    """A certificate that signs SVIDs may have a SPIFFE ID, but then one without a path (X509-SVID, 3.2).

    Raises PeerRefused(PEER_UNTRUSTED). Its CA flag and key usage are the path validation's business.
    """
    names = _extension(certificate.extensions, x509.SubjectAlternativeName)
    if names is None:
        return
    for uri in names.value.get_values_for_type(x509.UniformResourceIdentifier):
        if uri.startswith(SCHEME) and "/" in uri[len(SCHEME) :]:
            raise PeerRefused(
                Reason.PEER_UNTRUSTED, f"a signing certificate has the identity of a workload, {uri}"
            )


def _single_spiffe_id(extensions: x509.Extensions, *, subject_is_empty: bool) -> SpiffeId:
    names = _extension(extensions, x509.SubjectAlternativeName)
    if names is None:
        raise _bad("the certificate has no subject alternative name")
    if subject_is_empty and not names.critical:
        raise _bad("the subject is empty, so the subject alternative name must be critical")
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise _bad(f"the certificate has {len(uris)} URI names, exactly one is allowed")
    try:
        return SpiffeId.parse(uris[0])
    except SpiffeIdInvalid as invalid:
        raise _bad(str(invalid)) from invalid


def _check_not_an_authority(extensions: x509.Extensions) -> None:
    constraints = _extension(extensions, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise _bad("the certificate is that of a certificate authority")


def _check_key(certificate: x509.Certificate) -> None:
    """Path validation measures the keys of signers only, and the TLS library's own bound is a build option."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as unreadable:
        raise _bad(f"the public key cannot be read: {unreadable}") from unreadable
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise _bad(f"an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} are needed")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, _CURVES):
            raise _bad(f"a key on the curve {key.curve.name}; TLS 1.3 has P-256, P-384 and P-521")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise _bad("the key is neither RSA nor ECDSA nor Ed25519")


def _check_key_usage(extensions: x509.Extensions) -> None:
    usage = _extension(extensions, x509.KeyUsage)
    if usage is None:
        raise _bad("the certificate has no key usage")
    if not usage.critical:
        raise _bad("the key usage is not critical")
    if not usage.value.digital_signature:
        raise _bad("the key usage lacks digitalSignature")
    if usage.value.key_cert_sign or usage.value.crl_sign:
        raise _bad("the key usage has keyCertSign or cRLSign, which only an authority may have")


def _check_extended_key_usage(extensions: x509.Extensions) -> None:
    usage = _extension(extensions, x509.ExtendedKeyUsage)
    if usage is None:
        return
    if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= set(usage.value):
        raise _bad("the extended key usage must have both serverAuth and clientAuth")


def _extension(extensions: x509.Extensions, kind: type[E]) -> x509.Extension[E] | None:
    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _bad(detail: str) -> PeerRefused:
    return PeerRefused(Reason.PEER_BAD_LEAF, detail)
