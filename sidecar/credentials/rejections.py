"""Which credentials servers did not accept, so that one that accepts none does not cost a new one each time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from sidecar.credentials.issued import Issued

RENEW_SECONDS = 10.0
"""A credential is thrown away on a server's word at most once in this time."""

K = TypeVar("K", bound=Hashable)


class _Rejected(NamedTuple):
    issued: Issued
    at: float
    """In seconds since 1970."""


class Rejections(Generic[K]):
    """The last that was rejected of each of `limit` keys. `now`: seconds since 1970."""

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._last: OrderedDict[K, _Rejected] = OrderedDict()

    def __len__(self) -> int:
        return len(self._last)

    def may_renew(self, key: K, issued: Issued) -> bool:
        """Whether a request whose credential was rejected may be tried with another.

        True for all requests that went out with the same one; then not before the time is over for any newer.
        """
        now = self._now()
        last = self._last.get(key)
        if last is not None and now - last.at < RENEW_SECONDS:
            return last.issued is issued
        if last is None and len(self._last) >= self._limit:
            self._last.popitem(last=False)
        self._last[key] = _Rejected(issued, now)
        self._last.move_to_end(key)
        return True

    def forget_where(self, gone: Callable[[K], bool]) -> None:
        """Let go of these keys."""
        for key in [key for key in self._last if gone(key)]:
            del self._last[key]
