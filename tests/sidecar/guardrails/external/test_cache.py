"""What was said a moment ago."""

from __future__ import annotations

from sidecar.guardrails.external.cache import MOST_MARKS, Cache
from sidecar.guardrails.external.question import Mark

MARK = Mark(0, 0, 1, "X", 1.0)


def test_it_holds_for_its_time() -> None:
    now = [0.0]
    cache = Cache(lambda: now[0])
    cache.put(b"a", (MARK,), 10)
    cache.put(b"b", (), 0)
    assert (cache.get(b"a"), cache.get(b"b")) == ((MARK,), None)
    now[0] = 10
    assert cache.get(b"a") is None
    assert len(cache) == 0


def test_it_is_bounded() -> None:
    cache = Cache(lambda: 0.0, most=2)
    for key in (b"a", b"b", b"a", b"c"):
        cache.put(key, (), 10)
    cache.put(b"d", (MARK,) * (MOST_MARKS + 1), 10)
    assert [cache.get(key) for key in (b"a", b"b", b"c", b"d")] == [(), None, (), None]
