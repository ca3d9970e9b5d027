"""SPIFFE IDs: one strict grammar, so that two readers can never see two identities in one text.

Source: SPIFFE-ID specification, section 2. `spiffe://<trust domain>/<path>`, lower-case trust domain, no
port, no user information, no percent encoding, no query or fragment, no empty or dot segment, at most 2048
bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mesh.identity.errors import SpiffeIdInvalid

SCHEME = "spiffe://"
MAX_ID_BYTES = 2048
MAX_TRUST_DOMAIN_BYTES = 255

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """An identity, or a whole trust domain where `path` is empty.

    `path` begins with a slash unless it is empty. Build it with `parse`: the constructor does not check.
    """

    trust_domain: str
    path: str

    @classmethod
    def parse(cls, text: str) -> SpiffeId:
        """Read `text`; raises SpiffeIdInvalid with what is wrong and where."""
        if len(text) > MAX_ID_BYTES:
            raise SpiffeIdInvalid(f"a SPIFFE ID has at most {MAX_ID_BYTES} bytes, this has {len(text)}")
        if not text.startswith(SCHEME):
            raise SpiffeIdInvalid(f"{text!r} does not begin with {SCHEME}")
        trust_domain, slash, path = text[len(SCHEME) :].partition("/")
        parse_trust_domain(trust_domain)
        if slash:
            _check_path(path, text)
        return cls(trust_domain, slash + path)

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"


def parse_trust_domain(name: str) -> str:
    """Check the name of a trust domain (without scheme) and return it; raises SpiffeIdInvalid."""
    if not name:
        raise SpiffeIdInvalid("the trust domain is empty")
    if len(name) > MAX_TRUST_DOMAIN_BYTES:
        raise SpiffeIdInvalid(
            f"a trust domain has at most {MAX_TRUST_DOMAIN_BYTES} bytes, this has {len(name)}"
        )
    if _TRUST_DOMAIN.fullmatch(name) is None:
        raise SpiffeIdInvalid(f"trust domain {name!r}: only a-z, 0-9, dot, dash and underscore are allowed")
    return name


def _check_path(path: str, text: str) -> None:
    if not path:
        raise SpiffeIdInvalid(f"{text!r} ends with a slash")
    for segment in path.split("/"):
        if not segment:
            raise SpiffeIdInvalid(f"{text!r} has an empty path segment")
        if segment in (".", ".."):
            raise SpiffeIdInvalid(f"{text!r} has the path segment {segment!r}")
        if _SEGMENT.fullmatch(segment) is None:
            raise SpiffeIdInvalid(
                f"path segment {segment!r}: only letters, digits, dot, dash and underscore are allowed"
            )
