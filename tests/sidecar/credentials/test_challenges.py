"""What callers without a token that counts are told."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from mesh.protocol.http1.heads import RequestHead, header
from mesh.protocol.oauth.challenge import parse_challenges
from mesh.reasons import Reason
from sidecar.credentials.challenges import insufficient_scope, metadata_reply, unauthorized
from sidecar.credentials.verified import TokenRefused
from sidecar.proxy.plan import Reply
from sidecar.proxy.replies import encode
from tests.support.issuing import AUTH, ISSUER

SCOPED = dataclasses.replace(AUTH, scopes=frozenset({"triage.use", "a"}))
METADATA = "https://triage.example.com/.well-known/oauth-protected-resource/mcp"


def asked(host: bytes = b"triage.example.com") -> RequestHead:
    fields = [(b"host", host)] if host else []
    return RequestHead("POST", b"/mcp", fields, 0, True, False, not host, dict(fields))


def challenged(reply: Reply) -> dict[str, str]:
    value = header(list(reply.headers), b"www-authenticate")
    assert value is not None
    (challenge,) = parse_challenges([value])
    assert challenge.scheme == "Bearer"
    encode(reply, asked(), closing=False)
    return dict(challenge.params)


def test_who_brings_no_token_is_told_where_to_get_one_and_of_no_error() -> None:
    reply = unauthorized(None, SCOPED, asked(), "/mcp", scheme="https")
    assert reply.status == 401
    assert challenged(reply) == {"resource_metadata": METADATA, "scope": "a triage.use"}
    assert json.loads(reply.body)["reason"] == "token_missing"


def test_who_brings_a_bad_token_is_told_why() -> None:
    refused = TokenRefused(Reason.TOKEN_EXPIRED, "the token expired at 2026-01-01")
    reply = unauthorized(refused, AUTH, asked(), "/mcp", scheme="https")
    assert reply.status == 401
    assert challenged(reply) == {
        "error": "invalid_token",
        "error_description": "token_expired: the token expired at 2026-01-01",
        "resource_metadata": METADATA,
    }
    body = json.loads(reply.body)
    assert (body["status"], body["title"], body["reason"]) == (401, "Unauthorized", "token_expired")


@pytest.mark.parametrize(
    ("reason", "status", "error"),
    [
        (Reason.TOKEN_MALFORMED, 401, "invalid_token"),
        (Reason.TOKEN_TOO_LARGE, 401, "invalid_token"),
        (Reason.HANDLE_UNKNOWN, 401, "invalid_token"),
        (Reason.TOKEN_REPEATED, 400, "invalid_request"),
        (Reason.SCOPE_MISSING, 403, "insufficient_scope"),
        (Reason.TOKEN_MISSING, 401, None),
    ],
)
def test_each_reason_has_its_status(reason: Reason, status: int, error: str | None) -> None:
    reply = unauthorized(TokenRefused(reason, ""), AUTH, asked(), "/mcp", scheme="https")
    assert (reply.status, challenged(reply).get("error")) == (status, error)


@pytest.mark.parametrize("reason", [Reason.ISSUER_UNAVAILABLE, Reason.TOO_MANY_UNKNOWN_TOKENS])
def test_what_may_be_over_soon_says_nothing_of_the_token(reason: Reason) -> None:
    reply = unauthorized(TokenRefused(reason, "x"), AUTH, asked(), "/mcp", scheme="https")
    assert reply.status == 503
    assert header(list(reply.headers), b"retry-after") == b"5"
    assert header(list(reply.headers), b"www-authenticate") is None


def test_a_missing_scope_names_all_that_are_needed() -> None:
    reply = insufficient_scope(frozenset({"orders.read"}), SCOPED, asked(), "/mcp", scheme="https")
    assert reply.status == 403
    assert challenged(reply) == {
        "error": "insufficient_scope",
        "error_description": "scope_missing",
        "resource_metadata": METADATA,
        "scope": "a orders.read triage.use",
    }


@pytest.mark.parametrize(
    "detail", ['x", resource_metadata="https://evil', "a\r\nset-cookie: b", "\\", "ü", "x" * 5000]
)
def test_nothing_in_a_detail_says_anything_of_its_own(detail: str) -> None:
    reply = unauthorized(TokenRefused(Reason.TOKEN_MALFORMED, detail), AUTH, asked(), "/mcp", scheme="https")
    params = challenged(reply)
    assert params.keys() == {"error", "error_description", "resource_metadata"}
    assert params["resource_metadata"] == METADATA


@pytest.mark.parametrize(
    ("host", "path", "scheme", "resource"),
    [
        (b"triage:8443", "/mcp", "https", "https://triage:8443/.well-known/oauth-protected-resource/mcp"),
        (b"triage", "/", "http", "http://triage/.well-known/oauth-protected-resource"),
        (b'a"b', "/", "http", "http://a'b/.well-known/oauth-protected-resource"),
        (b"", "/mcp", "https", None),
    ],
)
def test_a_workload_is_called_as_its_caller_calls_it(
    host: bytes, path: str, scheme: str, resource: str | None
) -> None:
    reply = unauthorized(None, AUTH, asked(host), path, scheme=scheme)
    value = dict(reply.headers)[b"www-authenticate"]
    assert value == (b"Bearer" if resource is None else f'Bearer resource_metadata="{resource}"'.encode())


def test_a_configured_name_counts_more() -> None:
    auth = dataclasses.replace(AUTH, resource="https://public.example.com/agents/triage")
    expected = "https://public.example.com/.well-known/oauth-protected-resource/agents/triage"
    assert (
        challenged(unauthorized(None, auth, asked(), "/mcp", scheme="http"))["resource_metadata"] == expected
    )


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/.well-known/oauth-protected-resource/mcp", "https://triage.example.com/mcp"),
        ("/.well-known/oauth-protected-resource", "https://triage.example.com"),
    ],
)
def test_the_document_is_of_the_resource_that_was_asked_for(path: str, resource: str) -> None:
    reply = metadata_reply(SCOPED, asked(), path, scheme="https")
    document: dict[str, Any] = json.loads(reply.body)
    assert (reply.status, reply.content_type) == (200, b"application/json")
    assert document == {
        "resource": resource,
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["a", "triage.use"],
    }


def test_without_a_host_there_is_no_document() -> None:
    assert (
        metadata_reply(AUTH, asked(b""), "/.well-known/oauth-protected-resource", scheme="https").status
        == 400
    )
