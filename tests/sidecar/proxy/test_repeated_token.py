"""A token is replaced wherever a head repeats it, and nothing else changes."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol.http1.heads import RequestHead
from sidecar.proxy.repeated_token import replaced

TOKEN = b"eyJh+bGci/Oi~J.x-y_z="
HANDLE = b"orh_abc"


def head(target: bytes = b"/ask", *values: bytes) -> RequestHead:
    headers = [(b"x-%d" % place, value) for place, value in enumerate(values)]
    return RequestHead("GET", target, headers, 0, True, False, False, dict(headers))


def test_a_head_without_it_is_the_very_same() -> None:
    plain = head(b"/ask?a=%20b", b"100%", b"")
    assert replaced(plain, TOKEN, HANDLE) is plain


@pytest.mark.parametrize(
    ("value", "became"),
    [
        (TOKEN, HANDLE),
        (b"Bearer " + TOKEN, b"Bearer " + HANDLE),
        (TOKEN + b"," + TOKEN, HANDLE + b"," + HANDLE),
        (b"a=%20; t=" + quote(TOKEN, safe="").encode() + b"; c", b"a=%20; t=" + HANDLE + b"; c"),
        (b"".join(b"%%%02x" % one for one in TOKEN), HANDLE),
        (b"%0d%0a" + quote(TOKEN, safe="").encode(), b"%0D%0A" + HANDLE),
    ],
)
def test_it_is_replaced_however_it_is_spelled(value: bytes, became: bytes) -> None:
    shown = replaced(head(b"/ask?q=" + value, value, b"kept"), TOKEN, HANDLE)
    assert shown.headers == [(b"x-0", became), (b"x-1", b"kept")]
    assert shown.fields == dict(shown.headers)
    assert shown.target == b"/ask?q=" + became


def test_a_field_of_which_nothing_is_left_is_left_out_and_an_empty_one_stays() -> None:
    shown = replaced(head(b"/ask?t=" + TOKEN, TOKEN, b"", b"t=" + TOKEN), TOKEN, b"")
    assert shown.headers == [(b"x-1", b""), (b"x-2", b"t=")]
    assert shown.target == b"/ask?t="


@given(
    st.lists(
        st.sampled_from([TOKEN, b"%", b"%2", b"a=", b"&", b"%0d%0a", b" ", b"x"]) | st.binary(max_size=3)
    )
)
def test_whatever_stands_around_it_no_line_is_broken_and_none_is_left(parts: list[bytes]) -> None:
    value = b"".join(parts).replace(b"\r", b"").replace(b"\n", b"")
    for _, shown in replaced(head(b"/", value), TOKEN, HANDLE).headers:
        assert TOKEN not in shown
        assert b"\n" not in shown
        assert b"\r" not in shown
        if TOKEN not in value and TOKEN not in unquote_to_bytes(value):
            assert shown == value
