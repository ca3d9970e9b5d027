"""The header field of a credential, and what must not come back of it."""

from __future__ import annotations

import base64

import pytest

from sidecar.credentials.mint.fields import fields_of


@pytest.mark.parametrize(
    ("header", "scheme", "field"),
    [
        ("authorization", "Bearer", (b"authorization", b"Bearer key")),
        ("Authorization", "token", (b"authorization", b"token key")),
        ("X-Api-Key", "", (b"x-api-key", b"key")),
    ],
)
def test_a_credential_is_written_as_the_backend_wants_it(
    header: str, scheme: str, field: tuple[bytes, bytes]
) -> None:
    issued = fields_of(header, scheme, b"key")
    assert issued.fields == [field]
    assert issued.secrets == (b"key",)
    assert "key" not in repr(issued)


@pytest.mark.parametrize(
    ("value", "more"),
    [
        (base64.b64encode(b"user:pass"), (b"user:pass", b"pass")),
        (base64.b64encode(b"user:"), (b"user:",)),
        (base64.b64encode(b"token"), (b"token",)),
        (b"not base64", ()),
        (b"\xff", ()),
    ],
)
def test_the_password_of_basic_is_a_secret_too(value: bytes, more: tuple[bytes, ...]) -> None:
    assert fields_of("authorization", "Basic", value).secrets == (value, *more)
