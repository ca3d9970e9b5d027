"""One destination, one spelling: the table of request targets, hosts and paths."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import Target, absolute_form, authority_form, host_header, plain_path
from mesh.reasons import Reason


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"http://a/b?c", Target("http", "a", 80, b"/b?c")),
        (b"https://a/b", Target("https", "a", 443, b"/b")),
        (b"http://a", Target("http", "a", 80, b"/")),
        (b"http://a?x=1", Target("http", "a", 80, b"/?x=1")),
        (b"HTTP://A.Example.COM:8080/B", Target("http", "a.example.com", 8080, b"/B")),
        (b"http://a.example.:80/", Target("http", "a.example", 80, b"/")),
        (b"http://a_b.svc/", Target("http", "a_b.svc", 80, b"/")),
        (b"http://xn--bcher-kva.example/", Target("http", "xn--bcher-kva.example", 80, b"/")),
        (b"http://10.0.0.1:65535/", Target("http", "10.0.0.1", 65535, b"/")),
        (b"http://10.0.0.1./", Target("http", "10.0.0.1", 80, b"/")),
        (b"http://[::1]/", Target("http", "::1", 80, b"/")),
        (b"http://[2001:DB8:0:0:0:0:0:1]:1/", Target("http", "2001:db8::1", 1, b"/")),
        (b"http://[::ffff:10.0.0.1]/", Target("http", "10.0.0.1", 80, b"/")),
        (b"http://a/b//c/../d%2e", Target("http", "a", 80, b"/b//c/../d%2e")),
        (b"http://a/?b\\c", Target("http", "a", 80, b"/?b\\c")),
        (b"http://1a.2b/", Target("http", "1a.2b", 80, b"/")),
    ],
)
def test_absolute_form_has_one_spelling(target: bytes, expected: Target) -> None:
    assert absolute_form(target) == expected


@pytest.mark.parametrize(
    ("target", "detail"),
    [
        (b"/path", "neither"),
        (b"a:80", "neither"),
        (b"ftp://a/", "neither"),
        (b"http:/a/", "neither"),
        (b"http://a/#b", "neither"),
        (b"http://a/b\\c", "character"),
        (b"http://a/b c", "character"),
        (b"http://u@a/", "user information"),
        (b"http://u:p@a/", "user information"),
        (b"http://a:80@b/", "user information"),
        (b"http:///", "no host name"),
        (b"http://:80/", "no host name"),
        (b"http://./", "no host name"),
        (b"http://a..b/", "no host name"),
        (b"http://a../", "no host name"),
        (b"http://-a/", "no host name"),
        (b"http://a-/", "no host name"),
        (b"http://a%2eb/", "no host name"),
        (b"http://a,b/", "no host name"),
        (b"http://a b/", "no host name"),
        (b"http://a\\b/", "no host name"),
        (b"http://" + b"a" * 64 + b"/", "no host name"),
        (b"http://" + b"a." * 127 + b"a/", "no host name"),
        ("http://bücher.example/".encode(), "ASCII"),
        ("http://１２７.0.0.1/".encode(), "ASCII"),
        (b"http://127.1/", "four decimal"),
        (b"http://2130706433/", "four decimal"),
        (b"http://0x7f.1/", "four decimal"),
        (b"http://0x7f000001/", "four decimal"),
        (b"http://0177.0.0.1/", "four decimal"),
        (b"http://127.0.0.0x1/", "four decimal"),
        (b"http://127.0.0.01/", "four decimal"),
        (b"http://1.2.3.4.5/", "four decimal"),
        (b"http://256.0.0.1/", "four decimal"),
        (b"http://a.1/", "four decimal"),
        (b"http://0x/", "four decimal"),
        (b"http://[::1/", "host or host:port"),
        (b"http://::1/", "host or host:port"),
        (b"http://[::1]x/", "host or host:port"),
        (b"http://[]/", "IPv6"),
        (b"http://[127.0.0.1]/", "IPv6"),
        (b"http://[v1.a]/", "IPv6"),
        (b"http://[fe80::1%25eth0]/", "zone"),
        (b"http://a:/", "host or host:port"),
        (b"http://a:+80/", "host or host:port"),
        (b"http://a:80:80/", "host or host:port"),
        (b"http://a:0/", "65535"),
        (b"http://a:080/", "65535"),
        (b"http://a:65536/", "65535"),
        (b"http://a:123456/", "host or host:port"),
    ],
)
def test_absolute_form_is_refused_with_what_is_wrong(target: bytes, detail: str) -> None:
    with pytest.raises(HttpRefused, match=detail) as caught:
        absolute_form(target)
    assert (caught.value.reason, caught.value.status) == (Reason.HTTP_BAD_TARGET, 400)


def test_default_port_is_that_of_the_scheme() -> None:
    assert absolute_form(b"https://a:8443/").default_port == 443


@pytest.mark.parametrize(
    ("target", "expected"),
    [(b"A.b.:443", ("a.b", 443)), (b"[::1]:1", ("::1", 1)), (b"10.0.0.1:2", ("10.0.0.1", 2))],
)
def test_authority_form_is_host_and_port(target: bytes, expected: tuple[str, int]) -> None:
    assert authority_form(target) == expected


@pytest.mark.parametrize("target", [b"a", b"", b"a:", b"u@a:1", b"http://a:1", b"127.1:443", b"a:1/"])
def test_authority_form_is_refused(target: bytes) -> None:
    with pytest.raises(HttpRefused) as caught:
        authority_form(target)
    assert caught.value.reason is Reason.HTTP_BAD_TARGET


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"a", ("a", None)), (b"A.:80", ("a", 80)), (b"[::1]", ("::1", None)), (b"[::1]:8", ("::1", 8))],
)
def test_host_header_is_host_and_perhaps_port(value: bytes, expected: tuple[str, int | None]) -> None:
    assert host_header(value) == expected


@pytest.mark.parametrize("value", [b"", b":80", b"a,b", b"a b", b"u@a", b"a/", b"0x7f.1", b"a\0", b"\xff"])
def test_host_header_is_refused(value: bytes) -> None:
    with pytest.raises(HttpRefused) as caught:
        host_header(value)
    assert caught.value.reason is Reason.HTTP_BAD_HOST


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/", "/"),
        (b"/mcp", "/mcp"),
        (b"/mcp/", "/mcp/"),
        (b"/mcp?a=../b//c", "/mcp"),
        (b"/a.b/..c/d..", "/a.b/..c/d.."),
        (b"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource"),
        (b"/a%20b", "/a%20b"),
        (b"/a;v=1", "/a;v=1"),
        (b"/~u/a:b@c,d", "/~u/a:b@c,d"),
        (b"/caf%c3%a9", "/caf%C3%A9"),
    ],
)
def test_plain_path_is_the_path_without_its_query(path: bytes, expected: str) -> None:
    assert plain_path(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"mcp",
        b"*",
        b"?a",
        b"http://a/",
        b"//a",
        b"/a//b",
        b"/a//",
        b"/.",
        b"/..",
        b"/a/..",
        b"/a/../b",
        b"/a/./b",
        b"/a/..;/b",
        b"/a/.;x/b",
        b"/a\\b",
        b"/a\\..\\b",
        b"/a b",
        b"/a\tb",
        b"/a\0b",
        b"/a\x7f",
        b"/a#b",
        b"/<a>",
        "/é".encode(),
        b"/a%2e%2e/b",
        b"/a/%2E./b",
        b"/a%2fb",
        b"/a%2Fb",
        b"/a%5cb",
        b"/a%252e",
        b"/a%00",
        b"/a%0d%0a",
        b"/a%7f",
        b"/a%23",
        b"/a%3fb",
        b"/a%3bb",
        b"/%6dcp",
        b"/%4dcp",
        b"/a%2db",
        b"/a%30",
        b"/a%5f",
        b"/a%7e",
        b"/a%",
        b"/a%2",
        b"/a%zz",
        b"/a%u002e",
        b"/a%c0%ae",
        b"/a%ff",
        b"/a%e0%80%af",
        b"/a%c3",
    ],
)
def test_path_that_could_be_read_otherwise_is_refused(path: bytes) -> None:
    with pytest.raises(HttpRefused) as caught:
        plain_path(path)
    assert caught.value.reason is Reason.HTTP_BAD_TARGET
