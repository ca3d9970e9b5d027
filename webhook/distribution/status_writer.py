"""Writes status: each replica what its sidecars run, the leader the sums into the policy objects.

Never more often than every few seconds, and only what is different: a policy of ten thousand sidecars is written a
few times while they take it up, not ten thousand times. A count alone is written less often than a verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mesh.settings.installation import APPLIED
from webhook.admission import metrics as series
from webhook.cluster.client import ApiClient, Collection, decode
from webhook.cluster.failures import ApiFailed, Failure, Log, Troubles
from webhook.cluster.pace import Pace
from webhook.distribution.entries import Entry, Force
from webhook.distribution.hub import Hub
from webhook.distribution.kinds import GATEWAY, Key
from webhook.distribution.last_valid import Packed, pack_valid, unpack_valid
from webhook.distribution.objects import read_resource
from webhook.distribution.reports import (
    LAST_VALID,
    Count,
    Report,
    add_up,
    pack,
    tally,
    unpack_report,
)
from webhook.distribution.status import status_of
from webhook.distribution.world import Kept, World

CYCLE_SECONDS = 2.0
BEAT_SECONDS = 20.0
DEAD_SECONDS = 70.0
"""A replica that has said nothing for so long does not count, and is taken out."""
COUNT_SECONDS = 10.0
"""How long a status in which only counts are other waits since the last."""
MOST_WRITES = 40
"""Per cycle."""
_MOST_NAMED = 20
"""Documents in one line of the log."""


@dataclass(slots=True)
class Said:
    """What replicas say, as the watch of the ConfigMap brings it; a store for `watching.follow`."""

    world: World
    clock: Callable[[], float]
    texts: dict[str, str] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    valid: str = ""
    listed: bool = False

    def replace(self, items: tuple[bytes, ...]) -> None:
        """See watching.Store, as for all below."""
        self.listed = True
        if items:
            self.put(items[0])

    def put(self, item: bytes) -> None:
        texts = decode(item, dict[str, Any]).get("binaryData") or {}
        now = self.clock()
        for name, text in texts.items():
            if self.texts.get(name) != text:
                self.seen[name] = now
        self.texts = {name: text for name, text in texts.items() if name != LAST_VALID}
        if texts.get(LAST_VALID, "") != self.valid:
            self.valid = texts.get(LAST_VALID, "")
            self.world.restore(unpack_valid(self.valid) if self.valid else {})

    def remove(self, item: bytes) -> None:
        self.texts = {}

    def live(self, live: bool) -> None:
        """No matter: what was seen last holds."""

    def reports(self, apart_from: str) -> list[Report]:
        """What live replicas other than one say."""
        limit = self.clock() - DEAD_SECONDS
        live = (text for name, text in self.texts.items() if name != apart_from and self.seen[name] > limit)
        return [report for text in live if (report := unpack_report(text)) is not None]

    def dead(self) -> list[str]:
        """Replicas that are gone."""
        limit = self.clock() - DEAD_SECONDS
        return [name for name in self.texts if self.seen[name] <= limit]


@dataclass(slots=True)
class StatusWriter:
    """See the module. `name` is this replica's; `leading` says whether it may write of objects."""

    client: ApiClient
    hub: Hub
    said: Said
    namespace: str
    name: str
    leading: Callable[[], bool]
    pace: Pace
    troubles: Troubles
    synced: Callable[[], bool]
    log: Log
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _counts: dict[str, Count] = field(default_factory=dict)
    _sums: dict[str, Count] = field(default_factory=dict)
    _beat: int = 0
    _beaten: float | None = None
    _led: bool = False
    _due: set[Key] = field(default_factory=set)
    _written: dict[Key, float] = field(default_factory=dict)
    _answered: bool = True
    _packed: Packed = field(default_factory=Packed)
    _packed_of: frozenset[tuple[Key, str, bytes]] = frozenset()

    def __post_init__(self) -> None:
        self.hub.answered = self._mark

    def _mark(self) -> None:
        self._answered = True

    async def run(self) -> None:
        """Write whenever there is something to write, until cancelled."""
        attempt = 0
        while True:
            wait = CYCLE_SECONDS * (0.75 + self.pace.chance() / 2)
            if self.synced():
                try:
                    await self.cycle()
                except ApiFailed as error:
                    self.troubles.failed("status", error)
                    attempt += 1
                    wait = max(wait, self.pace.delay(attempt, error.retry_after))
                else:
                    self.troubles.well("status")
                    attempt = 0
            await self.pace.sleep(wait)

    async def cycle(self) -> None:
        """Write what there is to write now; raises ApiFailed."""
        self.hub.world.settle()
        await self._report()
        if not self.leading():
            self._led = False
            return
        self._collect()
        await self._write_down()
        await self._write_due()

    async def _report(self) -> None:
        now = self.pace.clock()
        answered, self._answered = self._answered, False
        counts = tally(self.hub.mailboxes()) if answered else self._counts
        beat_due = self._beaten is None or now - self._beaten >= BEAT_SECONDS
        if counts == self._counts and not beat_due:
            return
        self._answered = True  # until it is written
        self._beat += 1
        await self._patch({self.name: pack(Report(self._beat, counts))})
        self._counts, self._beaten, self._answered = counts, now, False

    def _collect(self) -> None:
        """Which objects have a status that may be another now."""
        world, now = self.hub.world, self.pace.clock()
        sums = add_up([Report(0, self._counts), *self.said.reports(self.name)])
        other = {name for name in sums.keys() | self._sums.keys() if sums.get(name) != self._sums.get(name)}
        self._sums = sums
        if not self._led:
            self._led, self._due = True, set(world.entries)
        self._due |= world.stirred
        world.stirred.clear()
        if other:
            self._due.update(key for key in world.entries if str(key) in other)
        self._written = {key: at for key, at in self._written.items() if now - at < COUNT_SECONDS}

    async def _write_down(self) -> None:
        """The last valid versions of what is not valid now; and that replicas are gone."""
        if dead := self.said.dead():
            await self._patch(dict.fromkeys(dead))
        text = self._last_valid()
        if text == self.said.valid:
            return
        try:
            await self._patch({LAST_VALID: text or None})
        except ApiFailed as error:
            if error.failure not in (Failure.REFUSED, Failure.CONFLICT):  # 413, 422
                raise
            # Too large, say. Status and what replicas say must not wait for it.
            self.troubles.failed(LAST_VALID, error)
        else:
            self.troubles.well(LAST_VALID)

    def _last_valid(self) -> str:
        kept: Kept = {
            (entry.key, entry.meta.uid): entry.document
            for entry in self.hub.world.entries.values()
            if entry.force is Force.LAST_VALID and entry.document is not None
        }
        of = frozenset((key, uid, document.digest) for (key, uid), document in kept.items())
        if of != self._packed_of:
            before, self._packed, self._packed_of = self._packed, pack_valid(kept), of
            if self._packed.left_out != before.left_out:
                self._tell_left_out(self._packed.left_out)
        return self._packed.text

    def _tell_left_out(self, left_out: tuple[str, ...]) -> None:
        what = (
            "there is no room to write down their last valid versions: replicas that start later know none,"
            " and something closed stands in for them until they are valid again"
        )
        error = {"error": what} if left_out else {}
        self.log(
            {
                "event": "last_valid_left_out",
                "number": len(left_out),
                "objects": list(left_out[:_MOST_NAMED]),
                **error,
            }
        )

    async def _write_due(self) -> None:
        world, writes = self.hub.world, 0
        for key in sorted(self._due, key=str):
            entry = world.entries.get(key)
            if entry is None or key.kind is GATEWAY:
                self._due.discard(key)
                continue
            count = self._sums.get(str(key)) or Count()
            status = status_of(entry, world, count, self.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
            if status == entry.status:
                self._due.discard(key)
            elif self._ripe(entry, status) and self.leading():
                await self._write(entry, status)
                self._due.discard(key)
                writes += 1
                if writes >= MOST_WRITES:
                    return

    def _ripe(self, entry: Entry, status: Any) -> bool:
        """May it be written already?"""
        return entry.key not in self._written or _verdict(status) != _verdict(entry.status)

    async def _write(self, entry: Entry, status: Any) -> None:
        key, metrics = entry.key, self.hub.metrics
        collection = Collection(key.kind.collection.prefix, key.kind.plural, key.namespace)
        change = {"metadata": {"resourceVersion": entry.version}, "status": status}
        try:
            stored = await self.client.merge(collection, key.name, change, "status")
        except ApiFailed as error:
            if error.failure in (Failure.FORBIDDEN, Failure.REFUSED):
                # Of this kind, or this object, only; the others must not wait for it.
                metrics.add(series.STATUS_WRITES, "failed")
                self.troubles.failed(f"status of {key.kind}", error)
                return
            if error.failure not in (Failure.CONFLICT, Failure.NOT_FOUND):
                metrics.add(series.STATUS_WRITES, "failed")
                raise
            # The watch brings what came between, or that it is gone; then it is looked at again.
            metrics.add(series.STATUS_WRITES, "conflict")
            self.hub.world.stirred.add(key)
            return
        metrics.add(series.STATUS_WRITES, "written")
        self.troubles.well(f"status of {key.kind}")
        self._written[key] = self.pace.clock()
        self.hub.world.put(key.kind, read_resource(stored))

    async def _patch(self, data: dict[str, Any]) -> None:
        collection = Collection("/api/v1", "configmaps", self.namespace)
        stored = await self.client.merge(collection, APPLIED, {"binaryData": data})
        self.said.put(stored)


def _verdict(status: Any) -> list[Any]:
    """What of a status is more than counts."""
    if not isinstance(status, dict):
        return []
    conditions = list(status.get("conditions") or [])
    for ancestor in status.get("ancestors") or []:
        conditions += ancestor.get("conditions") or []
    return [
        (one.get("type"), one.get("status"), one.get("reason"), one.get("observedGeneration"))
        for one in conditions
        if isinstance(one, dict)
    ]
