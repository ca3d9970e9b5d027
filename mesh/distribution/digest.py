"""By what configurations and their documents are told apart, and damage is noticed: digests of canonical JSON.

Canonical is what msgspec makes with members in the order of their names; to read it and make it again changes
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from mesh.distribution.messages import Configuration

_VERSION_DIGITS = 32


def canonical(value: object) -> bytes:
    """A document in its one form."""
    return msgspec.json.encode(value, order="sorted")


def digest_of(body: bytes) -> bytes:
    """SHA-256 of a document's canonical form."""
    return hashlib.sha256(body).digest()


def version_of(labels: Iterable[tuple[str, str]], digests: Iterable[bytes]) -> str:
    """A configuration's version: of its labels, ordered by name, and its documents' digests, in their order."""
    digest = hashlib.sha256(msgspec.json.encode(tuple(labels)))
    for one in digests:
        digest.update(one)
    return digest.hexdigest()[:_VERSION_DIGITS]


def content_version(configuration: Configuration) -> str:
    """The version that the content of a configuration has, whatever it says itself."""
    digests = (digest_of(canonical(one)) for one in configuration.documents)
    return version_of(sorted(configuration.labels.items()), digests)
