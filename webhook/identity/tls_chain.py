"""The certificates that the other end of a TLS connection sent. Public in Python 3.13, there before that."""

from __future__ import annotations

import ssl
from typing import Any, Final, cast

_DER: Final = 2  # the encoding's number in CPython's _ssl module (ENCODING_DER)


def peer_chain(tls: object) -> list[bytes]:
    """As DER, leaf first; empty where it sent none, or `tls` is no TLS connection."""
    # Without a certificate the server's end of the private call below returns a list of None.
    if not isinstance(tls, ssl.SSLObject) or tls.getpeercert(binary_form=True) is None:
        return []
    public = getattr(tls, "get_unverified_chain", None)
    if public is not None:
        return list(public())
    found = cast("Any", tls)._sslobj.get_unverified_chain()
    return [certificate.public_bytes(_DER) for certificate in found or ()]
