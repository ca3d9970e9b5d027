"""How the store of shared rate limits is written: `redis://host:port/db`, or `rediss://` for TLS."""

from __future__ import annotations

import re
from typing import Final

from mesh.policy.errors import shown

_URL: Final = re.compile(
    r"rediss?://(?P<login>[^@/]*@)?(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?:/[0-9]{0,4})?"
)


def store_fault(value: str) -> str | None:
    """What is wrong with it, or None. What it says of a login is not repeated."""
    match = _URL.fullmatch(value)
    if match is None:
        told = shown(value) if "@" not in value else "it"
        return f"{told} is no store; write it like redis://redis.rates.svc:6379/0, or rediss:// for TLS"
    if match["login"]:
        return (
            "it holds a login, which everybody could read; put the password in a file, rateStore.passwordFile"
        )
    if match["port"] is not None and int(match["port"]) > 65535:
        return f"{shown(value)} has no port that there is; the usual one is 6379"
    return None
