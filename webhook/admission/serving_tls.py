"""The admission server's certificate, replaced without closing the listener.

Certificate and key come as files of a mounted Secret, which sends no reliable events when it changes; so their
contents are hashed now and then. New files go into a context of their own, and only a pair that loads replaces
the one in use: loading into the live context would leave it with a new certificate and an old key when the files
are caught halfway.
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

from cryptography import x509


class CertificateUnusable(Exception):
    """The certificate and key files cannot be served with; whoever provides them is at fault."""


class ServingCertificate:
    """A TLS 1.3 server context whose certificate follows two files.

    `context` is given to the listener once. Its server-name callback, which OpenSSL calls for every handshake,
    with or without a name, hands the connection over to the context that was loaded last.
    """

    __slots__ = ("_cert", "_current", "_digest", "_key", "context", "not_after")

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises CertificateUnusable."""
        self._cert = cert
        self._key = key
        self.not_after = 0.0
        """When the certificate expires, in seconds since 1970."""
        self._digest = b""
        self.context = self._current = self._load()
        self.context.sni_callback = self._choose

    def reload(self) -> bool:
        """Look at the files again; True when they changed and are in use now.

        Raises:
            CertificateUnusable: they changed but cannot be used; the old ones stay in use.
        """
        if self._hash() == self._digest:
            return False
        self._current = self._load()
        return True

    def _load(self) -> ssl.SSLContext:
        digest = self._hash()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        try:
            context.load_cert_chain(self._cert, self._key)
            leaf = x509.load_pem_x509_certificate(self._cert.read_bytes())
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise CertificateUnusable(f"{self._cert} and {self._key} cannot be used: {error}") from error
        self.not_after = leaf.not_valid_after_utc.timestamp()
        self._digest = digest
        return context

    def _hash(self) -> bytes:
        try:
            contents = (self._cert.read_bytes(), self._key.read_bytes())
        except OSError as error:
            raise CertificateUnusable(f"cannot be read: {error}") from error
        return b"".join(hashlib.sha256(content).digest() for content in contents)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _base: ssl.SSLContext) -> None:
        connection.context = self._current
