"""Whatever bytes stand in files or come from a server, only the documented exception leaves the readers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.identity.bundle_document import (
    BundleDocument,
    bundle_from_object,
    bundle_to_object,
    read_bundle_document,
)
from mesh.identity.ca import make_authority
from mesh.identity.csr import check_csr, make_csr
from mesh.identity.errors import CsrInvalid, DocumentInvalid, IdentityInvalid, JwtInvalid, PemInvalid
from mesh.identity.issuance import (
    BundlesAnswer,
    JwtSvidAnswer,
    JwtSvidRequest,
    RefusedAnswer,
    SvidAnswer,
    SvidRequest,
    read_bundles,
    read_chain,
    read_document,
    write_bundles,
    write_chain,
    write_document,
)
from mesh.identity.issue import new_svid
from mesh.identity.jws import read_jws
from mesh.identity.jwt_svid import JwtSvid, issue_jwt_svid, make_jwt_key, validate_jwt_svid
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, read_pem, write_pem
from mesh.identity.spiffe_id import SpiffeId
from sidecar.identity.identity_files import FileLayout, read_drop
from tests.support.fuzzing import examples

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WORKLOAD = SpiffeId("a.example", "/x")
ROOT = make_authority("a.example", NOW, timedelta(days=1))
SVID = new_svid(ROOT, WORKLOAD, NOW, timedelta(hours=1))
JWT_KEY = make_jwt_key()
TOKEN = issue_jwt_svid(JWT_KEY, WORKLOAD, ["db"], NOW, timedelta(minutes=5))
BUNDLE = BundleDocument(ROOT.bundle, {JWT_KEY.key_id: JWT_KEY.public}, 1, 300)
CHAIN = write_pem(CERTIFICATE, *SVID.chain_der).encode()
KEY = write_pem(PRIVATE_KEY, SVID.key_pkcs8_der).encode()
TRUST = write_pem(CERTIFICATE, ROOT.der).encode()
DOCUMENT = msgspec.json.encode(bundle_to_object(BUNDLE))
CSR = make_csr(ec.generate_private_key(ec.SECP256R1())).encode()
ANSWER = write_document(
    SvidAnswer(write_chain(SVID.chain_der), write_bundles({"a.example": BUNDLE}), NOW, 60)
)
KINDS: list[Any] = [SvidRequest, JwtSvidRequest, SvidAnswer, BundlesAnswer, JwtSvidAnswer, RefusedAnswer]


def mutated(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """A seed with a piece cut out, replaced or repeated."""

    def change(seed: bytes, start: int, length: int, piece: bytes) -> bytes:
        start %= len(seed)
        return seed[:start] + piece + seed[start + length :]

    pieces = st.one_of(st.binary(max_size=8), st.sampled_from([b"-----", b"\n", b"{", b"=", *seeds]))
    return st.one_of(
        st.builds(change, st.sampled_from(seeds), st.integers(0, 9999), st.integers(0, 64), pieces),
        st.binary(max_size=300),
    )


def only(documented: type[Exception], read: Callable[[], object]) -> None:
    with suppress(documented):
        read()


@settings(max_examples=examples(300), deadline=None)
@given(mutated(CHAIN, KEY + CHAIN, TRUST))
def test_pem_is_read_whole_or_refused(text: bytes) -> None:
    try:
        blocks = read_pem(text)
    except PemInvalid:
        return
    again = "".join(write_pem(block.label, block.der) for block in blocks)
    assert read_pem(again.encode()) == blocks
    assert len(blocks) == text.count(b"-----BEGIN ")


@settings(max_examples=examples(300), deadline=None)
@given(mutated(DOCUMENT))
def test_bundle_documents(text: bytes) -> None:
    only(IdentityInvalid, lambda: read_bundle_document("a.example", text))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["x509-svid", "jwt-svid"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["keys", "use", "kid", "kty", "crv", "x", "y", "n", "e", "x5c", "spiffe_sequence"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
JWK = st.fixed_dictionaries(
    {"use": st.sampled_from(["x509-svid", "jwt-svid"])},
    optional={
        "kid": st.text(max_size=3) | JSON,
        "kty": st.sampled_from(["EC", "RSA", "OKP"]) | JSON,
        "crv": st.sampled_from(["P-256", "P-521"]) | JSON,
        "x": st.text("AQ_-", max_size=90) | JSON,
        "y": st.text("AQ_-", max_size=90) | JSON,
        "n": st.text("AQ_-", max_size=400) | JSON,
        "e": st.sampled_from(["AQAB", "Aw", "AA"]) | JSON,
        "x5c": st.lists(st.text("AQ=", max_size=9), max_size=2) | JSON,
    },
)


@settings(max_examples=examples(300), deadline=None)
@given(JSON | st.builds(lambda keys: {"keys": keys}, st.lists(JWK, max_size=3)))
def test_bundle_documents_of_any_shape(value: object) -> None:
    only(IdentityInvalid, lambda: bundle_from_object("a.example", value))


@settings(max_examples=examples(200), deadline=None)
@given(mutated(CSR).map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_certificate_requests(text: str) -> None:
    only(CsrInvalid, lambda: check_csr(text))


@settings(max_examples=examples(300), deadline=None)
@given(mutated(TOKEN.encode()).map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_tokens(text: str) -> None:
    only(JwtInvalid, lambda: read_jws(text))
    only(JwtInvalid, lambda: JwtSvid.parse(text))
    keys = {"a.example": {JWT_KEY.key_id: JWT_KEY.public}}
    try:
        subject, _ = validate_jwt_svid(text, "db", keys, NOW)
    except JwtInvalid:
        return
    assert (text, subject) == (TOKEN, WORKLOAD)


@settings(max_examples=examples(300), deadline=None)
@given(mutated(ANSWER), st.sampled_from(KINDS))
def test_documents_of_the_protocol(body: bytes, kind: Any) -> None:
    try:
        document = read_document(body, kind)
    except DocumentInvalid:
        return
    if isinstance(document, SvidAnswer):
        only(PemInvalid, lambda: read_chain(document))
    if isinstance(document, SvidAnswer | BundlesAnswer):
        only(IdentityInvalid, lambda: read_bundles(document))


@settings(max_examples=examples(300), deadline=None)
@given(mutated(CHAIN), mutated(KEY), mutated(TRUST, DOCUMENT), st.integers(0, 7))
def test_identity_files(chain: bytes, key: bytes, trust: bytes, spoiled: int) -> None:
    """Some of the three files spoiled: the whole identity or a fault, never a part of one."""
    contents = {
        Path("c"): chain if spoiled & 1 else CHAIN,
        Path("k"): key if spoiled & 2 else KEY,
        Path("b"): trust if spoiled & 4 else TRUST,
    }
    try:
        identity = read_drop(FileLayout(Path("c"), Path("k"), Path("b")), contents).identity
    except IdentityInvalid:
        return
    assert identity.svid.chain_der[0] == SVID.chain_der[0]
    only(IdentityInvalid, lambda: read_drop(FileLayout(Path("k"), None, Path("b")), contents))
