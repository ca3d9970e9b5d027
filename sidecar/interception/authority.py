"""The authority that the application is told to trust: in memory, one per process, for declared hosts only.

Minting is done where it is needed, on the event loop: a leaf takes about as long as the signature of one more
handshake, and happens once a day and host. All leaves have one key. A key of its own for each would protect
nothing, as all of them live and die in this process; the authority's key is another one, so that a leaf can never
pass for the authority.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.reasons import Reason
from sidecar.identity.contexts import load_chain
from sidecar.identity.holder import utc_now
from sidecar.identity.refused import TlsRefused
from sidecar.interception.certificates import make_leaf, make_signer
from sidecar.interception.declared import DeclaredHosts

# Before its end by as much as a client's clock may be off, and a connection may stay open.
RENEWED_BEFORE_END = timedelta(hours=8)
MOST_LEAVES = 128
"""Hosts behind a wildcard are as many as the application cares to name."""


MOST_USES = 4096
"""OpenSSL keeps a session of 1 KiB for each TLS 1.2 connection of a context, and Python cannot tell it not to."""


@dataclass(slots=True)
class _Leaf:
    context: ssl.SSLContext
    renewed_at: datetime
    uses: int = 0


class InterceptionAuthority:
    """Makes the server side of intercepted connections, one SSLContext for each host.

    `hosts` is what it may ever vouch for, `clock` returns the current time (aware, UTC), `most_leaves` bounds
    how many hosts are remembered; the one unused for longest is forgotten, and made anew when it is asked for.
    """

    def __init__(
        self,
        hosts: DeclaredHosts,
        *,
        clock: Callable[[], datetime] = utc_now,
        most_leaves: int = MOST_LEAVES,
    ) -> None:
        self.hosts = hosts
        self._clock = clock
        self._most_leaves = most_leaves
        self._signer = make_signer(hosts, clock())
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_public_key = leaf_key.public_key()
        self._leaf_pkcs8 = leaf_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        self._leaves: OrderedDict[str, _Leaf] = OrderedDict()

    @property
    def certificate_pem(self) -> str:
        """What the application has to trust."""
        return self._signer.root.public_bytes(Encoding.PEM).decode("ascii")

    def server_context(self, host: str) -> ssl.SSLContext:
        """For ending TLS of one connection in the place of `host`, a name or an address in its one spelling.

        Raises TlsRefused(INTERCEPTION_UNAVAILABLE) for a host that was not declared when the process started.
        """
        now = self._clock()
        leaf = self._leaves.get(host)
        if leaf is None or now >= leaf.renewed_at or leaf.uses >= MOST_USES:
            leaf = self._leaves[host] = self._mint(host, now)
            if len(self._leaves) > self._most_leaves:
                self._leaves.popitem(last=False)
        self._leaves.move_to_end(host)
        leaf.uses += 1
        return leaf.context

    def _mint(self, host: str, now: datetime) -> _Leaf:
        if not self.hosts.cover(host):
            raise TlsRefused(
                Reason.INTERCEPTION_UNAVAILABLE,
                f"{host} is none of the hosts that this process may intercept; restart the pod if a Backend "
                "declares it by now",
            )
        certificate = make_leaf(self._signer, self._leaf_public_key, host, now)
        chain = tuple(each.public_bytes(Encoding.DER) for each in (certificate, self._signer.intermediate))
        return _Leaf(_context(chain, self._leaf_pkcs8), certificate.not_valid_after_utc - RENEWED_BEFORE_END)


def _context(chain_der: tuple[bytes, ...], key_pkcs8_der: bytes) -> ssl.SSLContext:
    """Towards the application, whose TLS library may be old."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    # Clients that would rather speak HTTP/2 speak this as well.
    context.set_alpn_protocols(["http/1.1"])
    load_chain(context, chain_der, key_pkcs8_der)
    return context
