"""What proves us to the control plane: our SVID where its own CA signed that, else our ServiceAccount token.

The token is read afresh each time, because the kubelet replaces it while the process runs.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

from mesh.identity.svid import X509Svid
from mesh.protocol.http1.heads import Headers
from sidecar.control.failed import CallFailed, Cause, authorization
from sidecar.identity.contexts import load_chain
from sidecar.identity.identity_files import read_files


@dataclass(frozen=True, slots=True)
class Proof:
    """What proves us on a connection. `svid` None: the token in the file."""

    token: Path
    svid: X509Svid | None = None

    def onto(self, context: ssl.SSLContext) -> None:
        """Have `context` present the SVID, if there is one; raises CallFailed."""
        if self.svid is None:
            return
        try:
            load_chain(context, self.svid.chain_der, self.svid.key_pkcs8_der)
        except ssl.SSLError as unusable:
            raise CallFailed(
                Cause.CERTIFICATE_REFUSED, f"OpenSSL does not take our SVID: {unusable}"
            ) from unusable

    async def headers(self) -> Headers:
        """The fields that prove us; raises CallFailed."""
        if self.svid is not None:
            return []
        files = await asyncio.to_thread(read_files, (self.token,))
        return [authorization(self.token, files[self.token])]
