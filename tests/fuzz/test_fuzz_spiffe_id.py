"""Identities are read from what strangers send: only the documented exceptions may come out."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import make_authority, make_intermediate
from mesh.identity.der import split_der
from mesh.identity.errors import IdentityInvalid, PeerRefused, SpiffeIdInvalid, SvidInvalid
from mesh.identity.issue import new_svid
from mesh.identity.spiffe_id import SpiffeId
from mesh.identity.svid import X509Svid
from mesh.identity.verify import verify_peer
from tests.support.fuzzing import examples

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
AUTHORITY = make_authority("a.example", NOW, timedelta(days=1))
SVID = new_svid(AUTHORITY, SpiffeId("a.example", "/ns/x/sa/y"), NOW, timedelta(hours=1))
INTERMEDIATE = make_intermediate(AUTHORITY, NOW, timedelta(hours=2))
DEEP_SVID = new_svid(INTERMEDIATE, SpiffeId("a.example", "/ns/x/sa/y"), NOW, timedelta(hours=1))
SEEDS = ["spiffe://a.example/ns/x/sa/y", "spiffe://a", "spiffe://a/b/c.d/_-", "spiffe://1.2.3.4/..."]
GRAMMAR = re.compile(r"spiffe://[a-z0-9._-]{1,255}(/(?!\.{1,2}(/|\Z))[a-zA-Z0-9._-]+)*", re.ASCII)

odd_characters = st.sampled_from("/.%:@?#\\ \x00\n\rAaé_-~[]＠．")


@st.composite
def mutated_text(draw: st.DrawFn) -> str:
    text = list(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(text)))
        text[place : place + draw(st.integers(0, 2))] = draw(st.one_of(odd_characters, st.just("")))
    return "".join(text)


@st.composite
def mutated_bytes(draw: st.DrawFn, seed: bytes) -> bytes:
    data = bytearray(seed)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


@settings(max_examples=examples(400), deadline=None)
@given(st.one_of(mutated_text(), st.text(max_size=40), st.text(max_size=40).map("spiffe://".__add__)))
def test_an_id_is_accepted_exactly_when_the_grammar_matches(text: str) -> None:
    try:
        parsed = SpiffeId.parse(text)
    except SpiffeIdInvalid:
        assert GRAMMAR.fullmatch(text) is None
    else:
        assert GRAMMAR.fullmatch(text) is not None
        assert str(parsed) == text


@settings(max_examples=examples(400), deadline=None)
@given(st.one_of(st.binary(max_size=64), mutated_bytes(AUTHORITY.der + SVID.chain_der[0])))
def test_what_is_split_is_all_there(data: bytes) -> None:
    try:
        parts = split_der(data)
    except IdentityInvalid:
        return
    assert b"".join(parts) == data


@settings(max_examples=examples(300), deadline=None)
@given(mutated_bytes(AUTHORITY.der))
def test_a_bundle_is_read_or_refused(data: bytes) -> None:
    try:
        TrustBundle.from_der("a.example", data)
    except IdentityInvalid:
        return


@settings(max_examples=examples(500), deadline=None)
@given(mutated_bytes(SVID.chain_der[0]))
def test_a_mutated_certificate_never_proves_another_identity(leaf: bytes) -> None:
    try:
        identity = verify_peer((leaf,), {"a.example": AUTHORITY.bundle}, NOW)
    except PeerRefused:
        return
    assert identity == SVID.spiffe_id


@settings(max_examples=examples(300), deadline=None)
@given(mutated_bytes(DEEP_SVID.chain_der[1]))
def test_a_mutated_signer_never_proves_another_identity(signer: bytes) -> None:
    try:
        identity = verify_peer((DEEP_SVID.chain_der[0], signer), {"a.example": AUTHORITY.bundle}, NOW)
    except PeerRefused:
        return
    assert identity == DEEP_SVID.spiffe_id


@settings(max_examples=examples(300), deadline=None)
@given(mutated_bytes(b"".join(DEEP_SVID.chain_der)), mutated_bytes(DEEP_SVID.key_pkcs8_der))
def test_an_svid_is_read_or_refused(chain: bytes, key: bytes) -> None:
    try:
        X509Svid.parse(chain, key)
    except SvidInvalid:
        return
