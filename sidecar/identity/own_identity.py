"""Is this identity one that peers would accept? Asked before it goes in force, not when peers refuse it.

A peer with the same bundles verifies us as we verify it, so its own check is what tells: SVID rules, dates, and
that the chain leads to the bundle of its own trust domain.
"""

from __future__ import annotations

from datetime import datetime

from mesh.identity.errors import PeerRefused, SvidInvalid
from mesh.identity.verify import verify_chain
from mesh.reasons import Reason
from sidecar.identity.provider import Identity


class SvidOutOfDate(SvidInvalid):
    """The SVID is expired or not yet valid by our clock; its issuer or one of the clocks is at fault."""


def check_own_identity(identity: Identity, now: datetime, wanted: str | None = None) -> None:
    """Check our own identity at `now` (aware); raises SvidInvalid, SvidOutOfDate where it is only the date.

    `wanted`: the SPIFFE ID that it must be; None takes any.
    """
    svid = identity.svid
    if wanted is not None and str(svid.spiffe_id) != wanted:
        raise SvidInvalid(f"the SVID is that of {svid.spiffe_id}, not of {wanted}")
    try:
        verify_chain(svid.chain_der, identity.bundles, now)
    except PeerRefused as refused:
        if refused.reason is Reason.PEER_EXPIRED:
            raise SvidOutOfDate(f"{refused.detail}, and it is {now:%Y-%m-%d %H:%M:%S} here") from refused
        raise SvidInvalid(refused.detail) from refused
    if now >= svid.not_after:
        raise SvidOutOfDate(f"a certificate of the chain of {svid.spiffe_id} expired at {svid.not_after}")
