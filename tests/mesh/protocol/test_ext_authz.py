from __future__ import annotations

import pytest

from mesh.protocol.ext_authz import (
    Approval,
    CheckDenied,
    Put,
    approval,
    check_path,
    check_request,
    shown_headers,
)

SENT = [
    (b"host", b"github.tools.svc"),
    (b"authorization", b"Bearer t"),
    (b"x-tenant", b"a"),
    (b"cookie", b"c"),
    (b"content-length", b"17"),
    (b"connection", b"x-hop"),
    (b"x-hop", b"1"),
    (b"x-forwarded-client-cert", b"URI=spiffe://forged"),
]


def test_a_question_over_http_is_the_request_without_its_body() -> None:
    asked = check_request("DELETE", b"/mcp?a=1", b"github.tools.svc:8080", SENT, None, prefix="/auth/v1/")
    assert asked.startswith(b"DELETE /auth/v1/mcp?a=1 HTTP/1.1\r\nhost: github.tools.svc:8080\r\n")
    assert b"content-length: 0\r\n" in asked
    assert b"authorization: Bearer t\r\n" in asked
    assert b"x-tenant" not in asked
    assert b"partial" not in asked


def test_a_body_that_is_forwarded_is_whole_and_its_length_is_told() -> None:
    asked = check_request("POST", b"/mcp", b"h", SENT, b"{}", allowed=("x-tenant",))
    assert asked.endswith(b"\r\n\r\n{}")
    assert b"x-tenant: a\r\n" in asked
    assert b"content-length: 2\r\nx-envoy-auth-partial-body: false\r\n" in asked


def test_only_what_is_allowed_and_travels_on_is_shown() -> None:
    assert [name for name, _ in shown_headers(SENT, ("x-tenant", "x-hop", "host"))] == [
        b"authorization",
        b"x-tenant",
    ]
    assert [name for name, _ in shown_headers(SENT, None)] == [b"authorization", b"x-tenant", b"cookie"]


@pytest.mark.parametrize(
    ("prefix", "path", "expected"),
    [
        ("", b"/mcp", b"/mcp"),
        ("/", b"/mcp", b"/mcp"),
        ("check", b"/mcp", b"/check/mcp"),
        ("/a/b", b"*", b"/a/b"),
        ("", b"*", b"*"),
    ],
)
def test_the_path_stands_behind_the_prefix(prefix: str, path: bytes, expected: bytes) -> None:
    assert check_path(prefix, path) == expected


@pytest.mark.parametrize("prefix", ["/a b", "/a\r\nx: y", "/ä", "/a\x7f"])
def test_a_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError):
        check_request("GET", b"/", b"h", [], None, prefix=prefix)


@pytest.mark.parametrize("status", [201, 204, 301, 401, 403, 500])
def test_nothing_but_200_is_a_yes(status: int) -> None:
    with pytest.raises(CheckDenied):
        approval(status, [(b"x-user", b"ann")], None)


ANSWERED = [
    (b"x-user", b"ann"),
    (b"x-role", b"a"),
    (b"x-role", b"b"),
    (b"content-type", b"text/plain"),
    (b"date", b"now"),
    (b"host", b"elsewhere"),
    (b"mcp-name", b"drop"),
    (b"transfer-encoding", b"chunked"),
    (b"x-envoy-auth-headers-to-remove", b"Authorization, cookie, host"),
]


def test_a_yes_brings_its_fields_but_none_that_frames_or_names() -> None:
    said = approval(200, ANSWERED, None)
    assert [name for _, name, _ in said.puts] == [b"x-user", b"x-role", b"x-role"]
    assert said.removed == {b"authorization", b"cookie"}
    assert [name for _, name, _ in approval(200, ANSWERED, ("x-user", "host")).puts] == [b"x-user"]
    assert approval(200, ANSWERED, ()).puts == ()


def test_a_field_that_is_set_takes_the_place_of_what_a_client_claimed() -> None:
    changed = Approval(
        (
            (Put.SET, b"x-user", b"ann"),
            (Put.APPEND, b"x-role", b"more"),
            (Put.ADD_IF_ABSENT, b"x-tenant", b"ignored"),
            (Put.ADD_IF_ABSENT, b"x-new", b"1"),
            (Put.SET_IF_PRESENT, b"x-gone", b"ignored"),
            (Put.SET_IF_PRESENT, b"x-seen", b"now"),
        ),
        frozenset({b"cookie"}),
    ).applied(
        [
            (b"x-user", b"root"),
            (b"x-role", b"a"),
            (b"x-tenant", b"t"),
            (b"x-seen", b"once"),
            (b"cookie", b"c"),
        ]
    )
    assert changed == [
        (b"x-role", b"a"),
        (b"x-tenant", b"t"),
        (b"x-user", b"ann"),
        (b"x-role", b"more"),
        (b"x-new", b"1"),
        (b"x-seen", b"now"),
    ]


def test_an_approval_without_changes_leaves_the_fields_as_they_are() -> None:
    assert Approval().applied(SENT) is SENT
