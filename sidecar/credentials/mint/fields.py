"""A credential as the header field of a request, and every spelling of it that must not come back."""

from __future__ import annotations

import base64

from sidecar.credentials.issued import Issued


def fields_of(
    header: str,
    scheme: str,
    value: bytes,
    *,
    expires: float = float("inf"),
    scopes: frozenset[str] = frozenset(),
    others: tuple[bytes, ...] = (),
) -> Issued:
    """`header: scheme value`; the value alone where `scheme` is empty. `others`: more that must stay secret.

    What follows `Basic` is known in clear text as well: a server may show the password alone.
    """
    written = b"%b %b" % (scheme.encode(), value) if scheme else value
    secrets = (value, *_inside(scheme, value), *others)
    return Issued([(header.lower().encode(), written)], secrets, expires, scopes)


def _inside(scheme: str, value: bytes) -> tuple[bytes, ...]:
    if scheme.lower() != "basic":
        return ()
    try:
        clear = base64.b64decode(value, validate=True)
    except ValueError:
        return ()
    password = clear.partition(b":")[2]
    return (clear, password) if password else (clear,)
