from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.identity.bundle_document import BundleDocument
from mesh.identity.ca import Authority
from mesh.identity.errors import DocumentInvalid, JwtInvalid, PemInvalid
from mesh.identity.issuance import (
    STATUS,
    BundlesAnswer,
    JwtSvidAnswer,
    JwtSvidRequest,
    Refusal,
    RefusedAnswer,
    SvidAnswer,
    SvidRequest,
    read_bundles,
    read_chain,
    read_document,
    read_jwt_svid,
    refresh_seconds,
    retry_seconds,
    stamp,
    write_bundles,
    write_chain,
    write_document,
)
from mesh.identity.issue import new_svid
from mesh.identity.jwt_svid import issue_jwt_svid, make_jwt_key
from mesh.identity.spiffe_id import SpiffeId

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WORKLOAD = SpiffeId("a.example", "/x")
TIMES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))
SECONDS = st.none() | st.integers(-(2**40), 2**40)
ANY_SECONDS = st.none() | st.integers(-(10**400), 10**400)
BUNDLES = st.dictionaries(st.text(max_size=9), st.dictionaries(st.text(max_size=9), st.integers(-99, 99)))
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=99)
DOCUMENTS = st.one_of(
    st.builds(SvidRequest, NAMES),
    st.builds(JwtSvidRequest, st.lists(NAMES, min_size=1, max_size=8).map(tuple)),
    st.builds(SvidAnswer, NAMES, BUNDLES, TIMES, SECONDS),
    st.builds(BundlesAnswer, BUNDLES, TIMES, SECONDS),
    st.builds(JwtSvidAnswer, NAMES, TIMES),
    st.builds(RefusedAnswer, NAMES, NAMES, st.none() | TIMES, SECONDS),
)


@given(DOCUMENTS)
def test_every_document_reads_back_as_it_was_written(document: Any) -> None:
    assert read_document(write_document(document), type(document)) == document


@given(BUNDLES, TIMES, ANY_SECONDS)
def test_refresh_is_between_a_second_and_a_day(
    bundles: dict[str, Any], time: datetime, hint: int | None
) -> None:
    seconds = refresh_seconds(BundlesAnswer(bundles, time, hint))
    assert (seconds is None) == (hint is None)
    assert seconds is None or 1 <= seconds <= 86400


@given(NAMES, ANY_SECONDS)
def test_a_caller_waits_for_a_day_at_most(detail: str, wait: int | None) -> None:
    seconds = retry_seconds(RefusedAnswer("rate_limited", detail, None, wait))
    assert (seconds is None) == (wait is None)
    assert seconds is None or 0 <= seconds <= 86400


def test_documents_are_spelled_as_the_protocol_says() -> None:
    answer = SvidAnswer("chain", {}, NOW, 300)
    assert write_document(answer) == (
        b'{"chain":"chain","bundles":{},"time":"2026-06-01T12:00:00Z","refreshAfterSeconds":300}'
    )


def test_an_answer_may_hold_more_than_is_known() -> None:
    body = b'{"token":"t","time":"2026-06-01T12:00:00Z","hint":"new"}'
    assert read_document(body, JwtSvidAnswer) == JwtSvidAnswer("t", NOW)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", SvidRequest),
        (b"[]", SvidRequest),
        (b"{}", SvidRequest),
        (b'{"csr":1}', SvidRequest),
        (b'{"csr":"x","spiffeId":"spiffe://a/b"}', SvidRequest),
        (b"\xff", SvidRequest),
        (b"[" * 5000, SvidRequest),
        (b'{"audience":[]}', JwtSvidRequest),
        (b'{"audience":"x"}', JwtSvidRequest),
        (b'{"audience":[""]}', JwtSvidRequest),
        (b'{"audience":["1","2","3","4","5","6","7","8","9"]}', JwtSvidRequest),
        (msgspec.json.encode({"audience": ["x" * 513]}), JwtSvidRequest),
        (b'{"token":"t","time":"2026-06-01T12:00:00"}', JwtSvidAnswer),
        (b'{"token":"t","time":"noon"}', JwtSvidAnswer),
        (b'{"error":1,"detail":"x"}', RefusedAnswer),
    ],
)
def test_what_breaks_the_shape_is_refused(body: bytes, kind: Any) -> None:
    with pytest.raises(DocumentInvalid):
        read_document(body, kind)


def test_chain_and_bundles_travel(authority: Authority, now: datetime) -> None:
    svid = new_svid(authority, WORKLOAD, now, timedelta(hours=1))
    bundle = BundleDocument(authority.bundle, {"k": make_jwt_key().public}, 1, 300)
    sent = SvidAnswer(write_chain(svid.chain_der), write_bundles({"a.example": bundle}), now)
    received = read_document(write_document(sent), SvidAnswer)
    assert read_chain(received) == svid.chain_der
    assert read_bundles(received)["a.example"].x509 == authority.bundle
    with pytest.raises(PemInvalid):
        read_chain(SvidAnswer("\ud800", {}, now))


def test_a_token_for_another_audience_is_not_taken() -> None:
    token = issue_jwt_svid(make_jwt_key(), WORKLOAD, ["db"], NOW, timedelta(minutes=5))
    assert read_jwt_svid(JwtSvidAnswer(token, NOW), ("db",)).spiffe_id == WORKLOAD
    with pytest.raises(DocumentInvalid, match="is for db, not for vault"):
        read_jwt_svid(JwtSvidAnswer(token, NOW), ("vault",))
    with pytest.raises(JwtInvalid):
        read_jwt_svid(JwtSvidAnswer("x", NOW), ("db",))


def test_times_are_whole_seconds_in_utc() -> None:
    there = datetime(2026, 6, 1, 14, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    assert stamp(there) == NOW


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS) == set(Refusal)
