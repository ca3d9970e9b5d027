"""The trust domain of a run: one authority, and an SVID for each part, as PEM files for every proxy.

All proxies get the same kind of key and certificate (P-256, ECDSA with SHA-256), so that TLS costs are
compared like with like. The upstream's also names its host, which nginx checks and SPIFFE allows beside the
one URI.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity.ca import Authority, key_usage, make_authority

TRUST_DOMAIN = "bench.test"
AGENT = f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/triage"
PEER = f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/orchestrator"
SERVER = f"spiffe://{TRUST_DOMAIN}/ns/tools/sa/mcp-github"
SERVER_HOST = "github.tools.svc"
LIFETIME = timedelta(hours=12)
AUTHORITY_CERTIFICATE, AUTHORITY_KEY = "authority.crt", "authority.key"


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM files of one identity: certificate, key, and both in one file as haproxy wants them."""

    certificate: Path
    key: Path
    both: Path


@dataclass(frozen=True, slots=True)
class Trust:
    """The files of the trust domain: whom all trust, the proxies, the client and the upstream server."""

    authority: Path
    agent: Credentials
    peer: Credentials
    server: Credentials
    socket: str = ""  # of the Workload API that serves the agent its identity

    def with_socket(self, socket: str) -> Trust:
        """The same with the Workload API's address."""
        return replace(self, socket=socket)


def issue(folder: Path) -> Trust:
    """Make an authority and the SVIDs, and write them into `folder`."""
    authority = make_authority(TRUST_DOMAIN, datetime.now(UTC), 2 * LIFETIME)
    root = folder / AUTHORITY_CERTIFICATE
    root.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (folder / AUTHORITY_KEY).write_bytes(
        authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    agent, peer, server = (
        _credentials(authority, folder / name, spiffe_id)
        for name, spiffe_id in (("agent", AGENT), ("peer", PEER), ("server", SERVER))
    )
    return Trust(root, agent, peer, server)


def load_authority(folder: Path) -> Authority:
    """The authority that `issue` made, for another process of the run."""
    key = load_pem_private_key((folder / AUTHORITY_KEY).read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{AUTHORITY_KEY} holds no elliptic curve key")
    certificate = x509.load_pem_x509_certificate((folder / AUTHORITY_CERTIFICATE).read_bytes())
    return Authority(TRUST_DOMAIN, certificate, key)


def _credentials(authority: Authority, stem: Path, spiffe_id: str) -> Credentials:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _leaf(authority, spiffe_id, key.public_key()).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files = Credentials(stem.with_suffix(".crt"), stem.with_suffix(".key"), stem.with_suffix(".pem"))
    files.certificate.write_bytes(certificate)
    files.key.write_bytes(private)
    files.both.write_bytes(certificate + private)
    return files


def _leaf(authority: Authority, spiffe_id: str, public_key: ec.EllipticCurvePublicKey) -> x509.Certificate:
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(spiffe_id)]
    if spiffe_id == SERVER:
        names.append(x509.DNSName(SERVER_HOST))
    roles = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Bench")]))
        .issuer_name(authority.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(roles), critical=False)
        .add_extension(signer, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority.key, SHA256())
    )
