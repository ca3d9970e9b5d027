"""What becomes of a field on its way to the next connection."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.heads import Headers
from mesh.protocol.http1.lines import LeavingLines

HEADERS: Headers = [
    (b"host", b"a"),
    (b"te", b"trailers"),
    (b"proxy-authorization", b"secret"),
    (b"x-one", b"1"),
    (b"accept", b"*/*"),
]


def test_end_to_end_fields_leave_and_hop_by_hop_fields_stay() -> None:
    assert LeavingLines(frozenset({b"host"})).encode(HEADERS, None) == b"x-one: 1\r\naccept: */*\r\n"


def test_what_connection_names_stays_too() -> None:
    lines = LeavingLines(frozenset({b"host"}))
    headers = [*HEADERS, (b"connection", b"close, x-one, accept")]
    assert lines.encode(headers, b"close, x-one, accept") == b"accept: */*\r\n"


def test_a_line_is_kept_unless_it_is_a_credential_or_long() -> None:
    lines = LeavingLines(frozenset())
    lines.encode([(b"x", b"1"), (b"authorization", b"Bearer x"), (b"y", b"2" * 200)], None)
    assert set(lines) == {(b"x", b"1")}


def test_the_memo_stays_small() -> None:
    lines = LeavingLines(frozenset())
    for number in range(5000):
        lines.encode([(b"x", b"%d" % number)], None)
    assert len(lines) <= 512


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\n", b"a\r", b"\0"])
def test_a_value_with_a_line_break_never_leaves(value: bytes) -> None:
    with pytest.raises(ValueError, match="line break"):
        LeavingLines(frozenset()).encode([(b"x", value)], None)
