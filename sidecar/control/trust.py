"""Who may be the control plane: whom the configured roots vouch for, or those of our own trust domain.

What admission wrote beside us when the pod was made is not all: roots are replaced in the life of a pod, and a new
one comes with the bundle. The name is checked in any case, and no workload's SVID carries one.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable

from mesh.identity.errors import PemInvalid
from mesh.identity.pem import read_certificates
from sidecar.control.failed import CallFailed, Cause


class ControlTrust:
    """`configured`: PEM. `learned` gives more certificates (DER): of the bundle, and those that were saved."""

    def __init__(self, configured: str, learned: Callable[[], Iterable[bytes]] = tuple) -> None:
        self._configured = configured
        self._learned = learned

    def context(self) -> ssl.SSLContext:
        """For one connection; the system's roots have no say. Raises CallFailed."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # What is pinned may be an intermediate, or the server's own certificate.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            configured = read_certificates(self._configured.encode("utf-8", "surrogatepass"))
            roots = dict.fromkeys((*configured, *self._learned()))
            context.load_verify_locations(cadata=b"".join(roots))
        except (PemInvalid, ssl.SSLError) as malformed:
            raise CallFailed(Cause.ROOT_UNUSABLE, f"control.roots cannot be used: {malformed}") from malformed
        return context
