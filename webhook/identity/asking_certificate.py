"""The certificate of a CA by itself, which asks its clients for theirs: none is needed, one of our CA proves them.

As on the control port (control_tls): what is shown must come from the roots as they are when it is shown.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from webhook.admission.serving_tls import ServingCertificate


class AskingCertificate(ServingCertificate):
    """`roots` gives those of clients (DER), as they are now."""

    __slots__ = ("_known", "_roots")

    def __init__(self, cert: Path, key: Path, roots: Callable[[], tuple[bytes, ...]]) -> None:
        """Raises CertificateUnusable."""
        self._roots = roots
        self._known = roots()
        super().__init__(cert, key)

    def _fresh(self) -> ssl.SSLContext:
        context = super()._fresh()
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=b"".join(self._known))
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, base: ssl.SSLContext) -> None:
        """An authority cannot be taken out of a context: other roots, another context."""
        if (roots := self._roots()) != self._known:
            self._known = roots
            self._digest = b""
            self.reload()
        super()._choose(connection, name, base)
