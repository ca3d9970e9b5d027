"""Our reading of the mirrored headers against that of the reference SDK's server.

What the SDK serves must pass here, and what it refuses for its headers must be refused here with the same code:
then a client cannot tell whether the sidecar or the server answered.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.shared.inbound import (
    InboundLadderRejection,
    InboundModernRoute,
    classify_inbound_request,
    decode_header_value,
    encode_header_value,
    find_duplicated_routing_header,
)

from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import classify
from mesh.protocol.mcp.errors import McpRefused
from mesh.protocol.mcp.headers import check_headers, decode_value, encode_value, mirror_headers

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
methods = st.sampled_from(
    ["tools/call", "prompts/get", "resources/read", "tools/list", "server/discover", "acme/x"]
)
versions = st.sampled_from(["2026-07-28", "2026-07-28", "2099-01-01", "", 1])
names: st.SearchStrategy[Any] = (
    st.sampled_from(["a", "b", "\u00e9", " a ", "=?base64?YQ==?="]) | st.none() | st.just(1)
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[dict[str, Any], Headers]:
    """A request and headers that mostly agree with it."""
    method = draw(methods)
    params: dict[str, Any] = {"_meta": {VERSION: draw(versions), CAPABILITIES: {}}}
    for member in ("name", "uri"):
        value = draw(names)
        if value is not None:
            params[member] = value
    if draw(st.integers(0, 9)) == 0:
        del params["_meta"][VERSION]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = mirror_headers(classify(body), [])
    if not headers:
        headers = [(b"mcp-protocol-version", str(params["_meta"].get(VERSION, "2026-07-28")).encode())]
        headers.append((b"mcp-method", method.encode()))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(headers)))
        field = draw(st.sampled_from([b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"accept"]))
        value = draw(st.sampled_from([b"a", b"tools/call", b"=?base64?YQ==?=", b"2026-07-28", b"\xc3\xa9"]))
        headers = (
            headers[:at]
            + draw(st.sampled_from([[], [(field, value)]]))
            + headers[at + draw(st.integers(0, 1)) :]
        )
    return body, headers


def sdk_verdict(body: dict[str, Any], headers: Headers) -> int | None:
    """The code that the SDK refuses with; None if it serves the request."""
    decoded = [(field.decode(), value.decode("latin-1")) for field, value in headers]
    if find_duplicated_routing_header(decoded) is not None:
        return -32020
    verdict = classify_inbound_request(body, headers=dict(decoded))
    assert isinstance(verdict, InboundLadderRejection | InboundModernRoute)
    return verdict.code if isinstance(verdict, InboundLadderRejection) else None


def our_verdict(body: dict[str, Any], headers: Headers) -> int | None:
    try:
        check_headers(headers, classify(body))
    except McpRefused as refused:
        return refused.code
    return None


@settings(max_examples=500, deadline=None)
@given(requests())
def test_the_sidecar_and_the_sdk_answer_alike(request: tuple[dict[str, Any], Headers]) -> None:
    body, headers = request
    theirs, ours = sdk_verdict(body, headers), our_verdict(body, headers)
    if theirs is None:
        assert ours is None
    elif theirs == -32020:
        assert ours == -32020
    elif theirs == -32022:
        assert ours == (None if body["method"] == "server/discover" else -32022)
    else:
        assert theirs == -32602


@given(texts)
def test_names_are_encoded_for_each_other(text: str) -> None:
    assert decode_header_value(encode_value(text).decode()) == text
    assert decode_value(encode_header_value(text).encode()) == text


@given(
    st.from_regex(r"(=\?base64\?)?[ -~]{0,12}(\?=)?|=\?base64\?[A-Za-z0-9+/]{0,7}={0,2}\?=", fullmatch=True)
)
def test_a_header_value_means_nothing_else_to_the_sdk(value: str) -> None:
    assert decode_value(value.encode()) == decode_header_value(value)
