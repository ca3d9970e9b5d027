"""Addresses of machines, which lead to people: IPv4, IPv6, MAC.

What names no machine is left out: unspecified, loopback, multicast, netmasks, and the ranges for documentation
(RFC 5737, RFC 3849). Private ranges stay in: they tell how a network is built.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from sidecar.guardrails.hit import Hit
from sidecar.guardrails.pii.rule import CERTAIN, LIKELY, Kind, Rule

KINDS: Final = {
    "IP": Kind(
        "IPv4 or IPv6 address, but no loopback, multicast or documentation address, netmask or version."
    ),
    "MAC": Kind("Hardware address of a network interface (EUI-48)."),
}

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_H: Final = "[0-9A-Fa-f]{1,4}"
_DOCUMENTATION: Final = ("192.0.2.", "198.51.100.", "203.0.113.")
_VERSION: Final = re.compile(
    r"(?:version|release|build|firmware|\bver|\brev|\bv)[\"'\x1f:= .]{0,6}$", re.IGNORECASE
)


def _read_v4(text: str, start: int, end: int) -> Iterable[Hit]:
    if text[start - 1 : start] in (".", "-") and text[start - 2 : start - 1].isalnum():
        return
    if text[end : end + 1] in (".", "-") and text[end + 1 : end + 2].isalnum():
        return
    value = text[start:end]
    address = ipaddress.IPv4Address(value)
    if address.is_loopback or address.is_multicast or value[:2] == "0." or value[:4] == "255.":
        return
    if not value.startswith(_DOCUMENTATION) and not _VERSION.search(text, max(0, start - 16), start):
        yield Hit("IP", start, end, LIKELY, "IPv4")


def _read_v6(text: str, start: int, end: int) -> Iterable[Hit]:
    if text[start - 1 : start] in (":", ".") or text[end : end + 1] == ":":
        return
    try:
        address = ipaddress.IPv6Address(text[start:end])
    except ipaddress.AddressValueError:
        return
    if (
        not (address.is_loopback or address.is_unspecified or address.is_multicast)
        and address.packed[:4] != b" \x01\r\xb8"
    ):
        yield Hit("IP", start, end, CERTAIN, "IPv6")


def _read_mac(text: str, start: int, end: int) -> Iterable[Hit]:
    sign = text[start + 2]
    if text[start - 1 : start] in (":", "-") or text[end : end + 1] == sign:
        return
    value = text[start:end]
    if (
        value.count(sign) == 5
        and len(set(value)) > 2
        and (sign == ":" or not value.replace("-", "").isdigit())
    ):
        yield Hit("MAC", start, end, CERTAIN, "EUI-48")


RULES: Final = (
    Rule("IP", rf"\b{_OCTET}(?:\.{_OCTET}){{3}}\b", _read_v4),
    Rule("IP", rf"\b(?:{_H}:){{7}}{_H}\b", _read_v6),
    Rule("IP", rf"\b[23Ff][0-9A-Fa-f]{{3}}:(?:{_H}:){{0,5}}(?::{_H}){{1,6}}\b", _read_v6),
    Rule("MAC", r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b", _read_mac),
)
