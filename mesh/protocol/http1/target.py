"""Request targets and Host: one destination, one spelling.

A policy is written for a host, a port and a path; here every other spelling of them is either brought to
that one form (case, trailing dot, default port, IPv6 zeros) or refused (numeric hosts that only some
resolvers read as addresses, user information, dot segments and their percent-encodings).
RFC 9112, section 3.2; RFC 3986.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from mesh.protocol.http1.errors import HttpRefused
from mesh.reasons import Reason

DEFAULT_PORTS = {"http": 80, "https": 443}
_MOST_NAME_BYTES = 253

_ABSOLUTE = re.compile(rb"([Hh][Tt][Tt][Pp][Ss]?)://([^/?#]*+)(/[^?#]*+)?(\?[^#]*+)?")
_NOT_A_PATH = re.compile(rb'[\x00-\x20"#<>\\\x7f-\xff]')
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
# Underscores are no host name in the strict sense, but service names of container networks have them.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMERIC_LAST_LABEL = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

_ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_PATH = re.compile(
    rb"[^!-~]"  # control characters, space, non-ASCII
    rb'|["#<>\\]'  # no URI holds these; a backslash is a slash to some servers
    rb"|//"
    rb"|/\.{1,2}(?:[/?;]|\Z)"  # dot segments, also with a path parameter
    rb"|%(?![0-9A-Fa-f]{2})"
    rb"|%(?:[01][0-9A-Fa-f]|7[Ff])"  # encoded control characters
    rb"|%(?:2[35Ff]|3[BbFf]|5[Cc])"  # encoded delimiters: # % / ; ? and the backslash
    rb"|%(?:2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])"  # encoded unreserved characters
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where an absolute-form request goes; `path` is its origin-form path with the query.

    `host` is in lower case, without a trailing dot; an IPv6 address is compressed and without brackets.
    """

    scheme: str
    host: str
    port: int
    path: bytes

    @property
    def default_port(self) -> int:
        """The port that a Host without one means for this scheme."""
        return DEFAULT_PORTS[self.scheme]


def absolute_form(target: bytes) -> Target:
    """Parse `http://host:port/path?query`. Raises HttpRefused(HTTP_BAD_TARGET)."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise _bad("the target is neither an http:// nor an https:// URL")
    raw_scheme, authority, path, query = match.groups()
    scheme = raw_scheme.decode("ascii").lower()
    host, port = _authority(authority)
    path = (path or b"/") + (query or b"")
    if _NOT_A_PATH.search(path.partition(b"?")[0]):
        raise _bad("the path of the target holds a character that no path has")
    return Target(scheme, host, port or DEFAULT_PORTS[scheme], path)


def authority_form(target: bytes) -> tuple[str, int]:
    """Parse the `host:port` of CONNECT; the port is required. Raises HttpRefused(HTTP_BAD_TARGET)."""
    host, port = _authority(target)
    if port is None:
        raise _bad("the target of CONNECT has no port")
    return host, port


def host_header(value: bytes) -> tuple[str, int | None]:
    """Parse the value of Host; the port is None where it names none. Raises HttpRefused(HTTP_BAD_HOST)."""
    try:
        return _authority(value)
    except HttpRefused as refused:
        raise HttpRefused(Reason.HTTP_BAD_HOST, refused.detail) from refused


def plain_path(path: bytes) -> str:
    """The path of an origin-form target without its query, if it can be read in one way only.

    Refused are dot segments, empty segments, backslashes, control and non-ASCII characters, and
    percent-encodings of these, of delimiters, of `%` and of unreserved characters: a server that decodes them
    before it routes reaches another resource than the one the policy saw. Percent-encoded UTF-8 stays, with
    its hexadecimal digits in capitals. Raises HttpRefused(HTTP_BAD_TARGET).
    """
    bare = path.partition(b"?")[0]
    if bare[:1] != b"/":
        raise _bad("the path does not begin with a slash")
    if _BAD_PATH.search(bare):
        raise _bad("the path could be read as another path")
    if b"%" in bare:
        bare = _encoded_utf8(bare)
    return bare.decode("ascii")


def _encoded_utf8(path: bytes) -> bytes:
    """`path` with its percent-encodings in capitals. Overlong or broken UTF-8 hides what it spells."""
    try:
        _ENCODED.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad("the path percent-encodes something that is not UTF-8") from error
    return _ENCODED.sub(lambda match: match[0].upper(), path)


@lru_cache(maxsize=256)
def _authority(raw: bytes) -> tuple[str, int | None]:
    """Host in its one spelling, and port. Remembered because a client talks to few hosts, often."""
    if b"@" in raw:
        raise _bad("user information in an authority is not accepted")
    if not raw.isascii():
        raise _bad("the host is not ASCII; write it in its xn-- form")
    match = _AUTHORITY.fullmatch(raw.decode("ascii").lower())
    if match is None:
        raise _bad("the authority is not host or host:port")
    host, port = match.groups()
    return _host(host), _port(port)


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    port = int(text)
    if text[0] == "0" or port > 65535:
        raise _bad("the port is not between 1 and 65535")
    return port


def _host(text: str) -> str:
    if text[:1] == "[":
        return _ipv6(text[1:-1])
    name = text[:-1] if text[-1:] == "." else text
    if _NUMERIC_LAST_LABEL.fullmatch(name):
        return _ipv4(name)
    if len(name) > _MOST_NAME_BYTES or _NAME.fullmatch(name) is None:
        raise _bad("the host is no host name")
    return name


def _ipv4(text: str) -> str:
    """Only four decimal numbers: `127.1`, `0x7f.1` and `2130706433` are addresses to some resolvers only."""
    try:
        return str(IPv4Address(text))
    except AddressValueError as error:
        raise _bad("a numeric host must be an IPv4 address of four decimal numbers") from error


def _ipv6(text: str) -> str:
    """The compressed spelling; an IPv4-mapped address becomes the IPv4 address that it reaches."""
    if "%" in text:
        raise _bad("an IPv6 zone is not accepted in an authority")
    try:
        address = IPv6Address(text)
    except AddressValueError as error:
        raise _bad("the host in brackets is no IPv6 address") from error
    return str(address.ipv4_mapped or address)


def _bad(detail: str) -> HttpRefused:
    return HttpRefused(Reason.HTTP_BAD_TARGET, detail)
