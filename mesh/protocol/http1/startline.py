"""The first line of a message: request line and status line (RFC 9112, sections 3 and 4)."""

from __future__ import annotations

import re

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import absolute_form, authority_form, host_header
from mesh.reasons import Reason

# Every registered method is in capitals; a server that folds case would read `post` as POST.
_METHOD = rb"[A-Z][A-Z0-9_-]{0,31}"
# Visible ASCII without the delimiters that no URI holds raw (RFC 3986, appendix C) and without a fragment;
# the characters that browsers and Node.js leave raw in a query are let through.
_TARGET = rb"[!$-;=?-~]++"
_REQUEST = re.compile(rb"(" + _METHOD + rb") (" + _TARGET + rb") HTTP/1\.([01])")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t -~\x80-\xff]*))?")
_OTHER_VERSION = re.compile(rb"HTTP/[0-9]+(?:\.[0-9]+)?")
_SIMPLE_REQUEST = re.compile(_METHOD + rb" [^ ]+")


def request_line(line: bytes) -> tuple[str, bytes, bool]:
    """Method, target and whether it is HTTP/1.0. Raises HttpRefused (malformed, version, target)."""
    match = _REQUEST.fullmatch(line)
    if match is None:
        raise _bad_request_line(line)
    method, target, minor = match.groups()
    return method.decode("ascii"), target, minor == b"0"


def status_line(line: bytes) -> tuple[int, bytes, bool]:
    """Status, reason phrase and whether it is HTTP/1.0. Raises HttpRefused.

    The space before an absent reason phrase may be missing, as many servers leave it out.
    """
    match = _STATUS.fullmatch(line)
    if match is None:
        version = line.partition(b" ")[0]
        if _OTHER_VERSION.fullmatch(version) and version not in (b"HTTP/1.0", b"HTTP/1.1"):
            raise HttpRefused(Reason.HTTP_VERSION, "the response is of another HTTP version")
        raise HttpRefused(Reason.HTTP_MALFORMED, "the status line is malformed")
    minor, status, phrase = match.groups()
    return int(status), (phrase or b"").strip(b" \t"), minor == b"0"


def check_target(method: str, target: bytes, host: bytes | None, http10: bool) -> None:
    """Refuse a target whose form does not fit the method, and a Host that names another authority.

    Checked once here, so that whoever routes by the target and whoever routes by Host reach the same server
    (RFC 9112, section 3.2). Raises HttpRefused(HTTP_BAD_TARGET or HTTP_BAD_HOST).
    """
    if host is None:
        if not http10:
            raise HttpRefused(Reason.HTTP_BAD_HOST, "there is no Host")
        named = None
    else:
        named = host_header(host)
    if method == "CONNECT":
        authority = authority_form(target)
        if named is not None and named not in (authority, (authority[0], None)):
            raise HttpRefused(Reason.HTTP_BAD_HOST, "Host is not that of the request target")
    elif target[:1] == b"/":
        if b"\\" in target.partition(b"?")[0]:
            raise HttpRefused(Reason.HTTP_BAD_TARGET, "there is a backslash in the path")
    elif target == b"*":
        if method != "OPTIONS":
            raise HttpRefused(Reason.HTTP_BAD_TARGET, "only OPTIONS may ask for *")
    else:
        _check_absolute(target, named)


def _check_absolute(target: bytes, named: tuple[str, int | None] | None) -> None:
    wanted = absolute_form(target)
    if named is None:
        return
    host, port = named
    if host != wanted.host or (port or wanted.default_port) != wanted.port:
        raise HttpRefused(Reason.HTTP_BAD_HOST, "Host is not that of the request target")


def _bad_request_line(line: bytes) -> HttpRefused:
    """Tell a wrong version and a wrong target from a line that is no request line at all."""
    method, _, rest = line.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if re.fullmatch(_METHOD, method) is None:
        return HttpRefused(Reason.HTTP_MALFORMED, "the method is malformed")
    if _SIMPLE_REQUEST.fullmatch(line):
        return HttpRefused(Reason.HTTP_VERSION, "the request line has no version")
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        if _OTHER_VERSION.fullmatch(version):
            return HttpRefused(Reason.HTTP_VERSION, "the request is of another HTTP version")
        return HttpRefused(Reason.HTTP_MALFORMED, "the request line is malformed")
    if b"#" in target:
        return HttpRefused(Reason.HTTP_BAD_TARGET, "the request target holds a fragment")
    return HttpRefused(Reason.HTTP_BAD_TARGET, "the request target holds a character that no URI has")
