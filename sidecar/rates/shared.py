"""Limits that several sidecars count together, in Redis or Valkey, by the `limits` library.

Each rate is a sliding window: two counters and a weight, which the store itself moves on by its own clock, so that
sidecars need not agree on the time. As with a bucket of the same rate, in any span passes at most one burst and
what the rate gives in that span. The library and its client are loaded only where a store is configured: they cost
20 MB.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from mesh.policy.guardrails import Rate
from sidecar.rates.bucket import NANOSECONDS, NEVER
from sidecar.rates.circuit import Circuit
from sidecar.tasks import spawn

PREFIX: Final = "outrider"
AT_ONCE: Final = 64
"""Questions under way; the next one waits for one of them."""

REACH_SECONDS: Final = 5.0
"""For an attempt to connect, which nobody waits for."""


class Entry(NamedTuple):
    """What is counted in one window: whose, at what rate, and how many more."""

    names: tuple[str, ...]
    rate: Rate
    more: int


class StoreUnavailable(Exception):
    """The store does not answer in time, or not what it should: whoever runs it, or the network, is at fault."""


class Window(NamedTuple):
    """A rate as the store counts it: so many in so many whole seconds."""

    limit: int
    seconds: int


def window_of(rate: Rate) -> Window:
    """The shortest window of whole seconds that lets the burst pass at once; at least a second."""
    span = (rate.burst or rate.requests) * rate.seconds / rate.requests
    seconds = max(1, math.floor(span))
    return Window(max(1, math.floor(rate.requests * seconds / rate.seconds)), seconds)


def key_of(names: Sequence[str], window: Window) -> str:
    """A name of the window of its own length, whatever is in the names."""
    told = b"\0".join(name.encode("utf-8", "surrogatepass").replace(b"\0", b"\0\0") for name in names)
    return f"{hashlib.sha256(told).hexdigest()[:40]}/{window.limit}/{window.seconds}"


def wait_for(window: Window, counts: tuple[int, float, int, float], count: int) -> int:
    """Nanoseconds until `count` more fit into a window, if nobody else asks; 0 for at once, or NEVER.

    `counts` are those that the store has: of the window before and its end, of this one and the end of the next,
    in seconds.
    """
    if count > window.limit:
        return NEVER
    before, before_ends, now, next_ends = counts
    room = window.limit - count
    if now > room:
        # Not within this window. When it is the one before, it counts by what is left of the one that follows.
        left = (room + 1) * window.seconds / now
        return math.ceil(max(0.0, next_ends - left) * NANOSECONDS)
    if math.floor(before * before_ends / window.seconds) + now <= room:
        return 0
    return math.ceil(max(0.0, before_ends - (room - now + 1) * window.seconds / before) * NANOSECONDS)


class Windows(Protocol):
    """What is asked of the library's storage."""

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool: ...

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]: ...


