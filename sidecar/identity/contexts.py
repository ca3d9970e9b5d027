"""The TLS settings of the mesh, as an SSLContext for each role.

A context is made anew for each rotation and never changed: an authority that was added to a context stays
trusted by it for ever, so the one way to drop an authority is a new context.
"""

from __future__ import annotations

import base64
import os
import ssl
import textwrap

from mesh.identity.errors import SvidInvalid
from sidecar.identity.provider import Identity

# RFC 7301. Our own name tells mesh TLS, which a sidecar terminates, from TLS of the application that merely
# passes through the same port. Offered first and not demanded: a server that knows ALPN but not our name would
# close the connection if it found nothing else to choose, and SPIFFE peers that are no sidecars are welcome.
MESH_ALPN = "outrider/http/1.1"


def server_context(identity: Identity) -> ssl.SSLContext:
    """For accepting peers; raises SvidInvalid when OpenSSL will not use the SVID or the bundles."""
    context = _mesh_context(ssl.PROTOCOL_TLS_SERVER, identity)
    # A resumed session is not verified again, so a ticket would outlive the authority that vouched for it.
    context.num_tickets = 0
    return context


def client_context(identity: Identity) -> ssl.SSLContext:
    """For dialling peers; raises SvidInvalid when OpenSSL will not use the SVID or the bundles."""
    return _mesh_context(ssl.PROTOCOL_TLS_CLIENT, identity)


def _mesh_context(role: int, identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(role)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # SVIDs carry no host names; verify_peer decides about the identity.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_TICKET
    # A bundle may hold an authority that is not self-signed; verify_peer takes it as an anchor, so must this.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols([MESH_ALPN, "http/1.1"])
    authorities = b"".join(der for bundle in identity.bundles.values() for der in bundle.authorities_der)
    try:
        if authorities:
            context.load_verify_locations(cadata=authorities)
        load_chain(context, identity.svid.chain_der, identity.svid.key_pkcs8_der)
    except ssl.SSLError as refused:
        raise SvidInvalid(
            f"OpenSSL does not take the identity {identity.svid.spiffe_id}: {refused}"
        ) from refused
    return context


def load_chain(context: ssl.SSLContext, chain_der: tuple[bytes, ...], key_pkcs8_der: bytes) -> None:
    """Give `context` a certificate chain (leaf first) and its key; raises ssl.SSLError.

    `load_cert_chain` reads only files, and a key must not touch a disk: so a file that is only memory.
    """
    descriptor = os.memfd_create("chain", os.MFD_CLOEXEC)
    with open(descriptor, "wb") as memory:
        memory.write(_pem(chain_der, key_pkcs8_der))
        memory.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")


def _pem(chain_der: tuple[bytes, ...], key_pkcs8_der: bytes) -> bytes:
    chain = "".join(map(ssl.DER_cert_to_PEM_cert, chain_der))
    key = "\n".join(textwrap.wrap(base64.b64encode(key_pkcs8_der).decode("ascii"), 64))
    return f"{chain}-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n".encode("ascii")
