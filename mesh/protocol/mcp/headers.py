"""The headers of 2026-07-28 that repeat parts of the body, and whether they do.

Balancers and gateways may route by Mcp-Method and Mcp-Name while the server runs what the body says. Whoever
reads the body must therefore compare them (Streamable HTTP, "Server Validation"). `check_headers` draws this
line:

Refused here, with HTTP 400 and the code the specification assigns:
- one of the three headers given twice, or contradicting the body, in whichever era (-32020);
- the version header missing or different though the body says a version (-32020);
- Mcp-Method missing in a request whose version header and body agree on a version without handshake, or Mcp-Name
  missing where the core protocol requires it: tools/call, prompts/get and resources/read (-32020);
- a version that is not known here (-32022), because what it means by a name cannot be known. server/discover
  and initialize pass with any version: they name nothing, and they are how versions are agreed on.

Left to the server, which must refuse it and knows better how:
- a modern version header over a body without that _meta (-32602): nothing contradicts, and names are read from
  the body, so letting it pass evades no policy;
- capabilities that are missing (-32021), methods it lacks (-32601 with 404), versions known here but not there
  (-32022);
- Mcp-Name missing in requests of the tasks extension: clients must send it, but SDKs in use do not all;
- Mcp-Param-*: only the server knows which arguments it wants repeated. They are passed on as they are, as
  intermediaries must. Whoever changes an argument must change its header too, or the server refuses.

Notifications need no such headers, but must not contradict them; responses have none.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from typing import Any, Final

from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import Kind, Message
from mesh.protocol.mcp.errors import UNSUPPORTED_VERSION, McpRefused, header_mismatch
from mesh.protocol.mcp.methods import METHODS
from mesh.protocol.mcp.versions import (
    KNOWN_VERSIONS,
    LEGACY_VERSIONS,
    MODERN_VERSIONS,
    VERSION_HEADER,
    body_version,
)
from mesh.reasons import Reason

METHOD_HEADER: Final = b"mcp-method"
NAME_HEADER: Final = b"mcp-name"

_MIRRORS = (VERSION_HEADER, METHOD_HEADER, NAME_HEADER)
_MIRRORED = {row.name: row.mirrored for row in METHODS.values() if row.mirrored is not None}
_NAME_REQUIRED = frozenset(name for name in _MIRRORED if METHODS[name].extension is None)
_AGREES_ON_VERSIONS = frozenset({"initialize", "server/discover"})
_LEGACY = frozenset(LEGACY_VERSIONS)
_MODERN = frozenset(MODERN_VERSIONS)
_SENTINEL = re.compile(rb"=\?base64\?(.*)\?=", re.DOTALL)
# Visible ASCII with inner spaces and tabs: what a field value carries unharmed (RFC 9110, section 5.5).
_PLAIN_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")


def check_headers(headers: Headers, message: Message) -> None:
    """Compare the mirrored headers with `message`. Names in `headers` are in lower case.

    Raises McpRefused (MCP_HEADER_MISMATCH or MCP_UNKNOWN_VERSION, http_status 400). What is refused and what
    is left to the server stands at the head of this module.
    """
    fields = dict(headers)
    if len(fields) != len(headers):
        _refuse_repeated(headers)
    method = message.method
    if method is None:
        return
    version = fields.get(VERSION_HEADER)
    stated = body_version(message)
    is_request = message.kind is Kind.REQUEST
    if stated is not None:
        _check_version_header(version, stated, is_request)
    required = is_request and stated is not None and stated not in _LEGACY
    _check_method_header(fields.get(METHOD_HEADER), method, required)
    _check_name_header(fields.get(NAME_HEADER), message, required and method in _NAME_REQUIRED)
    if is_request and version is not None and method not in _AGREES_ON_VERSIONS:
        _check_known(version)


def mirror_headers(message: Message, headers: Headers) -> Headers:
    """`headers` made to agree with the request that leaves, where its body says a modern version.

    For bodies that were changed on the way. Headers that agree are kept as they are, spelling included; if
    all do, the same list is returned. Mcp-Param-* are not touched.
    """
    version = body_version(message)
    if message.kind is not Kind.REQUEST or type(version) is not str or version not in _MODERN:
        return headers
    wanted = {VERSION_HEADER: version, METHOD_HEADER: message.method or ""}
    name = _mirrored_value(message)
    if type(name) is str:
        wanted[NAME_HEADER] = name
    fields = dict(headers)
    if len(fields) == len(headers) and _agree(fields, wanted):
        return headers
    mirrored: Headers = []
    for field, value in headers:
        if field not in _MIRRORS:
            mirrored.append((field, value))
        elif field in wanted:
            text = wanted.pop(field)
            mirrored.append((field, value if _says(value, text) else encode_value(text)))
    mirrored += [(field, encode_value(text)) for field, text in wanted.items()]
    return headers if mirrored == headers else mirrored


def encode_value(text: str) -> bytes:
    """`text` as a header value: itself where ASCII carries it unharmed, else its UTF-8 in base64."""
    if _PLAIN_VALUE.fullmatch(text):
        value = text.encode("ascii")
        if not _SENTINEL.fullmatch(value):
            return value
    return b"=?base64?" + b64encode(text.encode()) + b"?="


def decode_value(value: bytes) -> str | None:
    """The text that a header value stands for; None if it stands for none, so that it equals no body."""
    if not value.isascii():
        return None
    sentinel = _SENTINEL.fullmatch(value) if value.startswith(b"=") else None
    if sentinel is None:
        return value.decode()
    payload = sentinel[1]
    try:
        raw = b64decode(payload, validate=True)
        # Spare bits in the last character would let two spellings stand for one text.
        return raw.decode() if b64encode(raw) == payload else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _agree(fields: dict[bytes, bytes], wanted: dict[bytes, str]) -> bool:
    for field, text in wanted.items():  # noqa: SIM110 - a generator costs more than the rest
        if not _says(fields.get(field), text):
            return False
    return True


def _says(value: bytes | None, text: str) -> bool:
    return value is not None and decode_value(value) == text


def _refuse_repeated(headers: Headers) -> None:
    names = [field for field, _ in headers]
    for mirror in _MIRRORS:
        if names.count(mirror) > 1:
            raise header_mismatch(f"{_spelt(mirror)} is given more than once")


def _check_version_header(value: bytes | None, stated: Any, is_request: bool) -> None:
    if value is None:
        if is_request:
            raise header_mismatch("MCP-Protocol-Version is missing")
    elif type(stated) is not str or value != stated.encode():
        raise header_mismatch("MCP-Protocol-Version differs from the version in params._meta")


def _check_method_header(value: bytes | None, method: str, required: bool) -> None:
    if value is None:
        if required:
            raise header_mismatch("Mcp-Method is missing")
    elif value != method.encode():
        raise header_mismatch("Mcp-Method differs from the method in the body")


def _check_name_header(value: bytes | None, message: Message, required: bool) -> None:
    name = _mirrored_value(message)
    if name is None:
        return
    if value is None:
        if required:
            raise header_mismatch("Mcp-Name is missing")
    elif decode_value(value) != name:
        raise header_mismatch("Mcp-Name differs from the name in the body")


def _mirrored_value(message: Message) -> Any:
    """What Mcp-Name must say; None if the method has nothing to mirror or the body lacks it."""
    member = _MIRRORED.get(message.method or "")
    return message.params.get(member) if member is not None and type(message.params) is dict else None


def _check_known(value: bytes) -> None:
    version = value.decode("latin-1")
    if version not in KNOWN_VERSIONS:
        raise McpRefused(
            Reason.MCP_UNKNOWN_VERSION,
            "Unsupported protocol version",
            code=UNSUPPORTED_VERSION,
            http_status=400,
            data={"supported": list(MODERN_VERSIONS), "requested": version},
        )


def _spelt(field: bytes) -> str:
    return {VERSION_HEADER: "MCP-Protocol-Version", METHOD_HEADER: "Mcp-Method"}.get(field, "Mcp-Name")
