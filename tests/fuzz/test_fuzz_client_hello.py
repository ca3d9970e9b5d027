"""The first bytes of a connection come from anybody: only NotClientHello may come out, however they are cut."""

from __future__ import annotations

import re
import ssl
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.protocol.tls.client_hello import ClientHello, ClientHelloReader, NotClientHello, read_client_hello
from mesh.reasons import Reason
from tests.support.client_hellos import (
    alpn,
    browser_like,
    hello_body,
    message,
    real_hello,
    records,
    server_name,
    supported_versions,
)
from tests.support.fuzzing import examples

SEEDS = [
    real_hello("api.example.com"),
    real_hello("api.example.com", ["h2", "http/1.1"]),
    real_hello(None),
    browser_like(),
    records(message(hello_body([server_name(b"a.example"), alpn(b"h2"), supported_versions(0x0304)])), 7),
    records(message(hello_body(None))),
]
NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
cuts = st.lists(st.integers(0, 2500), max_size=8)
Outcome = ClientHello | Reason | None


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        # The start holds the lengths; the rest is mostly chance.
        place = draw(st.integers(0, len(data)) | st.integers(0, 12))
        data[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


@st.composite
def well_wrapped(draw: st.DrawFn) -> bytes:
    """Records and message lengths are right, so that the fault lies deeper."""
    body = bytearray(hello_body([server_name(b"a.example"), alpn(b"h2"), supported_versions(0x0304)]))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(body)))
        body[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return records(message(bytes(body)), draw(st.integers(1, 300)))


hostile = (
    mutated() | well_wrapped() | st.binary(max_size=200) | st.binary(max_size=60).map(b"\x16\x03".__add__)
)


def outcome(pieces: list[bytes]) -> Outcome:
    reader = ClientHelloReader()
    try:
        for piece in pieces:
            if (found := reader.feed(piece)) is not None:
                return found
    except NotClientHello as refused:
        return refused.reason
    return None


def split(data: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@settings(max_examples=examples(500), deadline=None)
@given(hostile, cuts)
def test_how_bytes_are_cut_changes_nothing(data: bytes, at: list[int]) -> None:
    assert outcome(split(data, at)) == outcome([data])


@settings(max_examples=examples(500), deadline=None)
@given(hostile, st.integers(0, 2500))
def test_what_is_said_of_a_start_holds_of_the_whole(data: bytes, end: int) -> None:
    assert outcome([data[:end]]) in (None, outcome([data]))


@settings(max_examples=examples(500), deadline=None)
@given(well_wrapped() | mutated())
def test_a_name_that_is_read_is_a_name_and_the_one_that_openssl_reads(data: bytes) -> None:
    try:
        found = read_client_hello(data)
    except NotClientHello:
        return
    if found is None:
        return
    assert found.server_name is None or NAME.fullmatch(found.server_name)
    for name in names_for_openssl(data):
        assert (name and name.lower().removesuffix(".")) == found.server_name


def names_for_openssl(data: bytes) -> list[str | None]:
    """What a server on OpenSSL takes for the name; empty where it gives up before it asks for one."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda connection, name, context: asked.append(name)
    incoming = ssl.MemoryBIO()
    server = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    incoming.write(data)
    try:
        server.do_handshake()
    except ssl.SSLError:
        return asked
    raise AssertionError("a handshake of one message")


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(SEEDS[:4]), st.integers(1, 700))
def test_the_size_of_records_changes_nothing(data: bytes, size: int) -> None:
    assert read_client_hello(records(data[5:], size)) == read_client_hello(data)
