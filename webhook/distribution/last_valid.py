"""The last valid versions of documents that are not valid as stored, written down for replicas to come.

All of them are one value of a ConfigMap, which has a megabyte for everything, so there is a bound to them: what
replicas say stands there too, and must be written whatever somebody breaks. Namespaces have equal shares of it, of
which their small documents take the least, so that nobody's heap of broken policies costs others theirs.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from mesh.distribution.digest import digest_of
from webhook.distribution.kinds import KINDS, Key
from webhook.distribution.objects import Document
from webhook.distribution.reports import pack_encoded, unpacked
from webhook.distribution.world import Kept

MOST_PACKED = 512 * 1024
"""Bytes, compressed: half of what a ConfigMap holds."""
MOST_ENCODED = 4 * 1024 * 1024
"""Bytes, not compressed: what is compressed at a time, on the loop on which admission waits."""


class _Valid(msgspec.Struct, array_like=True):
    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    body: str


class Packed(msgspec.Struct, frozen=True):
    """A value of `binaryData`, "" where nothing is to be written, and the documents that have no room in it."""

    text: str = ""
    left_out: tuple[str, ...] = ()


def pack_valid(kept: Mapping[tuple[Key, str], Document]) -> Packed:
    """As many of these versions as there is room for."""
    ordered = sorted(_encoded(kept))
    fitting = _fitting([encoded for _, _, encoded in ordered])
    left_out = tuple(sorted(name for _, name, _ in ordered[fitting:]))
    chosen = sorted(encoded for _, _, encoded in ordered[:fitting])
    return Packed(pack_encoded(b"[" + b",".join(chosen) + b"]") if chosen else "", left_out)


def unpack_valid(text: str) -> Kept:
    """The inverse; what nobody can read is left out."""
    try:
        listed = msgspec.json.decode(unpacked(text), type=list[_Valid])
    except (ValueError, zlib.error, msgspec.MsgspecError):
        return {}
    kinds = {str(kind): kind for kind in KINDS}
    kept: Kept = {}
    for one in listed:
        if one.kind in kinds:
            key, body = Key(kinds[one.kind], one.namespace, one.name), one.body.encode()
            kept[key, one.uid] = Document(key, one.generation, body, digest_of(body))
    return kept


def _encoded(kept: Mapping[tuple[Key, str], Document]) -> Iterator[tuple[int, str, bytes]]:
    """Each with its name, and what its namespace takes up with it and all of its own that are smaller."""
    listed = []
    for (key, uid), one in kept.items():
        valid = _Valid(str(key.kind), key.namespace, key.name, uid, one.generation, one.body.decode())
        listed.append((key.namespace, str(key), msgspec.json.encode(valid)))
    taken: Counter[str] = Counter()
    for namespace, name, encoded in sorted(listed, key=lambda one: (len(one[2]), one[1])):
        taken[namespace] += len(encoded)
        yield taken[namespace], name, encoded


def _fitting(listed: list[bytes]) -> int:
    """How many there is room for, from the first."""
    squeeze, packed, whole = zlib.compressobj(6), 0, 0
    for number, one in enumerate(listed):
        whole += len(one) + 1
        packed += len(squeeze.compress(one)) + len(squeeze.flush(zlib.Z_SYNC_FLUSH))
        if whole > MOST_ENCODED or packed > MOST_PACKED:
            return number
    return len(listed)
