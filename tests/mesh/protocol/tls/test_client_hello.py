"""ClientHellos of real clients are read; whatever two readers could read differently is not."""

from __future__ import annotations

import ssl

import pytest

from mesh.protocol.tls.client_hello import (
    MOST_BYTES,
    ClientHello,
    ClientHelloReader,
    NotClientHello,
    read_client_hello,
)
from mesh.reasons import Reason
from tests.support.client_hellos import (
    Extension,
    alpn,
    browser_like,
    hello,
    hello_body,
    message,
    real_hello,
    records,
    server_name,
    supported_versions,
    vector,
)

TLS12, TLS13 = 0x0303, 0x0304
NAMED = server_name(b"api.example.com")


def refused(data: bytes) -> Reason:
    with pytest.raises(NotClientHello) as caught:
        read_client_hello(data)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (real_hello("api.example.com"), ClientHello("api.example.com", (), (TLS13, TLS12))),
        (
            real_hello("API.Example.com", ["h2", "http/1.1"]),
            ClientHello("api.example.com", (b"h2", b"http/1.1"), (TLS13, TLS12)),
        ),
        (real_hello(None, ["http/1.1"]), ClientHello(None, (b"http/1.1",), (TLS13, TLS12))),
        # OpenSSL sends no SNI for an address.
        (real_hello("192.0.2.1"), ClientHello(None, (), (TLS13, TLS12))),
        (real_hello("a.example", most=ssl.TLSVersion.TLSv1_2), ClientHello("a.example", (), (TLS12,))),
    ],
    ids=["name", "name and alpn", "no name", "address", "tls 1.2"],
)
def test_what_openssl_sends_is_read(data: bytes, expected: ClientHello) -> None:
    found = read_client_hello(data)
    assert found is not None
    assert (found.server_name, found.alpn, found.encrypted) == (expected.server_name, expected.alpn, False)
    assert found.versions[: len(expected.versions)] == expected.versions


def test_what_browsers_send_is_read_and_grease_is_no_version() -> None:
    data = browser_like()
    assert len(data) > 1500
    expected = ClientHello(
        "api.example.com", (b"\x3a\x3a", b"h2", b"http/1.1"), (TLS13, TLS12), encrypted=True
    )
    assert read_client_hello(data) == expected


def test_a_hello_without_extensions_asks_for_no_server() -> None:
    for extensions in (None, ()):
        data = records(message(hello_body(extensions, version=0x0301)))
        assert read_client_hello(data) == ClientHello(None, (), (0x0301,))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 40, 100, 511])
def test_the_message_may_lie_in_any_number_of_records(size: int) -> None:
    data = records(message(hello_body([NAMED, alpn(b"h2")])), size)
    assert read_client_hello(data) == ClientHello("api.example.com", (b"h2",), (TLS12,))


def test_pieces_of_any_size_give_the_same_hello_and_are_kept() -> None:
    data = browser_like()
    for size in (1, 7, 1000):
        reader = ClientHelloReader()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        *before, last = [reader.feed(piece) for piece in pieces]
        assert before == [None] * (len(pieces) - 1)
        assert last == read_client_hello(data)
        assert reader.received == data


def test_nothing_is_said_before_the_last_byte_and_nothing_read_after_it() -> None:
    data = hello(NAMED)
    assert all(read_client_hello(data[:end]) is None for end in range(len(data)))
    assert read_client_hello(data + b"\x17\x03\x03early data") == read_client_hello(data)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"A.EXAMPLE", "a.example"),
        (b"a.example.", "a.example"),
        (b"my_service.svc", "my_service.svc"),
        (b"localhost", "localhost"),
        (b"xn--bcher-kva.example", "xn--bcher-kva.example"),
        (b"1.example", "1.example"),
        (b".".join([b"a" * 63] * 3 + [b"b" * 61]), ".".join(["a" * 63] * 3 + ["b" * 61])),
    ],
)
def test_a_name_has_one_spelling(sent: bytes, name: str) -> None:
    found = read_client_hello(hello(server_name(sent)))
    assert found is not None
    assert found.server_name == name


@pytest.mark.parametrize(
    "name",
    [
        b"192.0.2.1",
        b"192.0.2.1.",
        b"127.1",
        b"0x7f.1",
        b"2130706433",
        b"a.0x1",
        b"::1",
        b"[::1]",
        b"2001:db8::1",
        b"a.example:443",
        b"a.example..",
        b".",
        b".a.example",
        b"a..example",
        b"*.example",
        b"-a.example",
        b"a-.example",
        b"a example",
        b"a.example\x00",
        b"a.example\x00.evil.example",
        b"a.example\n",
        b"a/b",
        b"b\xc3\xbccher.example",
        b"\xff",
        b"a" * 64 + b".example",
        b".".join([b"a" * 63] * 4),
    ],
)
def test_what_is_no_host_name_is_refused(name: bytes) -> None:
    assert refused(hello(server_name(name))) is Reason.SERVER_NAME_INVALID


