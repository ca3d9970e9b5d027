"""What each replica says of its sidecars, for the leader to add up; and what the leader writes down for them all.

All in one ConfigMap, compressed, because it is of the size of the policies, and an object has a megabyte:

    a replica's name    for each document: how many of its sidecars are to run it, how many run which generation,
                        and how many refused it, with one reason
    `last-valid`        the last valid version of each object that is not valid as stored

A replica is live while what it says changes, as seen on our own clock: it says it anew now and then with a number.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from mesh.distribution.digest import digest_of
from webhook.distribution.compile import Compiled
from webhook.distribution.kinds import KINDS, Key
from webhook.distribution.mailbox import Mailbox
from webhook.distribution.objects import Document
from webhook.distribution.world import Kept

LAST_VALID = "last-valid"
MOST_BYTES = 16 * 1024 * 1024
_DETAIL = 300


class Count(msgspec.Struct, array_like=True):
    """Sidecars of one document: to run it, running each generation, having refused it, and why one of them did."""

    wanted: int = 0
    running: dict[int, int] = {}
    refused: int = 0
    why: str = ""


class Report(msgspec.Struct):
    """What one replica says: counts by the key of the document, as text."""

    beat: int = 0
    counts: dict[str, Count] = {}


class _Valid(msgspec.Struct, array_like=True):
    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    body: str


def tally(mailboxes: Iterable[Mailbox]) -> dict[str, Count]:
    """The counts of those who are connected here; costs as much as there are different configurations."""
    wanted: Counter[Compiled] = Counter()
    running: Counter[Compiled] = Counter()
    refused: Counter[tuple[Compiled, Compiled | None]] = Counter()
    reasons: dict[Compiled, str] = {}
    for one in mailboxes:
        if one.offered is not None:
            wanted[one.offered] += 1
            if one.refusal is not None and one.refusal.version == one.offered.version:
                refused[one.offered, one.running] += 1
                reasons[one.offered] = f"{one.refusal.reason}: {one.refusal.detail[:_DETAIL]}"
        if one.running is not None:
            running[one.running] += 1
    counts: dict[str, Count] = {}
    for document, number in _by_document(wanted).items():
        _of(counts, document).wanted += number
    for document, number in _by_document(running).items():
        generations = _of(counts, document).running
        generations[document.generation] = generations.get(document.generation, 0) + number
    for (compiled, before), number in refused.items():
        for document in _new(compiled, before):
            count = _of(counts, document)
            count.refused += number
            count.why = reasons[compiled]
    return counts


def _by_document(of: Counter[Compiled]) -> dict[Document, int]:
    """Documents are shared by configurations, and so are counted before they are named."""
    counts: dict[Document, int] = {}
    known = counts.get
    for compiled, number in of.items():
        for document in compiled.documents:
            counts[document] = known(document, 0) + number
    return counts


def add_up(reports: Iterable[Report]) -> dict[str, Count]:
    """The counts of all replicas together."""
    total: dict[str, Count] = {}
    for report in reports:
        for key, count in report.counts.items():
            sums = total.setdefault(key, Count(running={}))
            sums.wanted += count.wanted
            sums.refused += count.refused
            sums.why = sums.why or count.why
            for generation, number in count.running.items():
                sums.running[generation] = sums.running.get(generation, 0) + number
    return total


def pack(value: object) -> str:
    """As a value of `binaryData`."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(value), 6)).decode()


def unpack_report(text: str) -> Report | None:
    """What a replica said; None where nobody can read it."""
    try:
        return msgspec.json.decode(_unpacked(text), type=Report)
    except (ValueError, zlib.error, msgspec.MsgspecError):
        return None


def pack_valid(kept: Mapping[tuple[Key, str], Document]) -> str:
    """Last valid versions as a value of `binaryData`."""
    listed = [
        _Valid(str(key.kind), key.namespace, key.name, uid, one.generation, one.body.decode())
        for (key, uid), one in sorted(kept.items(), key=lambda item: str(item[0]))
    ]
    return pack(listed)


def unpack_valid(text: str) -> Kept:
    """The inverse; what nobody can read is left out."""
    try:
        listed = msgspec.json.decode(_unpacked(text), type=list[_Valid])
    except (ValueError, zlib.error, msgspec.MsgspecError):
        return {}
    kinds = {str(kind): kind for kind in KINDS}
    kept: Kept = {}
    for one in listed:
        if one.kind in kinds:
            key, body = Key(kinds[one.kind], one.namespace, one.name), one.body.encode()
            kept[key, one.uid] = Document(key, one.generation, body, digest_of(body))
    return kept


def _unpacked(text: str) -> bytes:
    """Raises ValueError and zlib.error; more than `MOST_BYTES` is cut off, and so is no JSON."""
    try:
        packed = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    return zlib.decompressobj().decompress(packed, MOST_BYTES)


def _of(counts: dict[str, Count], document: Document) -> Count:
    return counts.setdefault(str(document.key), Count(running={}))


def _new(compiled: Compiled, before: Compiled | None) -> Iterable[Document]:
    """The documents that a sidecar does not run yet: one of them is what it refused."""
    old = {one.digest for one in before.documents} if before is not None else set()
    return [one for one in compiled.documents if one.digest not in old]
