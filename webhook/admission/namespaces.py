"""What a namespace is labelled: an AdmissionReview does not say, and the truth table needs it.

The API server has checked the labels already, by the selectors of the webhook configuration, but tells only the
name. So the namespaces are watched, with our own ServiceAccount, and a review costs no call. A namespace that the
watch has not brought yet, or any while there is no watch, is asked for by itself, and the answer kept for a few
seconds.

Where the API server does not answer, what was known a few minutes ago is better than refusing every pod of the
cluster, but only for giving a sidecar: a namespace may have become `required` meanwhile. So it comes out as not
`confirmed`, and the server refuses what it would have let pass without a sidecar on that account.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from webhook.admission.outcome import Namespace
from webhook.cluster.client import ApiClient, Collection, decode
from webhook.cluster.failures import ApiFailed, Failure

NAMESPACES = Collection("/api/v1", "namespaces")
KEPT_SECONDS = 5.0
STALE_SECONDS = 300.0
"""How long a namespace may be used that the API server did not confirm."""
LOOK_UP_SECONDS = 1.5
"""The API server gives us five for the whole answer."""
FAILED_SECONDS = 1.0
"""How long a lookup that failed answers for those behind it, which would wait as long one after the other."""
MISSING_SECONDS = 1.0
"""How long a namespace that does not exist is not asked for again: anybody may ask us, of any name."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, a label
_MOST = 20_000  # asked for one by one and remembered; the oldest goes first
_BULKY = "kubectl.kubernetes.io/last-applied-configuration"


class NamespaceUnknown(Exception):
    """The namespace cannot be looked up; the text says why. The cluster or the installation is at fault."""


@dataclass(frozen=True, slots=True)
class Known:
    """A namespace; `confirmed` unless the API server was asked for it in vain."""

    namespace: Namespace
    confirmed: bool = True


NamespaceLookup = Callable[[str], Awaitable[Known]]


class _Metadata(msgspec.Struct):
    name: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Document(msgspec.Struct):
    metadata: _Metadata


def fixed_lookup(namespaces: Mapping[str, Namespace]) -> NamespaceLookup:
    """Namespaces from a settings file, for a server without a cluster."""

    async def look_up(name: str) -> Known:
        if name not in namespaces:
            raise NamespaceUnknown(f"namespace {name} is not in the settings file")
        return Known(namespaces[name])

    return look_up


def api_fetch(client: ApiClient) -> Callable[[str], Awaitable[Namespace]]:
    """Ask the API server each time; raises ApiFailed."""

    async def fetch(name: str) -> Namespace:
        return read_namespace(await client.get(NAMESPACES, name, LOOK_UP_SECONDS))

    return fetch


def read_namespace(body: bytes) -> Namespace:
    """A namespace as the API server sends it, without what is only bulk; raises ApiFailed."""
    metadata = decode(body, _Document).metadata
    annotations = metadata.annotations or {}
    annotations.pop(_BULKY, None)
    return Namespace(metadata.name, metadata.labels or {}, annotations)


@dataclass(slots=True)
class _Seen:
    namespace: Namespace
    at: float


@dataclass(slots=True)
class _Asking:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    failure: str = ""
    failed_at: float = 0.0


class Namespaces:
    """All that is known of namespaces; a store for `cluster.watching.follow`.

    `fetch` asks for one, `clock` gives seconds that only grow, `count` is told how each lookup ended: "watched",
    "remembered", "asked", "stale", "unknown" or "failed".
    """

    def __init__(
        self,
        fetch: Callable[[str], Awaitable[Namespace]],
        clock: Callable[[], float],
        count: Callable[[str], None] = lambda _how: None,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._count = count
        self._seen: dict[str, _Seen] = {}
        self._asking: dict[str, _Asking] = {}
        self._missing: dict[str, float] = {}
        self._live = False

    def replace(self, items: tuple[bytes, ...]) -> None:
        """See watching.Store, as for all below."""
        now = self._clock()
        read = map(read_namespace, items)
        self._seen = {namespace.name: _Seen(namespace, now) for namespace in read}

    def put(self, item: bytes) -> None:
        self._remember(read_namespace(item))

    def remove(self, item: bytes) -> None:
        self._seen.pop(read_namespace(item).name, None)

    def live(self, live: bool) -> None:
        if self._live and not live:
            now = self._clock()
            for seen in self._seen.values():
                seen.at = now
        self._live = live

    def __len__(self) -> int:
        return len(self._seen)

    async def look_up(self, name: str) -> Known:
        """The namespace called `name`; raises NamespaceUnknown."""
        known = self._at_hand(name)
        if known is not None:
            return known
        if not _NAME.fullmatch(name):
            self._count("unknown")
            raise NamespaceUnknown(f"namespace {name[:253]!r}: no namespace can be called so")
        self._look_for_missing(name)
        asking = self._asking.setdefault(name, _Asking())
        try:
            async with asking.lock:
                self._look_for_missing(name)
                return self._at_hand(name) or await self._ask(name, asking)
        finally:
            if len(self._asking) > _MOST // 10 and not asking.lock.locked():
                self._asking.pop(name, None)

    def _at_hand(self, name: str) -> Known | None:
        seen = self._seen.get(name)
        if seen is None:
            return None
        if self._live:
            self._count("watched")
            return Known(seen.namespace)
        if self._clock() - seen.at < KEPT_SECONDS:
            self._count("remembered")
            return Known(seen.namespace)
        return None

    def _look_for_missing(self, name: str) -> None:
        """Raises NamespaceUnknown where there was no such namespace a moment ago, nor has the watch brought it."""
        at = self._missing.get(name)
        if at is not None and name not in self._seen and self._clock() - at < MISSING_SECONDS:
            self._count("unknown")
            raise NamespaceUnknown(f"namespace {name} does not exist")

    async def _ask(self, name: str, asking: _Asking) -> Known:
        if asking.failure and self._clock() - asking.failed_at < FAILED_SECONDS:
            return self._stale(name, asking.failure)
        try:
            namespace = await self._fetch(name)
        except ApiFailed as error:
            if error.failure is Failure.NOT_FOUND:
                self._seen.pop(name, None)
                self._miss(name)
                self._count("unknown")
                raise NamespaceUnknown(f"namespace {name} does not exist") from error
            asking.failure, asking.failed_at = error.detail, self._clock()
            return self._stale(name, error.detail)
        asking.failure = ""
        self._remember(namespace)
        self._count("asked")
        return Known(namespace)

    def _stale(self, name: str, why: str) -> Known:
        seen = self._seen.get(name)
        if seen is None or self._clock() - seen.at >= STALE_SECONDS:
            self._count("failed")
            raise NamespaceUnknown(f"namespace {name}: {why}")
        self._count("stale")
        return Known(seen.namespace, confirmed=False)

    def _miss(self, name: str) -> None:
        self._missing.pop(name, None)
        if len(self._missing) >= _MOST // 10:
            del self._missing[next(iter(self._missing))]
        self._missing[name] = self._clock()

    def _remember(self, namespace: Namespace) -> None:
        if namespace.name not in self._seen and len(self._seen) >= _MOST:
            del self._seen[next(iter(self._seen))]
        self._seen[namespace.name] = _Seen(namespace, self._clock())
