"""What each replica says of its sidecars, for the leader to add up; and what the leader writes down for them all.

All in one ConfigMap, compressed, because it is of the size of the policies, and an object has a megabyte:

    a replica's name    for each document: how many of its sidecars are to run it, how many run which generation,
                        and how many refused it, with one reason
    `last-valid`        the last valid version of each object that is not valid as stored: see last_valid

A replica is live while what it says changes, as seen on our own clock: it says it anew now and then with a number.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import Counter
from collections.abc import Iterable

import msgspec

from webhook.distribution.compile import Compiled
from webhook.distribution.mailbox import Mailbox
from webhook.distribution.objects import Document

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
    return pack_encoded(msgspec.json.encode(value))


def pack_encoded(document: bytes) -> str:
    """The same for JSON."""
    return base64.b64encode(zlib.compress(document, 6)).decode()


def unpack_report(text: str) -> Report | None:
    """What a replica said; None where nobody can read it."""
    try:
        return msgspec.json.decode(unpacked(text), type=Report)
    except (ValueError, zlib.error, msgspec.MsgspecError):
        return None


def unpacked(text: str) -> bytes:
    """What was packed, JSON; of more than `MOST_BYTES` the rest is missing. Raises ValueError and zlib.error."""
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
