"""A placeholder in a body that passes in pieces is seen however it is cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sidecar.hidden.watch import PlaceholderWatch

FAKE = b"outrider-hidden-0123456789abcdef0123456789abcdef"
OTHER = b"outrider-hidden-ffffffffffffffffffffffffffffffff"


@given(
    st.binary(max_size=100),
    st.binary(max_size=100),
    st.lists(st.integers(0, 250), max_size=20),
    st.booleans(),
)
def test_it_is_seen_in_any_division(before, after, cuts, there) -> None:
    text = before + (FAKE if there else FAKE[:-1] + b"-") + after
    watch = PlaceholderWatch(frozenset({FAKE}))
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    seen = False
    for begin, end in itertools.pairwise(edges):
        seen = watch.feed(text[begin:end])
        assert seen == (FAKE in text[:end])
    assert watch.found == (FAKE if there else None)


def test_one_byte_after_the_other() -> None:
    watch = PlaceholderWatch(frozenset({FAKE}))
    seen = [watch.feed(bytes([byte])) for byte in b"xx" + FAKE + b"yy"]
    assert seen == [False] * 49 + [True] * 3


def test_placeholders_that_may_pass_are_left_alone() -> None:
    watch = PlaceholderWatch(frozenset({FAKE}))
    assert not watch.feed(OTHER * 3)
    assert watch.feed(OTHER + FAKE)
