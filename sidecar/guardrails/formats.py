"""Whether a text has one of JSON Schema's formats (2020-12, validation, section 7).

Validators differ: some take anything with an @ for an address, others read RFC 5321. So there are three answers:
yes for what every one of them accepts, no for what none does, and otherwise None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = rf"{_LABEL}(?:\.{_LABEL})*"
_PATTERNS = {
    "email": re.compile(rf"[A-Za-z0-9_+-]{{1,64}}(?:\.[A-Za-z0-9_+-]{{1,64}}){{0,8}}@{_HOSTNAME}"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"),
    "uri-reference": re.compile(r"(?:[A-Za-z0-9._~/?#@!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*"),
    "uri-template": re.compile(r"(?:[A-Za-z0-9._~/?#@!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*"),
    "uuid": re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"),
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "time": re.compile(
        r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
    ),
    "duration": re.compile(r"P(?:[0-9]{1,12}[DW]|T[0-9]{1,12}[HMS])"),
    "hostname": re.compile(_HOSTNAME),
}


def _by_pattern(name: str) -> Callable[[str], bool]:
    pattern = _PATTERNS[name]
    return lambda text: pattern.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    if not _PATTERNS["date"].fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_date_time(text: str) -> bool:
    return text[10:11] in "Tt" and _is_date(text[:10]) and _PATTERNS["time"].fullmatch(text[11:]) is not None


def _is_address(kind: type[IPv4Address] | type[IPv6Address]) -> Callable[[str], bool]:
    def is_address(text: str) -> bool:
        try:
            kind(text)
        except AddressValueError:
            return False
        return "%" not in text

    return is_address


def _is_hostname(text: str) -> bool:
    return len(text) <= 253 and _PATTERNS["hostname"].fullmatch(text) is not None


def _never(_text: str) -> bool:
    return False


_is_email, _is_uri, _is_reference = _by_pattern("email"), _by_pattern("uri"), _by_pattern("uri-reference")

_ALL_ACCEPT: Final[dict[str, Callable[[str], bool]]] = {
    "email": _is_email,
    "idn-email": _is_email,
    "uri": _is_uri,
    "iri": _is_uri,
    "uri-reference": _is_reference,
    "iri-reference": _is_reference,
    "uri-template": _by_pattern("uri-template"),
    "uuid": _by_pattern("uuid"),
    "date": _is_date,
    "date-time": _is_date_time,
    "time": _by_pattern("time"),
    "duration": _by_pattern("duration"),
    "ipv4": _is_address(IPv4Address),
    "ipv6": _is_address(IPv6Address),
    "hostname": _is_hostname,
    "idn-hostname": _is_hostname,
    # Nothing that we could put there.
    "json-pointer": _never,
    "relative-json-pointer": _never,
    "regex": _never,
}
"""By name of the format. Others are names that validators do not check."""

_NONE_ACCEPTS: Final[dict[str, Callable[[str], bool]]] = {
    "email": lambda text: "@" not in text,
    "idn-email": lambda text: "@" not in text,
    "uri": lambda text: ":" not in text,
    "iri": lambda text: ":" not in text,
    "uuid": lambda text: len(text) < 32,
    "date": lambda text: not text[:1].isdigit(),
    "date-time": lambda text: not text[:1].isdigit(),
    "time": lambda text: not text[:1].isdigit(),
    "duration": lambda text: text[:1].upper() != "P",
    "ipv4": lambda text: not text[:1].isdigit(),
    "ipv6": lambda text: ":" not in text,
}


def has_format(text: str, name: str) -> bool | None:
    """Whether `text` has the format; True for names that are none."""
    accepts = _ALL_ACCEPT.get(name)
    if accepts is None or accepts(text):
        return True
    refuses = _NONE_ACCEPTS.get(name)
    return False if refuses is not None and refuses(text) else None