@pytest.mark.parametrize(
    "extension",
    [
        server_name(b"a.example", kind=1),
        server_name(b"a.example", b"b.example"),
        (0, vector(2, b"\x00" + vector(2, b"a.example") + b"\x01" + vector(2, b"x"))),
    ],
    ids=["another type", "two names", "a second of another type"],
)
def test_only_one_name_of_the_one_type_is_read(extension: Extension) -> None:
    assert refused(hello(extension)) is Reason.SERVER_NAME_INVALID


@pytest.mark.parametrize(
    "extensions",
    [
        [NAMED, NAMED],
        [NAMED, server_name(b"b.example")],
        [(0, b"")],
        [(0, b"\x00\x00")],
        [(0, NAMED[1] + b"\x00")],
        [(0, NAMED[1][:-1])],
        [(0, vector(2, b"\x00\x00\x00"))],
        [(0, vector(2, b"\x00" + (60).to_bytes(2, "big") + b"a.example"))],
        [alpn()],
        [alpn(b"")],
        [alpn(b"h2", b"")],
        [(16, alpn(b"h2")[1] + b"x")],
        [(16, vector(2, b"\x09h2"))],
        [supported_versions()],
        [(43, b"\x03\x03\x04\x03")],
        [(43, b"\x02\x03\x04\x03")],
        [(43, b"")],
        [(0x1A1A, b""), (0x1A1A, b"")],
    ],
)
def test_extensions_that_do_not_fit_their_lengths_are_refused(extensions: list[Extension]) -> None:
    assert refused(hello(*extensions)) is Reason.CLIENT_HELLO_MALFORMED


BODY = hello_body([NAMED])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        BODY[:1],
        BODY[:30],
        BODY[:-1],
        BODY + b"\x00",
        hello_body([NAMED], version=0x0002),
        hello_body([NAMED], session=b"s" * 33),
        hello_body([NAMED], suites=b""),
        hello_body([NAMED], suites=b"\x13"),
        hello_body([NAMED], suites=b"\x13\x01\x13"),
        hello_body([NAMED], compression=b""),
        hello_body([NAMED], compression=b"\x01"),
        hello_body(None) + b"\x00",
        hello_body(None) + b"\x00\x04\x00\x00",
        hello_body(None) + b"\x00\x03\x00\x00\x00",
    ],
)
def test_a_body_that_does_not_fit_its_lengths_is_refused(body: bytes) -> None:
    assert refused(records(message(body))) is Reason.CLIENT_HELLO_MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00",
        b"\x80\x2e\x01\x03\x01",
        b"\x16\x02",
        b"\x17\x03\x03\x00\x05hello",
        b"\x15\x03\x01\x00\x02\x02\x28",
        records(message(BODY, kind=2)),
        records(message(BODY, kind=0)),
    ],
)
def test_what_is_no_hello_at_all_is_not_tls(data: bytes) -> None:
    assert refused(data) is Reason.NOT_TLS


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x40\x01",
        b"\x16\x03\x01\xff\xff",
        records(message(BODY)[:20]) + b"\x17",
        records(message(BODY)[:20]) + b"\x14\x03\x03\x00\x01\x01",
        records(message(BODY)[:20]) + b"\x16\x04",
        records(message(BODY)[:20]) + b"\x16\x03\x01\x00\x00",
        records(message(BODY) + b"\x00"),
        records(message(BODY) + message(BODY)),
    ],
)
def test_records_that_no_client_sends_are_refused(data: bytes) -> None:
    assert refused(data) is Reason.CLIENT_HELLO_MALFORMED


def test_a_hello_is_read_up_to_64_kib_however_it_is_wrapped() -> None:
    large = message(hello_body([NAMED, (21, bytes(60_000))]))
    assert read_client_hello(records(large)) is not None
    assert refused(records(large, 30)) is Reason.CLIENT_HELLO_MALFORMED
    many = records(large, 30)
    reader = ClientHelloReader()
    assert all(reader.feed(many[at : at + 64]) is None for at in range(0, MOST_BYTES - 64, 64))
    with pytest.raises(NotClientHello):
        reader.feed(many[MOST_BYTES - 64 : MOST_BYTES])


def test_a_length_beyond_the_limit_is_refused_before_the_bytes_come() -> None:
    assert refused(records(b"\x01\x02\x00\x00")) is Reason.CLIENT_HELLO_MALFORMED
