"""Certificates that must not open a connection: one table, for the verification alone and for both handshakes.

Each row has one flaw, the reason it is refused with, and a good twin: the same without the flaw, which passes.
So a row cannot be refused for something that its name does not say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519

from mesh.identity.ca import Authority
from mesh.reasons import Reason
from tests.support.forge import WORKLOAD, alternative_names, key_usage
from tests.support.workshop import DAY, FEDERATED, HOUR, OURS, UNKNOWN, Presented, Workshop

UNTRUSTED, BAD_LEAF, EXPIRED = Reason.PEER_UNTRUSTED, Reason.PEER_BAD_LEAF, Reason.PEER_EXPIRED
# RFC 8017, appendix A.2: object identifiers of the same length.
SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
SHA1_WITH_RSA = bytes.fromhex("06092a864886f70d010105")


Make = Callable[[Workshop], Presented]


@dataclass(frozen=True)
class Row:
    """One flaw.

    reason     what the verification refuses it with
    complaint  what its sentence says
    handshake  the reason in a handshake, where the TLS library notices first and says something else
    in_tls     whether TLS 1.3, as OpenSSL speaks it, can show this certificate at all
    """

    name: str
    reason: Reason
    complaint: str
    bad: Make
    good: Make = Workshop.leaf
    handshake: Reason | None = None
    in_tls: bool = True


def _shape(
    name: str, complaint: str, good: dict[str, Any] | None = None, *, in_tls: bool = True, **bad: Any
) -> Row:
    """A leaf of ours that breaks a rule for leaves."""
    return Row(
        name, BAD_LEAF, complaint, lambda w: w.leaf(**bad), lambda w: w.leaf(**(good or {})), in_tls=in_tls
    )


def _uri(name: str, uri: str, complaint: str) -> Row:
    """A leaf of ours whose only flaw is the text of its SPIFFE ID."""
    return _shape(name, complaint, uris=(uri,))


def _twice(extension: x509.ExtensionType, critical: bool = True) -> dict[str, Any]:
    return {"more": ((extension, critical),)}


def _signer_named(signer: Authority) -> dict[str, Any]:
    """Which of several authorities of one name signed; without it the TLS library tries one of them only."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return {"more": ((identifier, False),)}


def _constrained(w: Workshop, domain: str) -> Presented:
    names = [x509.UniformResourceIdentifier(domain)]
    constraint = x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None)
    return w.leaf(w.below(more=((constraint, True),)))


def _too_long(w: Workshop, depth: int | None) -> Presented:
    limit = x509.BasicConstraints(ca=True, path_length=depth)
    upper = w.below(ca=None, more=((limit, True),))
    return w.leaf(w.below(upper, subject="lower"))


def _without_intermediate(w: Workshop) -> Presented:
    shown = w.leaf(w.below())
    return Presented(shown.chain[:1], shown.key)


def _authority_as_leaf(w: Workshop) -> Presented:
    middle = w.below()
    return Presented(middle.intermediates_der, middle.key)


def _strange(critical: bool) -> dict[str, Any]:
    private = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
    return {"more": ((private, critical),)}


def _rsa(bits: int) -> Make:
    return lambda w: w.leaf(key=rsa.generate_private_key(65537, bits))


def _under_rsa(bits: int) -> Make:
    return lambda w: w.leaf(w.below(key=rsa.generate_private_key(65537, bits)))


def _sha1(w: Workshop) -> Presented:
    """The library does not sign certificates with SHA-1, so the name of the digest is replaced afterwards."""
    signer = w.below(key=rsa.generate_private_key(65537, 2048))
    leaf, *rest = w.leaf(signer).chain
    weak = leaf.replace(SHA256_WITH_RSA, SHA1_WITH_RSA)
    signed = x509.load_der_x509_certificate(weak).tbs_certificate_bytes
    key: Any = signer.key
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - weak is the point
    return Presented((weak[: -len(signature)] + signature, *rest), w.key)


VALIDITY = (
    Row("expired", EXPIRED, "expired at", lambda w: w.leaf(not_before=-DAY, not_after=-HOUR)),
    Row("not valid yet", EXPIRED, "not valid before", lambda w: w.leaf(not_before=HOUR, not_after=DAY)),
    Row(
        "authority expired",
        UNTRUSTED,
        "does not chain",
        lambda w: w.leaf(w.retired, **_signer_named(w.retired)),
        lambda w: w.leaf(**_signer_named(w.ours)),
        handshake=EXPIRED,
    ),
    Row(
        "intermediate expired",
        UNTRUSTED,
        "does not chain",
        lambda w: w.leaf(w.below(not_before=-DAY, not_after=-HOUR)),
        lambda w: w.leaf(w.below()),
        handshake=EXPIRED,
    ),
)

