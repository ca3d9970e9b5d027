"""Answers of GitHub and Vault, mutated and made up: only the documented exception escapes, and no field breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol.github_app import read_token, token_call
from mesh.protocol.oauth.token_refusal import NoToken
from mesh.protocol.vault import Login, login_call, read_login, read_secret, secret_call
from tests.support.fuzzing import examples

NOW = 1_800_000_000.0
SENT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2lnbmF0dXJl"
GITHUB = token_call("https://api.github.com", "42", SENT)
LOGIN = login_call("https://vault.example", "jwt", "r", SENT, None)
SECRET = secret_call("https://vault.example", "kv/data/a", Login(SENT, NOW), None)

SEEDS = [
    json.dumps(seed).encode()
    for seed in (
        {"token": "ghs_abc", "expires_at": "2027-01-15T09:00:00Z", "repositories": []},
        {"message": "Not Found", "status": "404"},
        {"auth": {"client_token": "hvs.x", "lease_duration": 3600, "policies": ["a"]}},
        {"data": {"data": {"token": "x"}, "metadata": {"version": 1}}, "lease_id": "", "lease_duration": 0},
        {"data": {"token": "x"}, "lease_id": "db/1", "lease_duration": 60},
        {"errors": ["permission denied", SENT], "warnings": None},
    )
]
KEYS = [
    "token",
    "expires_at",
    "auth",
    "client_token",
    "lease_duration",
    "lease_id",
    "data",
    "metadata",
    "errors",
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(SENT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "message"]), inner),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(body) - 1, 0)))
        body[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(body)


bodies = st.binary(max_size=60) | mutated() | values.map(lambda value: json.dumps(value).encode())
statuses = st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 422, 429, 473, 500, 503])
retries = st.sampled_from([b"", b"5", b"-1", b"9" * 30, b"x"])
VISIBLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def check(no: NoToken) -> None:
    """What may be told of an answer."""
    assert SENT not in str(no)
    assert re.fullmatch(r"[ -~]*", str(no))
    assert len(str(no)) < 1000
    assert no.retry_after is None or 0 <= no.retry_after <= 3600


@settings(max_examples=examples(400), deadline=None)
@given(status=statuses, body=bodies, retry=retries)
def test_only_the_documented_exception_escapes(status: int, body: bytes, retry: bytes) -> None:
    headers = [(b"retry-after", retry)]
    readers: list[Callable[[], object]] = [
        lambda: read_token(status, headers, body, GITHUB, NOW).token,
        lambda: read_login(status, headers, body, LOGIN, NOW).token,
        lambda: read_secret(status, headers, body, SECRET, "token").value,
    ]
    for reader in readers:
        try:
            value = reader()
        except NoToken as no:
            check(no)
        else:
            assert VISIBLE.fullmatch(str(value))
            assert value != SENT
