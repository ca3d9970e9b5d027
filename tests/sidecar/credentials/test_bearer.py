"""Authorization: one Bearer token, or nothing that two readers could read differently."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.heads import RequestHead
from mesh.reasons import Reason
from sidecar.credentials.bearer import bearer_of
from sidecar.credentials.verified import TokenRefused


def asking(*values: bytes) -> RequestHead:
    fields = [(b"host", b"triage"), *((b"authorization", value) for value in values)]
    return RequestHead("POST", b"/mcp", fields, 0, True, False, False, dict(fields))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((b"Bearer a", b"Bearer b"), Reason.TOKEN_REPEATED),
        ((b"Bearer a", b"Basic b"), Reason.TOKEN_REPEATED),
        ((b"", b"Bearer b"), Reason.TOKEN_REPEATED),
        ((b"Bearer a, Bearer b",), Reason.TOKEN_MALFORMED),
        ((b"Bearer a b",), Reason.TOKEN_MALFORMED),
        ((b"Bearer",), Reason.TOKEN_MALFORMED),
        ((b"bearer ",), Reason.TOKEN_MALFORMED),
        ((b"Bearer\ta",), Reason.TOKEN_MALFORMED),
        ((b"Bearer a\n",), Reason.TOKEN_MALFORMED),
        ((b"Bearer a=b",), Reason.TOKEN_MALFORMED),
        ((b'Bearer "a"',), Reason.TOKEN_MALFORMED),
        ((b"Bearer:a",), Reason.TOKEN_MALFORMED),
        ((b"Bearer, a",), Reason.TOKEN_MALFORMED),
        ((b"Bearer \xc3\xa9",), Reason.TOKEN_MALFORMED),
        ((b"Bearer " + b"a" * 16385,), Reason.TOKEN_TOO_LARGE),
    ],
)
def test_authorization_that_readers_could_read_in_two_ways_is_refused(
    values: tuple[bytes, ...], reason: Reason
) -> None:
    with pytest.raises(TokenRefused) as refused:
        bearer_of(asking(*values))
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"Bearer abc", b"abc"),
        (b"bearer   a.b-c_d~e+f/g==", b"a.b-c_d~e+f/g=="),
        (b"BEARER " + b"a" * 16384, b"a" * 16384),
        (b"Basic YTpi", None),
        (b"Bearers abc", None),
        (b"DPoP abc", None),
        (b"", None),
    ],
)
def test_one_bearer_token_is_found_in_any_case(value: bytes, found: bytes | None) -> None:
    assert bearer_of(asking(value)) == found


def test_without_authorization_there_is_no_token() -> None:
    assert bearer_of(asking()) is None