LEAVES = (
    Row("the authority's own certificate", BAD_LEAF, "no subject alternative name", _authority_as_leaf),
    _shape("authority as leaf", "that of a certificate authority", ca=True),
    _shape(
        "authority with a signer's key usage", "certificate authority", ca=True, usages=("key_cert_sign",)
    ),
    _shape("no subject alternative name", "no subject alternative name", uris=()),
    _shape("no URI name", "0 URI names", {"dns": (OURS,)}, uris=(), dns=(OURS,)),
    _shape("two URI names", "2 URI names", uris=(WORKLOAD, f"{WORKLOAD}2")),
    _shape("the same URI name twice", "2 URI names", uris=(WORKLOAD, WORKLOAD)),
    _shape("two names of two domains", "2 URI names", uris=(WORKLOAD, f"spiffe://{FEDERATED}/x")),
    _shape("a web address beside the ID", "2 URI names", uris=(WORKLOAD, "https://a.example/")),
    _shape(
        "subject alternative names twice",
        "uplicate",
        in_tls=False,
        **_twice(alternative_names((f"spiffe://{OURS}/admin",)), critical=False),
    ),
    _shape(
        "empty subject, names not critical",
        "must be critical",
        {"subject": "", "san_critical": True},
        subject="",
    ),
    _shape("no key usage", "no key usage", usages=None),
    _shape("key usage not critical", "not critical", usage_critical=False),
    _shape("key usage twice", "uplicate", in_tls=False, **_twice(key_usage(("key_cert_sign",)))),
    _shape("no digitalSignature", "lacks digitalSignature", usages=("key_agreement",)),
    _shape("keyCertSign", "keyCertSign", usages=("digital_signature", "key_cert_sign")),
    _shape("cRLSign", "cRLSign", usages=("digital_signature", "crl_sign")),
)

BOTH: dict[str, Any] = {"extended": ("SERVER_AUTH", "CLIENT_AUTH")}
EXTENDED = (
    _shape("only serverAuth", "both serverAuth and clientAuth", BOTH, extended=("SERVER_AUTH",)),
    _shape("only clientAuth", "both serverAuth and clientAuth", BOTH, extended=("CLIENT_AUTH",)),
    _shape("only codeSigning", "both serverAuth and clientAuth", BOTH, extended=("CODE_SIGNING",)),
    _shape("any usage", "both serverAuth and clientAuth", BOTH, extended=("ANY_EXTENDED_KEY_USAGE",)),
    Row(
        "unknown critical extension",
        UNTRUSTED,
        "does not chain",
        lambda w: w.leaf(**_strange(critical=True)),
        lambda w: w.leaf(**_strange(critical=False)),
    ),
)

IDS = (
    _uri("not SPIFFE", "https://a.example/ns/x/sa/y", "does not begin with spiffe://"),
    _uri("scheme in upper case", "SPIFFE://a.example/ns/x/sa/y", "does not begin with spiffe://"),
    _uri("no path", "spiffe://a.example", "names a trust domain"),
    _uri("empty path", "spiffe://a.example/", "ends with a slash"),
    _uri("slash at the end", f"{WORKLOAD}/", "empty path segment"),
    _uri("two slashes", "spiffe://a.example/ns//sa/y", "empty path segment"),
    _uri("path segment .", "spiffe://a.example/ns/./sa/y", "path segment '.'"),
    _uri("path segment ..", "spiffe://a.example/ns/x/../sa/y", "path segment '..'"),
    _uri("path ends in /..", f"{WORKLOAD}/..", "path segment '..'"),
    _uri("upper case trust domain", "spiffe://A.example/ns/x/sa/y", "trust domain 'A.example'"),
    _uri("percent in the path", "spiffe://a.example/ns/x%2Fsa/y", "path segment 'x%2Fsa'"),
    _uri("percent in the trust domain", "spiffe://a%2Eexample/ns/x/sa/y", "trust domain 'a%2Eexample'"),
    _uri("query", f"{WORKLOAD}?a=b", "path segment 'y?a=b'"),
    _uri("fragment", f"{WORKLOAD}#a", "path segment 'y#a'"),
    _uri("user name", "spiffe://root@a.example/ns/x/sa/y", "trust domain 'root@a.example'"),
    _uri("port", "spiffe://a.example:443/ns/x/sa/y", "trust domain 'a.example:443'"),
    _uri("no trust domain", "spiffe:///ns/x/sa/y", "trust domain is empty"),
    _uri("backslash", "spiffe://a.example\\/x", "trust domain 'a.example"),
    _uri("zero byte", f"{WORKLOAD}\0.evil", "path segment 'y\\x00.evil'"),
    _uri("line feed", f"{WORKLOAD}\n", "path segment 'y\\n'"),
    _uri("space in front", f" {WORKLOAD}", "does not begin with spiffe://"),
    _uri("longer than 2048 bytes", f"spiffe://a.example/{'x' * 2048}", "at most 2048 bytes"),
)