class Store:
    """The store of one sidecar. `start` begins to reach for it; nothing is asked of it before it was reached."""

    def __init__(
        self,
        windows: Windows,
        *,
        timeout: float,
        failures: tuple[type[Exception], ...],
        told: Callable[[bool, str], None],
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`timeout` in seconds for one question, `failures` what the client raises. `told` is told whether it
        answers when that changes, and what it said."""
        self._windows = windows
        self._timeout = timeout
        self._failures: tuple[type[Exception], ...] = (*failures, OSError, TimeoutError)
        self._told = told
        self._close = close
        self._circuit = Circuit()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._reaching: asyncio.Task[None] | None = None

    @property
    def answers(self) -> bool:
        """Whether it is worth asking."""
        return self._circuit.closed

    def start(self) -> None:
        """Reach for it, for as long as it takes."""
        self._reaching = spawn(self._reach(), name="reach the store of shared rates")

    async def close(self) -> None:
        """Ask it no more."""
        if self._reaching is not None:
            self._reaching.cancel()
            self._reaching = None
        if self._close is not None:
            await self._close()

    async def _reach(self) -> None:
        last = ""
        while True:
            try:
                # Not the library's own check, which swallows its cancellation; and so its script is there as well.
                async with asyncio.timeout(REACH_SECONDS):
                    await self._windows.get_sliding_window("reached", 1)
                    break
            except self._failures as error:
                why = _told(error)
            if why != last:
                self._told(False, why)
                last = why
            await asyncio.sleep(self._circuit.missed())
        self._circuit.answered()
        self._told(True, "")

    async def take(self, entries: Sequence[Entry]) -> tuple[int, int]:
        """Take from the window of every entry, and give (0, -1); or the nanoseconds until all may have room, or
        NEVER, and the index of the one that has it last.

        Where one of several has no room nothing is taken of the others, unless another sidecar took the last of
        one in the meantime. Raises StoreUnavailable.
        """
        try:
            async with asyncio.timeout(self._timeout), self._at_once:
                taken = await self._take(entries)
        except self._failures as error:
            if self._circuit.failed():
                self.start()
                self._told(False, _told(error))
            raise StoreUnavailable(_told(error)) from error
        self._circuit.answered()
        return taken

    async def _take(self, entries: Sequence[Entry]) -> tuple[int, int]:
        asked = [
            (key_of(one.names, window), window, one.more)
            for one in entries
            for window in [window_of(one.rate)]
        ]
        if len(asked) > 1:
            longest = await self._longest(asked)
            if longest[0]:
                return longest
        for key, window, count in asked:
            if not await self._windows.acquire_sliding_window_entry(key, *window, count):
                wait, index = await self._longest(asked)
                return wait or 1, max(index, 0)
        return 0, -1

    async def _longest(self, asked: Sequence[tuple[str, Window, int]]) -> tuple[int, int]:
        waits = [await self._wait(*one) for one in asked]
        if NEVER in waits:
            return NEVER, waits.index(NEVER)
        wait = max(waits)
        return (wait, waits.index(wait)) if wait else (0, -1)

    async def _wait(self, key: str, window: Window, count: int) -> int:
        counts = await self._windows.get_sliding_window(key, window.seconds)
        return wait_for(window, counts, count)


def _told(error: Exception) -> str:
    return (
        f"no answer in time ({type(error).__name__})" if isinstance(error, TimeoutError) else str(error)[:200]
    )


class Missing(Exception):
    """What a store needs is not installed: whoever built the image."""


def connected(
    url: str,
    *,
    timeout: float,
    password_file: Path | None,
    authorities: Path | None,
    more_authorities: str,
    told: Callable[[bool, str], None],
) -> Store:
    """The store at `url`: `redis://host:port/db`, `rediss://` by TLS. Raises Missing."""
    try:
        storage = importlib.import_module("limits.aio.storage")
        redis = importlib.import_module("redis.asyncio")
        backoff = importlib.import_module("redis.backoff")
        retry = importlib.import_module("redis.asyncio.retry")
    except ImportError as error:
        raise Missing(f"{error}; install outrider[shared-rates]") from error
    options: dict[str, Any] = {
        # Once, for a connection that was closed while nobody used it.
        "retry": retry.Retry(backoff.NoBackoff(), 1),
        "max_connections": AT_ONCE * 2,
    }
    if password_file is not None:
        options["credential_provider"] = _password_from(password_file)
    if url.startswith("rediss://"):
        if authorities is not None:
            options["ssl_ca_certs"] = str(authorities)
        if more_authorities:
            options["ssl_ca_data"] = more_authorities
    windows = storage.RedisStorage(f"async+{url}", implementation="redispy", key_prefix=PREFIX, **options)
    return Store(
        windows, timeout=timeout, failures=(redis.RedisError,), told=told, close=windows.bridge.storage.aclose
    )


def _password_from(path: Path) -> Any:
    """Gives what is in the file whenever a connection is made, so that it can be changed."""
    credentials = importlib.import_module("redis.credentials")

    class FromFile(credentials.CredentialProvider):  # type: ignore[name-defined, misc]
        def get_credentials(self) -> tuple[str]:
            return (path.read_text(encoding="utf-8").strip(),)

        async def get_credentials_async(self) -> tuple[str]:
            return self.get_credentials()

    return FromFile()
