"""The memory of callers' tokens: bounded, expiring, and without the tokens."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials.caller_tokens import (
    LEEWAY_SECONDS,
    SWEEP_SECONDS,
    CallerTokens,
)
from sidecar.proxy.plan import Routed, Treatment
from sidecar.proxy.pool import Destination
from tests.mesh.protocol.test_caller_token import jwt
from tests.support.fakes import Clock, request_head

ELSEWHERE = Routed(
    "outbound", b"/", "/", b"x", Destination("api.example.com", 443), None, "undeclared", Treatment.HTTP
)

CALLER = "spiffe://test.mesh/ns/agents/sa/caller"


def memory(limit: int = 100, seconds: float = 1000.0) -> tuple[CallerTokens, Clock]:
    clock = Clock(1_000_000.0)
    return CallerTokens(limit=limit, seconds=seconds, now=clock), clock


def inbound(**fields: str) -> Any:
    return request_head("POST /mcp", host="agent", **fields)


def outbound(**fields: str) -> Any:
    return request_head("POST http://api.example.com:443/", host="api.example.com:443", **fields)


def stripped(tokens: CallerTokens, **fields: str) -> list[str]:
    """The names of the fields that are taken away."""
    return [name.decode() for name, _ in tokens.foreign(outbound(**fields), ELSEWHERE)]


def test_a_callers_token_is_found_wherever_it_is_carried_and_nothing_else_is() -> None:
    tokens, _ = memory()
    tokens.remember(inbound(authorization="Bearer callers-secret"), CALLER)
    assert stripped(tokens, authorization="Bearer callers-secret") == ["authorization"]
    assert stripped(tokens, authorization="token callers-secret") == ["authorization"]
    assert stripped(tokens, **{"x-api-key": "callers-secret", "cookie": "a=b; t=callers-secret"}) == [
        "x-api-key",
        "cookie",
    ]
    assert stripped(tokens, authorization="Bearer agents-own-secret", accept="callers-secret") == []


def test_what_a_caller_calls_its_token_takes_no_common_field_away() -> None:
    tokens, _ = memory()
    for value in ("application/json", "python-httpx/0.28", "2025-11-25", "gzip, br"):
        tokens.remember(inbound(authorization=f"Bearer {value}"), CALLER)
    fields = {"accept": "application/json", "user-agent": "python-httpx/0.28"}
    assert stripped(tokens, **fields, **{"mcp-protocol-version": "2025-11-25"}) == []


def test_a_jwt_goes_to_its_audience_only() -> None:
    tokens, _ = memory()
    ours, theirs = (jwt({"aud": aud}).decode() for aud in ("https://agent", "https://api.example.com/v1"))
    tokens.remember(inbound(authorization=f"Bearer {ours}"), CALLER)
    tokens.remember(inbound(authorization=f"Bearer {theirs}"), CALLER)
    assert stripped(tokens, authorization=f"Bearer {ours}") == ["authorization"]
    assert stripped(tokens, authorization=f"Bearer {theirs}") == []
    assert stripped(tokens, **{"x-user": ours}) == ["x-user"]


def test_a_token_is_forgotten_after_its_time_since_it_was_last_seen() -> None:
    tokens, clock = memory(seconds=100)
    head = inbound(authorization="Bearer callers-secret")
    tokens.remember(head, CALLER)
    clock.now += 90
    tokens.remember(head, CALLER)
    clock.now += 99
    assert stripped(tokens, authorization="Bearer callers-secret")
    clock.now += 2
    assert not stripped(tokens, authorization="Bearer callers-secret")


def test_a_jwt_is_not_remembered_beyond_its_expiry_and_what_clocks_differ() -> None:
    tokens, clock = memory(seconds=10_000)
    token = jwt({"exp": clock.now + 50}).decode()
    tokens.remember(inbound(authorization=f"Bearer {token}"), CALLER)
    clock.now += 49 + LEEWAY_SECONDS
    assert stripped(tokens, authorization=f"Bearer {token}")
    clock.now += 2
    assert not stripped(tokens, authorization=f"Bearer {token}")


def test_what_is_forgotten_leaves_the_memory() -> None:
    tokens, clock = memory(seconds=10)
    tokens.remember(inbound(authorization="Bearer callers-secret"), CALLER)
    clock.now += SWEEP_SECONDS + 1
    tokens.remember(inbound(authorization="Bearer another-secret"), CALLER)
    assert len(tokens.known) == 1


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 5))
def test_the_tokens_seen_last_are_kept_and_no_more(seen: list[int], limit: int) -> None:
    tokens, _ = memory(limit)
    for number in seen:
        tokens.remember(inbound(authorization=f"Bearer callers-secret-{number}"), CALLER)
    last = list(dict.fromkeys(reversed(seen)))[:limit]
    kept = {n for n in range(10) if stripped(tokens, authorization=f"Bearer callers-secret-{n}")}
    assert kept == set(last)
    assert len(tokens.known) == len(last)


def test_no_token_is_kept_and_no_hash_that_another_process_would_make() -> None:
    tokens, _ = memory()
    others, _ = memory()
    secret = "callers-secret-that-nobody-may-keep"
    for each in (tokens, others):
        each.remember(inbound(authorization=f"Bearer {secret}"), CALLER)
    gc.collect()
    assert secret not in repr(tokens.known)
    assert not tokens.known.keys() & others.known.keys()
    assert all(len(key) == 32 for key in tokens.known)


@pytest.mark.parametrize("field", ["accept", "content-type", "mcp-session-id"])
def test_a_request_without_credentials_teaches_nothing_and_is_looked_at_once(field: str) -> None:
    tokens, _ = memory()
    head = inbound(**{field: "0123456789abcdef"})
    tokens.remember(head, CALLER)
    assert not tokens.known
    assert len(head.memo) == 1
