"""Field lines and the memo of them."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.fields import FieldLines, list_members
from mesh.protocol.http1.known_heads import KnownHeads
from mesh.protocol.http1.lines import LeavingLines
from mesh.reasons import Reason


def test_line_gives_the_same_field_with_the_memo_and_without() -> None:
    lines = FieldLines()
    first = lines[b"Content-Type: application/json\t "]
    assert first == (b"content-type", b"application/json")
    assert lines[b"Content-Type: application/json\t "] is first


def test_memo_stays_small_however_many_lines_come() -> None:
    lines = FieldLines()
    for number in range(5000):
        assert lines[b"X: %d" % number] == (b"x", b"%d" % number)
    assert len(lines) <= 512


@pytest.mark.parametrize(
    "line", [b"Authorization: Bearer x", b"COOKIE: a=b", b"X: " + b"y" * 200, b"X-Request-Id: 1"]
)
def test_credentials_and_long_lines_are_not_kept(line: bytes) -> None:
    lines = FieldLines()
    lines[line]
    assert len(lines) == 0


def test_malformed_line_is_refused_every_time() -> None:
    lines = FieldLines()
    for _ in range(2):
        with pytest.raises(HttpRefused) as caught:
            lines[b"X : y"]
        assert caught.value.reason is Reason.HTTP_BAD_HEADER


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b" x: y", "folded"),
        (b"x", "no colon"),
        (b": y", "no name"),
        (b"x : y", "white space before the colon"),
        (b"x y: z", "no token"),
        (b"x: \0", "control character"),
    ],
)
def test_refusal_says_what_is_wrong_with_the_line(line: bytes, detail: str) -> None:
    with pytest.raises(HttpRefused, match=detail):
        FieldLines()[line]


def test_list_members_are_in_lower_case_without_empty_ones() -> None:
    assert list_members(b"Close ,, \tX-A,") == [b"close", b"x-a"]


@pytest.mark.parametrize(
    "name",
    [
        b"api-key",
        b"apikey",
        b"authorization",
        b"cf-access-client-secret",
        b"cf-access-jwt-assertion",
        b"cookie",
        b"idempotency-key",
        b"job-token",
        b"ocp-apim-subscription-key",
        b"private-token",
        b"proxy-authorization",
        b"referer",
        b"set-cookie",
        b"traceparent",
        b"x-amz-security-token",
        b"x-auth-token",
        b"x-functions-key",
        b"x-gitlab-token",
        b"x-goog-api-key",
        b"x-hub-signature-256",
        b"x-session-id",
        b"x-vault-token",
    ],
)
def test_credentials_and_what_is_new_every_time_are_remembered_nowhere(name: bytes) -> None:
    line = name + b": s3cr3t"
    lines, leaving, heads = FieldLines(), LeavingLines(frozenset()), KnownHeads()
    field = lines[line]
    assert field == (name, b"s3cr3t")
    leaving.encode([field], None)
    heads.keep(b"GET", b"", ("GET",), [field], dict([field]), keep_alive=True, memo={})
    assert (dict(lines), dict(leaving), heads.get(b"GET", b"")) == ({}, {}, None)


@pytest.mark.parametrize(
    "name",
    [b"accept", b"connection", b"content-type", b"host", b"keep-alive", b"mcp-session-id", b"user-agent"],
)
def test_what_clients_repeat_is_remembered(name: bytes) -> None:
    lines = FieldLines()
    assert list(map(lines.__getitem__, [name + b": x"])) == [(name, b"x")]
    assert len(lines) == 1
