"""Encodings that real servers and clients accept, and that a filter must therefore refuse or normalise.

Each row was found to be executed or accepted by at least one of six stacks: SDKs of both languages and both eras,
and FastMCP. Requests call a forbidden tool; responses offer one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.protocol.jsonrpc import JsonRpcRefused, Kind, messages
from mesh.protocol.mcp.lists import filter_result
from mesh.protocol.mcp.subjects import subjects
from mesh.protocol.sse import SseReader, encode_event
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.reasons import Reason

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret","arguments":{}}}'


def refused(body: bytes) -> Reason:
    try:
        messages(parse(body).value)
    except (JsonRefused, JsonRpcRefused) as refused:
        return refused.reason
    pytest.fail("it was accepted")


def called(body: bytes) -> list[str]:
    """The names of everything that a body asks for, as a policy would be asked."""
    found, _ = messages(parse(body).value)
    return [s.name for message in found for s in subjects(message.method or "", message.params)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (CALL.replace(b'"name":"secret"', b'"name":"safe","name":"secret"'), Reason.JSON_DUPLICATE_KEY),
        (CALL.replace(b'"id":1', b'"params":{"name":"safe"},"id":1'), Reason.JSON_DUPLICATE_KEY),
        (CALL.replace(b'"id":1', b'"method":"ping","id":1'), Reason.JSON_DUPLICATE_KEY),
        (b"\xef\xbb\xbf" + CALL, Reason.JSON_NOT_UTF8),
        (CALL.decode().encode("utf-16"), Reason.JSON_NOT_UTF8),
        (CALL.decode().encode("utf-16-le"), Reason.JSON_MALFORMED),
        (CALL.decode().encode("utf-16-be"), Reason.JSON_MALFORMED),
        (CALL.decode().encode("utf-32"), Reason.JSON_NOT_UTF8),
        (CALL.decode().encode("utf-32-le"), Reason.JSON_MALFORMED),
        (CALL.replace(b"{}", b'{"x":"\xff"}'), Reason.JSON_NOT_UTF8),
        (CALL.replace(b"{}", b"[" * 100_000 + b"]" * 100_000), Reason.JSON_TOO_DEEP),
        (CALL.replace(b"{}", b'{"x":' + b"9" * 5000 + b"}"), Reason.JSON_NUMBER),
        (CALL.replace(b"{}", b'{"x":NaN}'), Reason.JSON_NUMBER),
        (CALL.replace(b"{}", rb'{"x":"\ud800"}'), Reason.JSON_MALFORMED),
        (CALL.replace(b'"id":1', b'"id":1,"result":{}'), Reason.JSONRPC_HYBRID),
        (CALL.replace(b'"id":1', b'"id":1.0'), Reason.JSONRPC_ID),
        (CALL.replace(b'"id":1', b'"id":null'), Reason.JSONRPC_ID),
        (CALL.replace(b'"id":1', b'"id":true'), Reason.JSONRPC_ID),
        (CALL.replace(b'"id":1', b'"id":{}'), Reason.JSONRPC_ID),
        (CALL.replace(b'"method"', b'"Method":"ping","method"'), Reason.JSONRPC_INVALID),
        (b"[]", Reason.BATCH_TOO_LARGE),
        (b"[[" + CALL + b"]]", Reason.JSONRPC_INVALID),
    ],
)
def test_a_request_that_servers_may_read_otherwise_is_refused(body: bytes, reason: Reason) -> None:
    assert refused(body) is reason


@pytest.mark.parametrize(
    "body",
    [
        CALL.replace(b"secret", rb"\u0073ecret"),
        CALL.replace(b'"name"', rb'"n\u0061me"').replace(b"tools/call", rb"tools\/call"),
        b" \r\n\t" + CALL + b"\n",
        json.dumps(json.loads(CALL), indent=4).encode(),
        CALL.replace(b'"id":1', b'"id":1180591620717411303424'),
        CALL.replace(b'"id":1', b'"id":""'),
        CALL.replace(b'"id":1,', b""),
        b"[" + CALL + b"]",
    ],
)
def test_a_request_in_another_spelling_is_seen_and_leaves_in_the_plain_one(body: bytes) -> None:
    assert called(body) == ["secret"]
    canonical = parse(body).canonical
    assert b"\\" not in canonical
    assert b'"name":"secret"' in canonical
    assert called(canonical) == ["secret"]


@pytest.mark.parametrize("where", [0, 1, 2])
def test_each_message_of_a_batch_is_seen(where: int) -> None:
    harmless = CALL.replace(b"secret", b"safe")
    batch = [harmless] * 3
    batch[where] = CALL
    assert called(b"[" + b",".join(batch) + b"]").index("secret") == where


@pytest.mark.parametrize(
    "name", ["ｓｅｃｒｅｔ", "secret\u200b", "secret\x00", "secret ", "SECRET", "\u0455ecret"]
)
def test_names_are_not_normalised(name: str) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}}).encode()
    assert called(body) == [name]


LIST = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"secret"},{"name":"safe"}]}}'


def offered(answer: Any) -> list[str]:
    """The tools that remain for the client in an answer, as JSON."""
    found, _ = messages(answer)
    names = []
    for message in found:
        assert message.kind is Kind.RESULT
        filtered = filter_result(message.result, lambda s: s.name == "safe", total=lambda kind: False)
        names += [tool["name"] for tool in filtered.result["tools"]]
    return names


@pytest.mark.parametrize(
    "body",
    [
        LIST,
        LIST.replace(b'"id":1', b'"id":"1"'),
        b"[" + LIST + b"]",
        LIST.replace(b"secret", rb"s\u0065cret"),
        LIST.replace(b'"tools"', rb'"t\u006fols"'),
        LIST.replace(b'{"name":"secret"}', b'{"name":"safe","Name":"secret"}'),
    ],
)
def test_a_list_is_filtered_whatever_it_answers(body: bytes) -> None:
    assert offered(parse(body).value) == ["safe"] * LIST.count(b"safe")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (LIST.replace(b'"id":1', b'"id":1.0'), Reason.JSONRPC_ID),
        (b"\xef\xbb\xbf" + LIST, Reason.JSON_NOT_UTF8),
        (LIST.decode().encode("utf-16"), Reason.JSON_NOT_UTF8),
        (LIST.replace(b'"tools"', b'"tools":[],"tools"'), Reason.JSON_DUPLICATE_KEY),
        (LIST.replace(b'"result"', b'"result":{},"result"'), Reason.JSON_DUPLICATE_KEY),
        (LIST.replace(b'"id":1', b'"id":1,"error":{}'), Reason.JSONRPC_HYBRID),
        (LIST.replace(b'"id":1', b'"id":1,"method":"ping"'), Reason.JSONRPC_HYBRID),
    ],
)
def test_a_response_that_clients_may_read_otherwise_is_refused(body: bytes, reason: Reason) -> None:
    assert refused(body) is reason


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + LIST + b"\n\n",
        b"data:" + LIST + b"\n\n",
        b"event: message\r\ndata: " + LIST + b"\r\n\r\n",
        b"data: " + LIST + b"\r\r",
        b"data: " + LIST.replace(b",", b"\ndata: ,") + b"\n\n",
        b"\xef\xbb\xbfdata: " + LIST + b"\n\n",
        b"id: 1\r\ndata: \r\nretry: 100\r\n\r\nevent: foo\r\nid: 2\r\ndata: " + LIST + b"\r\n\r\n",
        b"data: [" + LIST + b"]\n\n",
        b"data: " + LIST.replace(b"secret", "\u2028\x85".encode()) + b"\n\n",
    ],
)
@pytest.mark.parametrize("chunk", [1, 5, 4096])
def test_a_list_in_a_stream_is_found_however_it_is_framed(stream: bytes, chunk: int) -> None:
    reader = SseReader()
    events = [e for at in range(0, len(stream), chunk) for e in reader.feed(stream[at : at + chunk])]
    (event,) = [event for event in events if event.data]
    assert event.data is not None
    parsed = parse(event.data.encode())
    assert offered(parsed.value) == ["safe"]
    passed = encode_event(event, data=parsed.canonical.decode())
    assert passed.count(b"data:") == 1


def test_an_unterminated_event_is_not_passed_on() -> None:
    reader = SseReader()
    assert reader.feed(b"data: " + LIST + b"\n") == []
    assert reader.eof() > 0
