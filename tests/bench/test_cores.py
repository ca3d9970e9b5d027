from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cores import Cores, choose


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        ([3], Cores(proxy=3, load=3, upstream=3)),
        ([0, 1], Cores(proxy=1, load=0, upstream=0)),
        ([0, 1, 2], Cores(proxy=2, load=0, upstream=1)),
        ([2, 5, 6, 7], Cores(proxy=7, load=2, upstream=5)),
    ],
)
def test_cores_are_shared_only_as_far_as_they_must(available: list[int], expected: Cores) -> None:
    assert choose(available) == expected


@given(st.lists(st.integers(0, 512), min_size=2, unique=True).map(sorted))
def test_with_two_cores_or_more_the_proxy_has_one_to_itself(available: list[int]) -> None:
    chosen = choose(available)
    assert chosen.proxy not in (chosen.load, chosen.upstream)
    assert {chosen.proxy, chosen.load, chosen.upstream} <= set(available)


def test_no_core_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="no core"):
        choose([])
