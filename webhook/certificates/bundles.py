"""The caBundle of every entry of a webhook configuration: reading it, and the patch that sets it.

All entries, because one that is forgotten refuses pods; by resourceVersion and by the entry's name, because an
upgrade may change the list in between; and only those that differ, because each write wakes every API server.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import msgspec
from cryptography import x509

from webhook.certificates.material import Broken, is_authority, read_certificates, signed_by
from webhook.cluster.client import Document, ObjectMeta, decode

PREFIX = "/apis/admissionregistration.k8s.io/v1"


class _ClientConfig(msgspec.Struct, rename="camel"):
    ca_bundle: str | None = None


class _Entry(msgspec.Struct, rename="camel"):
    name: str = ""
    client_config: _ClientConfig = msgspec.field(default_factory=_ClientConfig)


class _Document(msgspec.Struct):
    metadata: ObjectMeta
    webhooks: list[_Entry] | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """A webhook configuration as far as certificates go: `entries` are (name, caBundle) in order."""

    name: str
    version: str
    entries: tuple[tuple[str, bytes], ...]

    def holds(self, bundle: bytes) -> bool:
        """Is `bundle`, and nothing else, what every entry trusts?"""
        return all(held == bundle for _, held in self.entries)

    def trusts(self, leaf: x509.Certificate) -> bool:
        """Does every entry have an authority that signed `leaf`?"""
        return all(_signed(leaf, held) for held in {held for _, held in self.entries})

    def patch(self, bundle: bytes) -> list[Document]:
        """The RFC 6902 patch after which every entry trusts `bundle`; empty where it does already."""
        value = base64.b64encode(bundle).decode()
        changes: list[Document] = []
        for place, (name, held) in enumerate(self.entries):
            if held != bundle:
                entry = f"/webhooks/{place}"
                changes += [
                    {"op": "test", "path": f"{entry}/name", "value": name},
                    {"op": "add", "path": f"{entry}/clientConfig/caBundle", "value": value},
                ]
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": self.version}
        return [test, *changes] if changes else []


def read_configuration(document: bytes) -> Configuration:
    """Raises ApiFailed for what is no webhook configuration."""
    read = decode(document, _Document)
    entries = tuple((entry.name, _bytes(entry.client_config.ca_bundle)) for entry in read.webhooks or ())
    return Configuration(read.metadata.name, read.metadata.resource_version, entries)


def authorities(bundle: bytes) -> tuple[x509.Certificate, ...]:
    """The authorities of a caBundle; none where it is unreadable."""
    try:
        return tuple(filter(is_authority, read_certificates(bundle)))
    except Broken:
        return ()


def _signed(leaf: x509.Certificate, bundle: bytes) -> bool:
    return any(signed_by(leaf, authority) for authority in authorities(bundle))


def _bytes(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        return b""
