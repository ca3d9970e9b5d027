"""Mutual TLS for a client of a test that is a workload of the mesh without a sidecar: the gateway of the users."""

from __future__ import annotations

import ssl
from pathlib import Path

from e2e.authority import TrustDomain
from mesh.identity.pem import write_pem


def mesh_context(domain: TrustDomain, workload: str, folder: Path) -> ssl.SSLContext:
    """A context with the identity of `workload` (a path), for servers of the trust domain, whatever their name."""
    identity = domain.identity(workload)
    file = folder / f"{workload.replace('/', '-')}.pem"
    key = write_pem("PRIVATE KEY", identity.svid.key_pkcs8_der)
    file.write_text(key + write_pem("CERTIFICATE", *identity.svid.chain_der), encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_cert_chain(file)
    context.load_verify_locations(cadata=write_pem("CERTIFICATE", *domain.registry.bundle.authorities_der))
    return context
