"""ClientHellos: real ones of this Python's OpenSSL, and any other put together by hand."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence

Extension = tuple[int, bytes]


def real_hello(
    server_name: str | None, alpn: Sequence[str] = (), *, most: ssl.TLSVersion | None = None
) -> bytes:
    """What `ssl` sends first to a server of this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if most is not None:
        context.maximum_version = most
    sent = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=server_name)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()
    raise AssertionError("a handshake without a server")


def vector(width: int, data: bytes) -> bytes:
    """`data` after its length."""
    return len(data).to_bytes(width, "big") + data


def server_name(*names: bytes, kind: int = 0) -> Extension:
    return 0, vector(2, b"".join(bytes((kind,)) + vector(2, name) for name in names))


def alpn(*names: bytes) -> Extension:
    return 16, vector(2, b"".join(vector(1, name) for name in names))


def supported_versions(*versions: int) -> Extension:
    return 43, vector(1, b"".join(version.to_bytes(2, "big") for version in versions))


def hello_body(
    extensions: Iterable[Extension] | None = (),
    *,
    version: int = 0x0303,
    session: bytes = b"s" * 32,
    suites: bytes = b"\x13\x01\x13\x02",
    compression: bytes = b"\x00",
) -> bytes:
    """The body of a ClientHello; `extensions` None leaves out the whole block, as TLS 1.2 permits."""
    body = (
        version.to_bytes(2, "big")
        + b"r" * 32
        + vector(1, session)
        + vector(2, suites)
        + vector(1, compression)
    )
    if extensions is None:
        return body
    return body + vector(2, b"".join(kind.to_bytes(2, "big") + vector(2, data) for kind, data in extensions))


def message(body: bytes, kind: int = 1) -> bytes:
    return bytes((kind,)) + vector(3, body)


def records(data: bytes, size: int = 16384, version: bytes = b"\x03\x01") -> bytes:
    """`data` in handshake records of at most `size` bytes."""
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(b"\x16" + version + vector(2, piece) for piece in pieces)


def hello(*extensions: Extension) -> bytes:
    """A whole ClientHello in one record or more."""
    return records(message(hello_body(extensions)))


def encrypted_hello_grease() -> Extension:
    """The shape of encrypted_client_hello that browsers send to everybody."""
    return 0xFE0D, b"\x00" + b"\x00\x01\x00\x01" + b"\x2a" + vector(2, b"k" * 32) + vector(2, b"p" * 144)


def browser_like() -> bytes:
    """GREASE everywhere, ECH, and a post-quantum key share: 1.9 KB, more than one packet."""
    return hello(
        (0x1A1A, b""),
        server_name(b"api.example.com"),
        alpn(b"\x3a\x3a", b"h2", b"http/1.1"),
        supported_versions(0x5A5A, 0x0304, 0x0303),
        (51, vector(2, b"\x2a\x2a" + vector(2, b"\x00") + b"\x11\xec" + vector(2, b"q" * 1216))),
        encrypted_hello_grease(),
        (0xDADA, b"\x00"),
        (21, b"\x00" * 300),
    )
