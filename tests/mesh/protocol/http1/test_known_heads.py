"""Heads found again by their bytes: the memo must never change what bytes mean."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.known_heads import MOST_BYTES, MOST_HEADS, KnownHeads, split_length


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (b"A\r\nContent-Length: 12\r\nX: y", (b"A\r\nX: y", b"12")),
        (b"A\r\nX: y\r\ncontent-length: 0", (b"A\r\nX: y", b"0")),
        (b"A\r\nX: y", (b"A\r\nX: y", b"")),
        (b"A\r\nContent-Length: 012", (b"A\r\nContent-Length: 012", b"")),
        (b"A\r\nContent-Length: 1 ", (b"A\r\nContent-Length: 1 ", b"")),
        (b"A\r\nContent-Length: ", (b"A\r\nContent-Length: ", b"")),
        (b"A\r\nContent-Length: +1", (b"A\r\nContent-Length: +1", b"")),
        (b"A\r\nContent-Length: " + b"9" * 16, (b"A\r\nContent-Length: " + b"9" * 16, b"")),
        (b"A\r\nContent-Length:1", (b"A\r\nContent-Length:1", b"")),
        (b"A\r\nCONTENT-LENGTH: 1", (b"A\r\nCONTENT-LENGTH: 1", b"")),
        (
            b"A\r\nContent-Length: 1\r\nContent-Length: 2",
            (b"A\r\nContent-Length: 2", b"1"),
        ),
    ],
)
def test_the_length_is_cut_out_only_in_its_plain_spelling(
    section: bytes, expected: tuple[bytes, bytes]
) -> None:
    assert split_length(section) == expected


def keep(heads: KnownHeads, key: bytes, digits: bytes, fields: dict[bytes, bytes]) -> None:
    heads.keep(key, digits, ("GET",), list(fields.items()), fields, keep_alive=True, memo={})


def test_a_head_comes_back_with_its_length_where_it_stood() -> None:
    heads = KnownHeads()
    keep(heads, b"k", b"5", {b"a": b"1", b"content-length": b"5", b"b": b"2"})
    known = heads.get(b"k", b"77")
    assert known is not None
    headers, fields = known.with_length(b"77")
    assert headers == [(b"a", b"1"), (b"content-length", b"77"), (b"b", b"2")]
    assert fields == {b"a": b"1", b"b": b"2", b"content-length": b"77"}


def test_a_head_without_a_length_is_another_head() -> None:
    heads = KnownHeads()
    keep(heads, b"k", b"5", {b"content-length": b"5"})
    assert heads.get(b"k", b"") is None


@pytest.mark.parametrize(
    ("key", "digits", "fields"),
    [
        (b"k", b"", {b"authorization": b"Bearer x"}),
        (b"k", b"", {b"a": b"1", b"x-api-key": b"x"}),
        (b"k", b"", {b"content-length": b"5"}),
        (b"k" * (MOST_BYTES + 1), b"", {b"a": b"1"}),
    ],
)
def test_credentials_odd_lengths_and_long_heads_are_not_kept(
    key: bytes, digits: bytes, fields: dict[bytes, bytes]
) -> None:
    heads = KnownHeads()
    keep(heads, key, digits, fields)
    assert heads.get(key, digits) is None


def test_the_memo_stays_small() -> None:
    heads = KnownHeads()
    for number in range(10 * MOST_HEADS):
        keep(heads, b"%d" % number, b"", {})
    assert sum(heads.get(b"%d" % n, b"") is not None for n in range(10 * MOST_HEADS)) <= MOST_HEADS
