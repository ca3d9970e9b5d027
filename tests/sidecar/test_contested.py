"""What one caller says of a request makes it nobody's, and never another user's: through a whole sidecar."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.loopback import answering, call, json_answer, result
from tests.support.session_server import token_for
from tests.support.user_pod import UserPod, user_pod

OK = json_answer(result({"content": []}))
ALICES = f"00-{'ab' * 16}-{'cd' * 8}-01"
OTHER = f"00-{'ef' * 16}-{'cd' * 8}-01"


def bearer(pod: UserPod, user: str) -> bytes:
    return b"authorization: Bearer " + pod.idp.token(user).encode()


def trace(value: str) -> bytes:
    return b"traceparent: " + value.encode()


async def reason(pod: UserPod, message: Any = None, **fields: str) -> str | None:
    """Why what the agent sends without a handle is refused; None where it is not."""
    _, _, answer = await pod.send(message or call("search"), **fields)
    return None if "result" in answer else answer.get("reason") or answer["error"]["data"]["reason"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (b"traceparent", (ALICES, OTHER)),
        (b"traceparent", (OTHER, ALICES)),
        (b"traceparent", (ALICES, ALICES)),
        (b"mcp-session-id", ("a", "b")),
        (b"mcp-session-id", ("b", "a")),
    ],
)
async def test_a_sign_that_a_caller_gives_twice_is_refused(name: bytes, values: tuple[str, str]) -> None:
    script, _ = answering(OK)
    async with user_pod(script) as pod:
        pod.idp.answer = token_for
        await pod.ask("alice")
        lines = [name + b": " + value.encode() for value in values]
        answer = await pod.call(*lines, bearer(pod, "mallory"))
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"http_bad_header" in answer
        assert len(pod.got) == 1


async def test_a_trace_that_the_agent_gives_twice_is_nobodys_but_for_a_handle() -> None:
    script, sent = answering(OK)
    async with user_pod(script) as pod:
        pod.idp.answer = token_for
        await pod.ask("alice")
        await pod.call(trace(ALICES), bearer(pod, "alice"))
        assert await reason(pod, traceparent=f"{OTHER}\r\ntraceparent: {ALICES}") == "subject_ambiguous"
        assert sent == []
        assert await reason(pod, user="alice", traceparent=f"{OTHER}\r\ntraceparent: {ALICES}") is None


async def test_a_session_that_the_agent_gives_twice_is_refused() -> None:
    script, sent = answering(OK)
    async with user_pod(script) as pod:
        await pod.ask("alice")
        assert await reason(pod, mcp_session_id="a\r\nmcp-session-id: b") == "http_bad_header"
        assert sent == []
