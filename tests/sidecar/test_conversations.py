"""A user's conversation gets its id from the agent; what the agent then does for it is done for that user."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mesh.policy.principal import User
from mesh.protocol.signs import Signs
from mesh.reasons import Reason
from sidecar.credentials.verified import TokenRefused
from tests.support.loopback import answering, call, json_answer, result
from tests.support.session_server import token_for
from tests.support.user_pod import UserPod, user_pod

TASK = result({"kind": "task", "id": "t1", "contextId": "c1", "status": {"state": "working"}})
OK = json_answer(result({"content": []}))
EVENT = f"data: {json.dumps(TASK)}\n\n".encode()
STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(EVENT) + EVENT
)


def in_conversation(context: str) -> dict[str, Any]:
    message = call("search")
    message["params"]["contextId"] = context
    return message


def belongings(pod: UserPod) -> Any:
    desk = pod.sidecar.pipeline.departure.desk
    assert desk is not None
    return desk.belongings


@pytest.mark.parametrize("said", [json_answer(TASK), STREAM])
async def test_the_id_in_an_answer_tells_whose_the_next_request_is(said: bytes) -> None:
    script, sent = answering(OK)
    async with user_pod(script, said=said) as pod:
        pod.idp.answer = token_for
        await pod.ask("alice")
        for context in ("c1", "t1"):
            _, _, answer = await pod.send(in_conversation(context))
            assert "result" in answer
        assert [b"Bearer token-of-alice" in head for head, _ in sent] == [True, True]


async def test_an_id_that_two_users_were_given_is_nobodys() -> None:
    script, sent = answering(OK)
    async with user_pod(script, said=json_answer(TASK)) as pod:
        pod.idp.answer = token_for
        await pod.ask("alice")
        await pod.ask("bob")
        _, _, answer = await pod.send(in_conversation("c1"))
        assert answer["error"]["data"]["reason"] == "subject_ambiguous"
        assert sent == []


async def test_a_callers_session_that_shows_another_user_upstream_is_nobodys_from_then_on() -> None:
    script, _ = answering(OK)
    async with user_pod(script, said=json_answer({}, mcp_session_id="shared")) as pod:
        pod.idp.answer = token_for
        await pod.ask("alice")
        signs = Signs(session="shared")
        assert belongings(pod).said(signs).user.subject == "alice"
        await pod.send(call("search"), user="alice", mcp_session_id="shared")
        assert belongings(pod).said(signs).user.subject == "alice"
        alice = belongings(pod).said(signs)
        carol = replace(alice, user=User(alice.user.issuer, "carol"), key=b"of another token")
        pod.handles["carol"] = pod.sidecar.pipeline.departure.desk.handles.give(carol).decode()  # type: ignore[union-attr]
        for ident in (1, 2):
            await pod.send(call("search", ident), user="carol", mcp_session_id="shared")
            with pytest.raises(TokenRefused) as caught:
                belongings(pod).said(signs)
            assert caught.value.reason is Reason.SUBJECT_AMBIGUOUS


async def test_a_servers_session_is_learnt_of_nobody() -> None:
    script, _ = answering(json_answer(result({"content": []}), mcp_session_id="servers"))
    async with user_pod(script) as pod:
        pod.idp.answer = token_for
        await pod.ask("alice")
        await pod.send(call("search"), user="alice")
        await pod.send(call("search"), user="alice", mcp_session_id="servers")
        assert belongings(pod).said(Signs(session="servers")) is None