CHAINS = (
    Row("self-signed", UNTRUSTED, "does not chain", Workshop.self_signed),
    Row("another authority of our name", UNTRUSTED, "does not chain", lambda w: w.leaf(w.namesake)),
    Row(
        "another authority of our name, sent along",
        UNTRUSTED,
        "does not chain",
        lambda w: Presented((*w.leaf(w.namesake).chain, w.namesake.der), w.key),
    ),
    Row(
        "federated domain signs our ID",
        UNTRUSTED,
        f"does not chain to the bundle of {OURS}",
        lambda w: w.leaf(w.federated),
        lambda w: w.leaf(w.federated, uris=(f"spiffe://{FEDERATED}/ns/x/sa/y",)),
    ),
    Row(
        "federated domain signs our ID, its root sent along",
        UNTRUSTED,
        f"does not chain to the bundle of {OURS}",
        lambda w: Presented((*w.leaf(w.federated).chain, w.federated.der), w.key),
    ),
    Row(
        "we sign a federated domain's ID",
        UNTRUSTED,
        f"does not chain to the bundle of {FEDERATED}",
        lambda w: w.leaf(uris=(f"spiffe://{FEDERATED}/ns/x/sa/y",)),
    ),
    Row(
        "a domain that we do not know",
        Reason.PEER_UNKNOWN_TRUST_DOMAIN,
        f"{UNKNOWN}, which has no bundle here",
        lambda w: w.leaf(w.unknown, uris=(f"spiffe://{UNKNOWN}/ns/x/sa/y",)),
        handshake=UNTRUSTED,
    ),
    Row(
        "we sign the ID of a domain that we do not know",
        Reason.PEER_UNKNOWN_TRUST_DOMAIN,
        f"{UNKNOWN}, which has no bundle here",
        lambda w: w.leaf(uris=(f"spiffe://{UNKNOWN}/ns/x/sa/y",)),
    ),
    Row(
        "intermediate left out",
        UNTRUSTED,
        "does not chain",
        _without_intermediate,
        lambda w: w.leaf(w.below()),
    ),
    Row(
        "intermediate is no authority",
        UNTRUSTED,
        "does not chain",
        lambda w: w.leaf(w.below(ca=False)),
        lambda w: w.leaf(w.below()),
    ),
    Row(
        "intermediate may not sign certificates",
        UNTRUSTED,
        "does not chain",
        lambda w: w.leaf(w.below(usages=("digital_signature",))),
        lambda w: w.leaf(w.below()),
    ),
    Row(
        "a workload's own SVID signs",
        UNTRUSTED,
        "does not chain",
        lambda w: w.leaf(w.below(ca=False, usages=("digital_signature",), uris=(WORKLOAD,))),
        lambda w: w.leaf(w.below(uris=(f"spiffe://{OURS}",))),
    ),
    Row(
        "intermediate has the identity of a workload",
        UNTRUSTED,
        "identity of a workload",
        lambda w: w.leaf(w.below(uris=(WORKLOAD,))),
        lambda w: w.leaf(w.below(uris=(f"spiffe://{OURS}",))),
    ),
    Row(
        "path longer than an authority allows",
        UNTRUSTED,
        "does not chain",
        lambda w: _too_long(w, 0),
        lambda w: _too_long(w, 1),
    ),
    Row(
        "name constraint of another domain",
        UNTRUSTED,
        "does not chain",
        lambda w: _constrained(w, UNKNOWN),
        lambda w: w.leaf(w.below()),
    ),
)

CRYPTOGRAPHY = (
    Row("RSA key of 1024 bits", BAD_LEAF, "RSA key of 1024 bits", _rsa(1024), _rsa(2048)),
    Row(
        "authority with an RSA key of 1024 bits",
        UNTRUSTED,
        "does not chain",
        _under_rsa(1024),
        _under_rsa(2048),
    ),
    Row("signed with SHA-1", UNTRUSTED, "does not chain", _sha1, _under_rsa(2048)),
    Row(
        "signed with SHA-224",
        UNTRUSTED,
        "does not chain",
        lambda w: w.leaf(digest=hashes.SHA224()),
        lambda w: w.leaf(digest=hashes.SHA384()),
    ),
    Row(
        "key on a curve of 192 bits",
        BAD_LEAF,
        "curve secp192r1",
        lambda w: w.leaf(key=ec.generate_private_key(ec.SECP192R1())),
        lambda w: w.leaf(key=ec.generate_private_key(ec.SECP521R1())),
        in_tls=False,
    ),
    Row(
        "key that can only encrypt",
        BAD_LEAF,
        "neither RSA nor ECDSA",
        lambda w: w.leaf(key=x25519.X25519PrivateKey.generate()),
        lambda w: w.leaf(key=ed25519.Ed25519PrivateKey.generate()),
        in_tls=False,
    ),
)

ROWS = (*VALIDITY, *LEAVES, *EXTENDED, *IDS, *CHAINS, *CRYPTOGRAPHY)
