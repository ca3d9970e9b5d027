"""Which host a client wants when it has named two: whom it opened the connection to, and whom it asks for in TLS.

A policy is decided on one host, so the two must be one, or the one that is not used must be said to be without
meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from mesh.protocol.tls.client_hello import ClientHello
from mesh.reasons import Reason
from sidecar.identity.refused import TlsRefused


def asked_host(hello: ClientHello, opened_to: str, declared: Callable[[str], bool]) -> str:
    """The host to decide about, to certify, and to dial.

    `opened_to` is the host of a CONNECT or the address that a connection was redirected from, `declared` tells
    of an address whether a Backend has it. A name in CONNECT must be the name in TLS. An address gives way to the
    name in TLS, and then counts no more: what is dialled is the name. An address alone counts only where it is
    declared, for nothing else says what is behind it.

    Raises TlsRefused(SERVER_NAME_MISSING or SERVER_NAME_MISMATCH).
    """
    asked = hello.server_name
    if _is_address(opened_to):
        if asked is not None:
            return asked
        if declared(opened_to):
            return opened_to
        raise TlsRefused(Reason.SERVER_NAME_MISSING, f"the client of {opened_to} names no server in TLS")
    if asked is None:
        raise TlsRefused(Reason.SERVER_NAME_MISSING, f"the client of {opened_to} names no server in TLS")
    if asked != opened_to:
        raise TlsRefused(
            Reason.SERVER_NAME_MISMATCH,
            f"the connection was opened to {opened_to}, but in TLS it asks for {asked}",
        )
    return asked


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
