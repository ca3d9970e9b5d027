"""The machine that an agent runs on, as SPIRE knows it: by a certificate that it was given beforehand.

This attestation (x509pop) can be repeated, so that an agent which lost everything can come back.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from mesh.identity.ca import make_authority
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId

LIFETIME = timedelta(days=1)


class Node:
    """A node's key and certificate in `folder`, and the authority that vouches for it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        now = datetime.now(UTC)
        authority = make_authority("nodes.test", now, LIFETIME)
        made = new_svid(authority, SpiffeId("nodes.test", "/node"), now, LIFETIME)
        self.authority_file = folder / "authority.pem"
        self.certificate_file, self.key_file = folder / "node.pem", folder / "node.key"
        self.authority_file.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
        self.certificate_file.write_text(_pem("CERTIFICATE", made.chain_der[0]), encoding="ascii")
        self.key_file.write_text(_pem("PRIVATE KEY", made.key_pkcs8_der), encoding="ascii")
        fingerprint = hashlib.sha1(made.chain_der[0]).hexdigest()  # noqa: S324 - as SPIRE names nodes
        self.path = f"/spire/agent/x509pop/{fingerprint}"


def _pem(label: str, der: bytes) -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"
