"""What one caller says of a request makes it nobody's, and never another user's: through a whole sidecar."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from mesh.protocol.signs import MOST
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


async def test_a_token_whose_key_its_issuer_withdrew_ends_for_all_that_was_learnt_of_it() -> None:
    script, sent = answering(OK)
    async with user_pod(script) as pod:
        pod.idp.answer = token_for
        await pod.ask("alice")
        await pod.call(trace(ALICES), bearer(pod, "alice"))
        assert await reason(pod, traceparent=ALICES) is None
        desk = pod.sidecar.pipeline.departure.desk
        assert desk is not None
        pod.idp.keys = {"keys": []}
        for keys in desk.users._key_sets._sets.values():
            await keys.newer(0)
        assert await reason(pod, traceparent=ALICES) == "subject_missing"
        assert await reason(pod, user="alice") == "handle_expired"
        assert len(sent) == 1


async def test_a_token_within_the_leeway_counts_for_all_that_is_asked_of_it() -> None:
    script, _ = answering(OK)
    async with user_pod(script) as pod:
        pod.idp.answer = token_for
        token = pod.idp.token("alice", exp=int(time.time()) - 3).encode()
        assert (await pod.call(trace(ALICES), b"authorization: Bearer " + token)).startswith(b"HTTP/1.1 200")
        found = re.search(rb"\r\nauthorization: Bearer (\S+)\r\n", pod.got[-1][0])
        assert found is not None
        pod.handles["alice"] = found[1].decode()
        assert await reason(pod, user="alice") is None
        assert await reason(pod, traceparent=ALICES) is None


FOR_ANYBODY = "{issuers: [{issuer: ISSUER, audiences: ['AGENT']}], required: false}"
BEHIND_A_DOOR = "{issuers: [{issuer: ISSUER, audiences: ['AGENT']}], bypass: [/ask]}"


def in_conversation(context: str) -> Any:
    message = call("search")
    message["params"]["contextId"] = context
    return message


@pytest.mark.parametrize("users", [FOR_ANYBODY, BEHIND_A_DOOR])
@pytest.mark.parametrize("users_first", [True, False])
async def test_a_sign_that_also_came_without_a_user_is_nobodys(users: str, users_first: bool) -> None:
    script, sent = answering(OK)
    async with user_pod(script, users=users) as pod:
        pod.idp.answer = token_for
        callers = [(bearer(pod, "alice"),), ()]
        for caller in callers if users_first else callers[::-1]:
            await pod.call(trace(ALICES), b"mcp-session-id: a", *caller)
        assert len(pod.got) == 2
        assert await reason(pod, traceparent=ALICES) == "subject_ambiguous"
        assert await reason(pod, traceparent=OTHER) == "subject_missing"
        assert sent == []


async def test_a_bad_token_at_a_door_without_one_is_nobodys_too() -> None:
    script, _ = answering(OK)
    async with user_pod(script, users=BEHIND_A_DOOR) as pod:
        await pod.call(trace(ALICES), bearer(pod, "alice"))
        await pod.call(trace(ALICES), b"authorization: Bearer garbage")
        assert await reason(pod, traceparent=ALICES) == "subject_ambiguous"


async def test_a_conversation_that_the_agent_begins_with_nobody_is_nobodys() -> None:
    script, sent = answering(OK)
    said = json_answer(result({"kind": "task", "id": "t1", "contextId": "c1", "status": {}}))
    async with user_pod(script, users=FOR_ANYBODY, said=said) as pod:
        pod.idp.answer = token_for
        await pod.call()
        assert await reason(pod, in_conversation("c1")) == "subject_missing"
        await pod.ask("alice")
        assert await reason(pod, in_conversation("t1")) == "subject_ambiguous"
        assert sent == []


async def test_what_says_nothing_of_itself_is_not_remembered() -> None:
    script, _ = answering(OK)
    async with user_pod(script, users=FOR_ANYBODY) as pod:
        pod.idp.answer = token_for
        await pod.call(trace(ALICES), bearer(pod, "alice"))
        await pod.call()
        assert await reason(pod, traceparent=ALICES) is None


async def test_a_conversation_over_http_and_json_is_seen() -> None:
    script, sent = answering(OK)
    said = json_answer({"task": {"id": "t1", "contextId": "c1", "status": {}}})
    async with user_pod(script, said=said) as pod:
        pod.idp.answer = token_for
        await pod.ask("alice", b'{"message":{"role":"ROLE_USER"}}')
        for context in ("c1", "t1"):
            assert await reason(pod, in_conversation(context)) is None
        await pod.ask("mallory", b'{"message":{"contextId":"c1"}}')
        assert await reason(pod, in_conversation("c1")) == "subject_ambiguous"
        assert len(sent) == 2


async def test_a_request_with_more_conversations_than_are_read_is_refused() -> None:
    script, _ = answering(OK)
    body = json.dumps([{"message": {"contextId": f"c{number}"}} for number in range(MOST + 1)]).encode()
    async with user_pod(script) as pod:
        answer = await pod.call(bearer(pod, "mallory"), body=body)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"batch_too_large" in answer
        assert pod.got == []
