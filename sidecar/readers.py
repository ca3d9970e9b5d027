"""Readers of the values that only the sidecar's configuration has.

As in `mesh.policy.fields`, a reader reports what is wrong and goes on, so that one run tells everything.
"""

from __future__ import annotations

import re
import ssl
from typing import Any

from mesh.identity.authorities import read_authorities
from mesh.identity.errors import IdentityInvalid
from mesh.policy import yaml_tree
from mesh.policy.errors import shown
from mesh.policy.fields import INVALID, Field, Invalid, Place, describe, read_object, read_text
from mesh.policy.yaml_tree import Broken, Node, Scalar
from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.target import authority_form
from sidecar.addresses import EVERY_ADDRESS, Address, parse_address, spelled
from sidecar.limits import LIMIT_NAMES, NO_LIMIT, Limits, least, setting_name
from sidecar.settings import InboundMode

HOST_PORT = "host:port; write a name, an IPv4 address of four numbers or [an IPv6 address], and a port"


def address(node: Node, place: Place) -> Address | Invalid | None:
    """`host:port`, or null for none."""
    if isinstance(node, Scalar) and node.plain and node.text in ("null", "~", ""):
        return None
    value = read_text(node, place)
    if isinstance(value, Invalid):
        return value
    return parse_address(value) or place.error(node, f"{shown(value)} is not {HOST_PORT}")


def open_address(node: Node, place: Place) -> Address | Invalid | None:
    """`host:port`, or `*:port` for every address of both families; null for none."""
    if isinstance(node, Scalar) and node.text.startswith("*:"):
        found = parse_address("every" + node.text.removeprefix(EVERY_ADDRESS))
        return (
            place.error(node, f"{shown(node.text)} has no port")
            if found is None
            else (EVERY_ADDRESS, found[1])
        )
    return address(node, place)


def host_fault(value: str) -> str | None:
    """What is wrong with a host that is dialled, or None."""
    if parse_address(f"[{value}]:1" if ":" in value else f"{value}:1") is not None:
        return None
    return f"{shown(value)} is no host; write an IP address or a name, without a port"


def strings(node: Node, place: Place) -> dict[str, str] | Invalid:
    """A mapping of names to strings."""
    if isinstance(node, Broken):
        return INVALID
    if not isinstance(node, yaml_tree.Mapping):
        return place.error(node, f"expected a mapping, found {describe(node)}")
    values: dict[str, str] = {}
    for entry in node.entries:
        value = read_text(entry.value, place.child(entry.key))
        if isinstance(value, str):
            values[entry.key] = value
    return values


def port_modes(node: Node, place: Place) -> dict[int, InboundMode] | Invalid:
    """Port -> `strict` or `permissive`."""
    values = strings(node, place)
    if isinstance(values, Invalid):
        return values
    modes: dict[int, InboundMode] = {}
    for name, mode in values.items():
        if not re.fullmatch(r"[1-9][0-9]{0,4}", name) or int(name) > 65535:
            place.child(name).error(node, f"{shown(name)} is no port; write a number from 1 to 65535")
        elif mode not in list(InboundMode):
            place.child(name).error(node, f"{shown(mode)} is no mode; allowed: strict, permissive")
        else:
            modes[int(name)] = InboundMode(mode)
    return modes if len(modes) == len(values) else INVALID


def connect(node: Node, place: Place) -> dict[str, str] | Invalid:
    """`host:port` that requests name -> `host:port` that is dialled, both as they are written."""
    values = strings(node, place)
    if isinstance(values, Invalid):
        return values
    assert isinstance(node, yaml_tree.Mapping)  # noqa: S101 - `strings` takes nothing else
    for entry in node.entries:
        for fault in (_key_fault(entry.key), _dial_fault(values.get(entry.key))):
            if fault is not None:
                place.child(entry.key).report(fault, entry.line)
    return values


def _key_fault(name: str) -> str | None:
    """Why no request can ever ask for `name`: it is looked up in the one spelling that requests are given."""
    if parse_address(name) is None:
        return f"{shown(name)} is not {HOST_PORT}"
    try:
        asked = spelled(authority_form(name.encode()))
    except HttpRefused as refused:
        return f"{shown(name)} can never match: {refused.detail}"
    return None if asked == name else f"{shown(name)} can never match; write it as {shown(asked)}"


def _dial_fault(address: str | None) -> str | None:
    if address is None:
        return None
    parsed = parse_address(address)
    if parsed is None:
        return f"{shown(address)} is not {HOST_PORT}"
    return None if parsed[1] else f"{shown(address)} cannot be dialled; write the port that is listened on"


def _seconds_or_size(node: Node, place: Place) -> float | Invalid:
    """A number of seconds (fractions allowed) or bytes, not negative."""
    if isinstance(node, Broken):
        return INVALID
    raw = node.text if isinstance(node, Scalar) and node.plain else ""
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", raw):
        return place.error(node, f"expected a number, not negative, found {describe(node)}")
    return float(raw)


def limits(node: Node, place: Place) -> Limits | Invalid:
    """Limits by name; those that are not named keep their defaults."""
    fields = {name: Field(_seconds_or_size) for name in LIMIT_NAMES}
    values = read_object(node, place, fields)
    if values is None or INVALID in values.values():
        return INVALID
    given = {LIMIT_NAMES[name]: value for name, value in values.items() if value is not None}
    for field_name, value in given.items():
        off = value == 0 and field_name in NO_LIMIT
        if value < least(field_name) and not off:
            below = place.child(setting_name(field_name))
            return below.error(node, f"{value:g} would let nothing pass; at least {least(field_name):g}")
    whole = {name: value if name.endswith("seconds") else int(value) for name, value in given.items()}
    return Limits(**whole)


def certificates(node: Node, place: Place) -> str | Invalid:
    """PEM text that holds certificates and nothing else, each of which OpenSSL takes; comments are left out."""
    value = read_text(node, place)
    if isinstance(value, Invalid):
        return value
    try:
        pem = read_authorities(value)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (IdentityInvalid, ssl.SSLError) as refused:
        return place.error(node, f"no authorities can be read from it: {refused}")
    return pem


def section(fields: dict[str, Field], make: Any) -> Any:
    """A reader of a mapping whose values are the arguments of `make`."""

    def read(node: Node, place: Place) -> Any:
        values = read_object(node, place, fields)
        if values is None or INVALID in values.values():
            return INVALID
        return make(**values)

    return read
