"""The server's certificate, replaced without closing the listener.

Every certificate goes into a context of its own, and only one that loads replaces the one in use: loading into
the live context would leave it with a new certificate and an old key when files are caught halfway. Certificate
and key of a mounted Secret send no reliable events when they change; so their contents are hashed now and then.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from pathlib import Path

from cryptography import x509


class CertificateUnusable(Exception):
    """The certificate and key cannot be served with; whoever provides them is at fault."""


class SwitchedCertificate:
    """A TLS 1.3 server context whose certificate can be replaced; it has none at first.

    `context` is given to the listener once. Its server-name callback, which OpenSSL calls for every handshake,
    with or without a name, hands the connection over to the context that was loaded last.
    """

    __slots__ = ("_current", "context", "not_after")

    def __init__(self) -> None:
        self.not_after = 0.0
        """When the certificate expires, in seconds since 1970; 0 without one."""
        self.context = self._current = self._fresh()
        self.context.sni_callback = self._choose

    def use(self, pem: bytes) -> None:
        """Serve with the chain and the key in `pem` from now on; raises CertificateUnusable.

        `load_cert_chain` reads only files, and a key must not touch a disk: so a file that is only memory.
        """
        descriptor = os.memfd_create("chain", os.MFD_CLOEXEC)
        with open(descriptor, "wb") as memory:
            memory.write(pem)
            memory.flush()
            path = f"/proc/self/fd/{descriptor}"
            self._load(pem, path, path, "the certificate and its key")

    def _load(self, pem: bytes, cert: Path | str, key: Path | str, what: str) -> None:
        context = self._fresh()
        try:
            context.load_cert_chain(cert, key)
            leaf = x509.load_pem_x509_certificate(pem)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise CertificateUnusable(f"{what} cannot be used: {error}") from error
        self.not_after = leaf.not_valid_after_utc.timestamp()
        self._current = context

    def _fresh(self) -> ssl.SSLContext:
        """A context without a certificate."""
        return _server_context()

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _base: ssl.SSLContext) -> None:
        connection.context = self._current


class ServingCertificate(SwitchedCertificate):
    """One that follows two files."""

    __slots__ = ("_cert", "_digest", "_key")

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises CertificateUnusable."""
        super().__init__()
        self._cert = cert
        self._key = key
        self._digest = b""
        self.reload()

    def reload(self) -> bool:
        """Look at the files again; True when they changed and are in use now.

        Raises:
            CertificateUnusable: they changed but cannot be used; the old ones stay in use.
        """
        cert, key = self._contents()
        digest = hashlib.sha256(cert).digest() + hashlib.sha256(key).digest()
        if digest == self._digest:
            return False
        self._load(cert, self._cert, self._key, f"{self._cert} and {self._key}")
        self._digest = digest
        return True

    def _contents(self) -> tuple[bytes, bytes]:
        try:
            return self._cert.read_bytes(), self._key.read_bytes()
        except OSError as error:
            raise CertificateUnusable(f"cannot be read: {error}") from error


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context
