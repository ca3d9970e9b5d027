"""Following objects of the API server: list, watch, and list again when that is what it takes.

A watch that ends goes on from the version it had come to. After any failure everything is listed anew, with pauses
that grow: where watching is impossible (no permission, a proxy in between) this is polling.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import msgspec

from webhook.cluster.client import OPENED, ApiClient, Collection, ObjectMeta, decode
from webhook.cluster.failures import ApiFailed, Failure, Troubles
from webhook.cluster.pace import Pace

_SHORT_SECONDS = 1.0
MISSING_SECONDS = 20.0
"""How long a kind that the cluster does not have is not looked for again."""
_MISSING_LOOKS = 3
"""So often in a row a kind that was there must be missing: an API server that starts may not know it yet."""


class _Object(msgspec.Struct):
    metadata: ObjectMeta


class Store(Protocol):
    """Where objects are kept. Objects come encoded; one that cannot be read raises ApiFailed."""

    def replace(self, items: tuple[bytes, ...]) -> None:
        """These objects are all that there are."""

    def put(self, item: bytes) -> None:
        """An object is new or has changed."""

    def remove(self, item: bytes) -> None:
        """An object is gone."""

    def live(self, live: bool) -> None:
        """Whether changes arrive as they happen from now on."""


@dataclass(frozen=True, slots=True)
class Following:
    """What to follow: a collection, the one object called `name` in it, or those with the labels of a selector.

    `subject` is for logs and metrics. `optional`: the cluster may not have the kind, which then is empty. `trim`
    takes from listed objects what the store does not look at, page by page, so that all of them fit.
    """

    subject: str
    collection: Collection
    store: Store
    name: str | None = None
    labels: str = ""
    optional: bool = False
    trim: Callable[[bytes], bytes] | None = None


async def follow(client: ApiClient, following: Following, pace: Pace, troubles: Troubles) -> None:
    """Keep the store up to date until cancelled."""
    version: str | None = None
    attempt = missing = 0
    known = False
    subject, store = following.subject, following.store
    while True:
        try:
            if version is None:
                listed = await client.list(
                    following.collection, following.name, labels=following.labels, trim=following.trim
                )
                store.replace(listed.items)
                version = listed.version
                missing, known = 0, True
            began = pace.clock()
            version = await _watch(client, following, version)
            troubles.well(subject)
            attempt = attempt + 1 if pace.clock() - began < _SHORT_SECONDS else 0
        except ApiFailed as error:
            store.live(False)
            version = None
            if error.failure is Failure.GONE and attempt == 0:
                attempt = 1
                continue
            if error.failure is Failure.NOT_FOUND and following.optional:
                missing += 1
                await _absent(store, pace, missing, known)
                continue
            troubles.failed(subject, error)
            attempt += 1
            await pace.sleep(pace.delay(attempt - 1, error.retry_after))
        else:
            if attempt:
                await pace.sleep(pace.delay(attempt - 1))


async def _absent(store: Store, pace: Pace, missing: int, known: bool) -> None:
    """The cluster does not have the kind, as far as can be told by now."""
    if known and missing < _MISSING_LOOKS:
        await pace.sleep(pace.delay(missing))
        return
    store.replace(())
    await pace.sleep(MISSING_SECONDS * (0.75 + pace.chance() / 2))


async def _watch(client: ApiClient, following: Following, version: str) -> str:
    """Take in changes until the watch ends, and return the version that it has come to."""
    store = following.store
    async with aclosing(
        client.watch(following.collection, version, following.name, following.labels)
    ) as changes:
        async for change in changes:
            if change.type == OPENED:
                store.live(True)
                continue
            version = decode(change.object, _Object).metadata.resource_version or version
            if change.type == "DELETED":
                store.remove(change.object)
            elif change.type in ("ADDED", "MODIFIED"):
                store.put(change.object)
    return version
