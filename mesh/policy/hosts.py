"""Hosts and paths of Backends: one spelling for each, so that routing is a comparison of strings."""

from __future__ import annotations

import re
from ipaddress import ip_address

MAX_PATH = 1024

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PARAMETERS = re.compile(r";[^/]*")
_SLASHES = re.compile(r"/{2,}")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*")


def normal_host(value: str) -> str:
    """Lower case, without the trailing dot of a fully qualified name; IP addresses in their shortest form."""
    host = value.lower().removesuffix(".")
    try:
        address = ip_address(host)
    except ValueError:
        return host
    # An IPv4-mapped address reaches the IPv4 address, and so it is spelt in requests too.
    return str(getattr(address, "ipv4_mapped", None) or address)


def host_fault(value: str) -> str | None:
    """What is wrong with a Backend's host, or None."""
    host = normal_host(value)
    if not host.isascii():
        return "a host has ASCII characters only; write an international name in its xn-- form"
    if host.startswith("[") or "://" in host or "/" in host:
        return "a host alone, without scheme, brackets, port or path; those have fields of their own"
    if _is_address(host):
        return "an IPv6 address is written without a zone" if "%" in host else None
    name = host.removeprefix("*.")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        return (
            "not a DNS name or IP address; allowed: labels of a-z 0-9 - (1 to 63, no - at the ends) with "
            "dots, an IPv4 or IPv6 address, or *.name for every host one label below"
        )
    if name.rpartition(".")[2].isdigit():
        return "the last label is a number, so that it looks like an IPv4 address but is none"
    if host != name and "." not in name:
        return "a wildcard covers at least two labels, like *.example.com"
    return None


def is_loopback(host: str) -> bool:
    """Whether a host in its normal form never leaves the machine: localhost, 127.0.0.0/8, ::1."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def path_fault(value: str) -> str | None:
    """What is wrong with a Backend's path, or None: a plain prefix that can be read in one way only."""
    if not _PATH.fullmatch(value) or len(value) > MAX_PATH:
        return (
            f"a path begins with / and has no query, percent-encoding, space or backslash, "
            f"and at most {MAX_PATH} characters"
        )
    if "//" in value or any(segment in (".", "..") for segment in value.split("/")):
        return "a path has no empty, . or .. segment"
    return None


def normal_path(value: str) -> str:
    """The path without trailing slash, except `/` itself: a prefix on segment boundaries covers both."""
    return value.rstrip("/") or "/"


def covers(prefix: str, path: str) -> bool:
    """Whether `path` is `prefix` or below it, on segment boundaries: `/mcp` covers `/mcp/x`, not `/mcpx`."""
    return path == prefix or path.startswith(prefix if prefix == "/" else f"{prefix}/")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def folded_path(path: str) -> str:
    """A path as a lenient server may read it: without parameters (`;v=1`), then without empty segments and
    trailing slash, in lower case."""
    bare = _SLASHES.sub("/", _PARAMETERS.sub("", path)) if ";" in path else path
    return normal_path(bare.lower())
