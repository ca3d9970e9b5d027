from __future__ import annotations

import json

import pytest

from bench import payloads


@pytest.mark.parametrize("size", [100, 500, 10_240])
def test_arguments_have_exactly_the_size_asked_for(size: int) -> None:
    call = json.loads(payloads.tools_call(size))
    assert len(json.dumps(call["params"]["arguments"], separators=(",", ":"))) == size
    assert call["params"]["name"] in payloads.GRANTED


def test_the_answer_has_exactly_the_size_asked_for() -> None:
    assert len(payloads.call_answer(1024)) == 1024
    assert json.loads(payloads.call_answer())["result"]["isError"] is False


def test_half_of_the_listed_tools_are_granted() -> None:
    names = [tool["name"] for tool in json.loads(payloads.list_answer())["result"]["tools"]]
    assert len(names) == 20
    assert sum(name in payloads.GRANTED for name in names) == 10
    assert payloads.REFUSED not in payloads.GRANTED


def test_a_request_declares_the_length_of_its_body() -> None:
    head, _, body = payloads.http_request("/mcp", "tools", b'{"id":1}').partition(b"\r\n\r\n")
    assert head.startswith(b"POST /mcp HTTP/1.1\r\nHost: tools\r\n")
    assert b"\r\nContent-Length: 8" in head
    assert body == b'{"id":1}'
