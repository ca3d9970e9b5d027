"""Envoy's ext_authz over gRPC: `CheckRequest` as bytes, and what a `CheckResponse` says.

Field numbers are those of envoy/service/auth/v3/external_auth.proto and attribute_context.proto, and of
envoy/config/core/v3/base.proto. What Envoy's own MCP filter would have read from the body stands in the request's
metadata, under both names that this filter has had, because services written for MCP look there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final

from mesh.protocol import protobuf
from mesh.protocol.ext_authz import Approval, CheckDenied, CheckUnusable, Put, may_change, well_formed
from mesh.protocol.protobuf import ProtobufMalformed

METHOD: Final = "/envoy.service.auth.v3.Authorization/Check"

METADATA_NAMESPACES: Final = ("mcp_proxy", "envoy.filters.http.mcp")
"""Where Envoy's MCP filter puts what it read: up to 1.37, and since."""

_MOST_CHANGES: Final = 256

_PUTS: Final = {1: Put.ADD_IF_ABSENT, 2: Put.SET, 3: Put.SET_IF_PRESENT}
"""HeaderAppendAction -> how; 0 is what is meant where nothing is written, and that is to overwrite (`append`)."""


@dataclass(frozen=True, slots=True)
class CheckAttributes:
    """What a service is told of a request.

    `source` and `destination` are SPIFFE IDs, "" where not known; `time` is in nanoseconds since 1970; `size` the
    body's, -1 where not known; `mcp` what the body says: `{"method": ..., "params": {"name": ...}}`.
    """

    source: str
    destination: str
    time: int
    method: str
    path: str
    host: str
    scheme: str
    headers: Mapping[str, str] = dataclass_field(repr=False)
    size: int
    protocol: str = "HTTP/1.1"
    body: bytes = dataclass_field(default=b"", repr=False)
    mcp: Mapping[str, Any] | None = dataclass_field(default=None, repr=False)


def check_request(attributes: CheckAttributes) -> bytes:
    """A CheckRequest."""
    request = protobuf.message(1, _timestamp(attributes.time)) + protobuf.message(2, _http(attributes))
    context = [
        protobuf.message(1, protobuf.text(4, attributes.source)),
        protobuf.message(2, protobuf.text(4, attributes.destination)),
        protobuf.message(4, request),
    ]
    if attributes.mcp is not None:
        content = protobuf.message(2, _struct(attributes.mcp))
        metadata = b"".join(protobuf.entry(1, name, content) for name in METADATA_NAMESPACES)
        context.append(protobuf.message(11, metadata))
    return protobuf.message(1, b"".join(context))


def _timestamp(nanoseconds: int) -> bytes:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return protobuf.number(1, seconds) + protobuf.number(2, rest)


def _http(attributes: CheckAttributes) -> bytes:
    return b"".join(
        (
            protobuf.text(2, attributes.method),
            *(protobuf.entry(3, name, protobuf.text(2, value)) for name, value in attributes.headers.items()),
            protobuf.text(4, attributes.path),
            protobuf.text(5, attributes.host),
            protobuf.text(6, attributes.scheme),
            protobuf.number(9, attributes.size),
            protobuf.text(10, attributes.protocol),
            _body(attributes.body),
        )
    )


def _body(body: bytes) -> bytes:
    """As text, where services look for it; bytes that are no text would make the whole message unreadable."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return protobuf.data(12, body)
    return protobuf.data(11, body)


def _struct(values: Mapping[str, Any]) -> bytes:
    """A google.protobuf.Struct of strings, mappings and lists."""
    return b"".join(protobuf.entry(1, key, protobuf.message(2, _value(v))) for key, v in values.items())


def _value(value: Any) -> bytes:
    if isinstance(value, Mapping):
        return protobuf.message(5, _struct(value))
    if isinstance(value, list | tuple):
        return protobuf.message(6, b"".join(protobuf.message(1, _value(item)) for item in value))
    # Written also where it is empty: of the alternatives of a oneof, one has to stand there.
    return protobuf.message(3, str(value).encode("utf-8", "replace"))


def check_response(encoded: bytes) -> Approval:
    """What a CheckResponse says.

    Raises CheckDenied for a no, and CheckUnusable for what is no CheckResponse, says neither, or wants what
    cannot be done here. Envoy takes an empty message for a yes; here a yes has to be said, by the status or by
    `ok_response`.
    """
    try:
        return _response(encoded)
    except ProtobufMalformed as malformed:
        raise CheckUnusable(f"no CheckResponse: {malformed}") from malformed


def _response(encoded: bytes) -> Approval:
    code, said, ok = 0, False, b""
    for field, kind, value in protobuf.fields(encoded):
        if field in (1, 2, 3) and kind != protobuf.LENGTH:
            raise ProtobufMalformed("a part of it is no message")
        if field == 2:
            raise CheckDenied("denied_response")
        if field == 1:
            # Messages in pieces are merged (Protocol Buffers, Encoding): a no in any of them is one.
            said, code = True, code or _code(_bytes(value))
        elif field == 3:
            said, ok = True, ok + _bytes(value)
    if code:
        raise CheckDenied(f"status {code}")
    if not said:
        raise CheckUnusable("neither a status nor ok_response")
    return _approval(ok)


def _bytes(value: protobuf.Value) -> bytes:
    if isinstance(value, int):
        raise ProtobufMalformed("a number where a text should be")
    return value


def _code(status: bytes) -> int:
    """The code of a google.rpc.Status, 0 only where it says nothing else."""
    code = 0
    for field, kind, value in protobuf.fields(status):
        if field == 1:
            if kind != protobuf.VARINT or not isinstance(value, int):
                raise ProtobufMalformed("the code of a status is no number")
            code = code or value
    return code


def _approval(ok: bytes) -> Approval:
    puts: list[tuple[Put, bytes, bytes]] = []
    removed: set[bytes] = set()
    for field, _, value in protobuf.fields(ok):
        if field == 2:
            puts.append(_put(_bytes(value)))
        elif field == 5:
            removed.add(_bytes(value).lower())
        elif field in (7, 8):
            raise CheckUnusable("it wants the query changed, which was decided on as it is")
        if len(puts) + len(removed) > _MOST_CHANGES:
            raise CheckUnusable(f"more than {_MOST_CHANGES} fields to change")
    kept = tuple(put for put in puts if may_change(put[1]))
    return Approval(kept, frozenset(filter(may_change, removed)))


def _put(option: bytes) -> tuple[Put, bytes, bytes]:
    """A HeaderValueOption."""
    how, append = Put.SET, False
    name = value = raw = b""
    for field, _, content in protobuf.fields(option):
        if field == 1:
            for part, _, given in protobuf.fields(_bytes(content)):
                if part == 1:
                    name = _bytes(given).lower()
                elif part == 2:
                    value = _bytes(given)
                elif part == 3:
                    raw = _bytes(given)
        elif field == 2:
            append = any(part == 1 and bool(given) for part, _, given in protobuf.fields(_bytes(content)))
        elif field == 3:
            how = _PUTS.get(content if isinstance(content, int) else 0, Put.SET)
    content = value or raw
    if name[:1] != b":" and not well_formed(name, content):
        raise CheckUnusable("a field to set that cannot stand in a request")
    return Put.APPEND if append else how, name, content
