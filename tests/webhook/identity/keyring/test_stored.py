"""The keyring in its Secret: what is written is read again, and what people break is named and not used."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.identity.keyring.plan import Act, Asked, next_step, perform
from webhook.identity.keyring.stored import KeyringInvalid, read_keyring, write_keyring
from webhook.identity.keyring.values import Keyring, Times

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
TD = "a.example"


def advanced(keyring: Keyring | None, now: datetime, asked: Asked) -> Keyring:
    while (step := next_step(keyring, asked, now, Times())).act is not Act.REST:
        keyring = perform(step, keyring, TD, asked, now, Times())
    assert keyring is not None
    return keyring


FOUNDED = advanced(None, START, Asked())
ROTATED = advanced(advanced(FOUNDED, START, Asked("x")), START + timedelta(hours=24), Asked("x"))
TEXT = write_keyring(ROTATED)


def test_what_is_written_is_read_again() -> None:
    for keyring in (FOUNDED, ROTATED):
        text = write_keyring(keyring)
        read = read_keyring(text, TD)
        assert write_keyring(read) == text
        assert read.bundle(300) == keyring.bundle(300)
        assert [one.key is None for one in read.roots] == [one.key is None for one in keyring.roots]
        assert read.bridges == keyring.bridges


def broken(path: str, value: Any) -> bytes:
    document = json.loads(TEXT)
    place = document
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    for part in parents:
        place = place[part]
    place[last] = value
    return json.dumps(document).encode()


OTHER = json.loads(write_keyring(advanced(None, START, Asked())))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"{", "keyring.json: Input data was truncated"),
        (b"\xff", "keyring.json"),
        (broken("format", 2), "format 2; this release knows 1"),
        (broken("trustDomain", "b.example"), "of the trust domain b.example, not of a.example"),
        (broken("roots", []), "must each hold something"),
        (broken("roots/0/certificate", "x"), r"roots\[0\]: one certificate in PEM is needed"),
        (
            broken("roots/0/key", OTHER["roots"][0]["key"]),
            r"roots\[0\]: the key is not that of the certificate",
        ),
        (
            broken("roots/0/certificate", OTHER["issuers"][0]["certificate"]),
            r"roots\[0\]: it is not signed by",
        ),
        (broken("roots/0/begins", "2026-06-01T12:00:00"), r"roots\[0\]: a date without its time zone"),
        (broken("issuers/0", OTHER["issuers"][0]), r"issuers\[0\]: no root signed it"),
        (broken("issuers/0/key", ""), r"issuers\[0\]: the key cannot be read"),
        (
            broken("tokenKeys/0/key", OTHER["tokenKeys"][0]["key"]),
            r"tokenKeys\[0\]: the key is not an EC key, or",
        ),
        (broken("tokenKeys/0/public", "x"), r"tokenKeys\[0\]: the public key cannot be read"),
        (broken("tokenKeys/0/keyId", ""), r"tokenKeys\[0\]: a name and an EC or RSA key are needed"),
        (broken("tokenKeys", [{**OTHER["tokenKeys"][0], "key": ""}]), "none has a key to sign with"),
        (broken("bridges", ["x"]), r"bridges\[0\]: one certificate"),
    ],
)
def test_what_is_broken_is_named_without_showing_a_key(text: bytes, told: str) -> None:
    with pytest.raises(KeyringInvalid, match=told) as refused:
        read_keyring(text, TD)
    assert "PRIVATE KEY-----\n" not in str(refused.value)


def test_a_leaf_is_no_authority() -> None:
    from mesh.identity.issue import new_svid
    from mesh.identity.pem import CERTIFICATE, write_pem
    from mesh.identity.spiffe_id import SpiffeId

    leaf = new_svid(FOUNDED.issuers[0].authority, SpiffeId(TD, "/x"), START, timedelta(hours=1))
    with pytest.raises(KeyringInvalid, match="not the certificate of an authority"):
        read_keyring(broken("roots/0/certificate", write_pem(CERTIFICATE, leaf.chain_der[0])), TD)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TEXT) - 1), st.binary(max_size=6))
def test_whatever_stands_there_is_read_or_refused(place: int, piece: bytes) -> None:
    try:
        read_keyring(TEXT[:place] + piece + TEXT[place + len(piece) :], TD)
    except KeyringInvalid:
        return


def test_keys_do_not_show_in_a_representation() -> None:
    assert "PRIVATE" not in repr(ROTATED)
    assert msgspec.json.decode(TEXT)["roots"][1].get("key") is None
